"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from linerefine.training.skeletons import soft_skeleton

__all__ = [
    "LOSSES",
    "Loss",
    "cldice_loss",
    "cross_entropy",
    "dice_bce_loss",
    "dice_loss",
    "generalised_dice_loss",
    "soft_cldice_loss",
    "tversky_loss",
]

Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``loss(logits, target, roi)`` returns a scalar."""

EPSILON = 1e-7
"""Keeps the quotient defined, as in segmentation-models-pytorch."""


def dice_loss(logits: Tensor, target: Tensor, roi: Tensor) -> Tensor:
    """Return one minus the soft Dice coefficient of the whole batch inside the ROI.

    Parameters
    ----------
    logits : Tensor, shape (B, 1, H, W)
        Log-odds of line.
    target : Tensor, shape (B, 1, H, W)
        1 or True where a line is.
    roi : Tensor, shape (B, 1, H, W)
        1 or True where pixels count.

    Returns
    -------
    loss : Tensor, scalar, float32
        In [0, 1]; 0 (without gradient) if the batch holds no line pixel, where
        the coefficient is undefined.

    Notes
    -----
    Pooled over the batch, smooth 0, as the authors' training (paper, section
    3.3, with ``DiceLoss`` of segmentation-models-pytorch).
    """
    weight = roi.float()
    truth = target.float() * weight
    chance = logits.float().sigmoid() * weight
    overlap = (chance * truth).sum()
    loss = 1 - 2 * overlap / (chance.sum() + truth.sum()).clamp_min(EPSILON)
    return loss * (truth.sum() > 0)


def generalised_dice_loss(logits: Tensor, target: Tensor, roi: Tensor) -> Tensor:
    """Return one minus the generalised Dice coefficient of lines and background.

    Parameters
    ----------
    logits, target, roi : Tensor, shape (B, 1, H, W)
        As for `dice_loss`.

    Returns
    -------
    loss : Tensor, scalar, float32
        In [0, 1]. A class that does not occur has no weight: without line
        pixels this is one minus the Dice coefficient of the background, which
        lowers every logit. 0 (without gradient) if no pixel counts.

    Notes
    -----
    Each class counts by the inverse square of its pixels inside the ROI of the
    whole batch: GDL_v of Sudre et al., *Generalised Dice overlap as a deep
    learning loss function for highly unbalanced segmentations*, DLMIA 2017,
    DOI 10.1007/978-3-319-67558-9_28.
    """
    inside = roi.float()
    line = target.float() * inside
    chance = logits.float().sigmoid() * inside
    # 1 - sigmoid(x) would round off what is left of a confident pixel.
    other_chance = (-logits.float()).sigmoid() * inside
    overlap, total = inside.new_zeros(()), inside.new_zeros(())
    for truth, guess in ((line, chance), (inside - line, other_chance)):
        volume = truth.sum()
        weight = (volume > 0) / volume.clamp_min(1).square()
        overlap = overlap + weight * (guess * truth).sum()
        total = total + weight * (guess.sum() + volume)
    # Weights shrink with the square of the batch; only an empty ROI leaves nothing.
    loss = 1 - 2 * overlap / torch.where(total > 0, total, 1)
    return loss * (inside.sum() > 0)


def tversky_loss(
    logits: Tensor, target: Tensor, roi: Tensor, *, alpha: float = 0.3, beta: float = 0.7
) -> Tensor:
    """Return one minus the Tversky index, which weighs the two kinds of mistakes.

    Parameters
    ----------
    logits, target, roi : Tensor, shape (B, 1, H, W)
        As for `dice_loss`.
    alpha : float
        Weight of superfluous line pixels.
    beta : float
        Weight of missing ones. With ``alpha = beta = 0.5`` this is `dice_loss`.

    Returns
    -------
    loss : Tensor, scalar, float32
        In [0, 1]; 0 (without gradient) if the batch holds no line pixel.

    Notes
    -----
    Pooled over the batch inside the ROI. The defaults are those that Salehi et
    al., *Tversky loss function for image segmentation using 3D fully
    convolutional deep networks*, MLMI 2017, arXiv:1706.05721, found best:
    recall counts more than precision.
    """
    inside = roi.float()
    truth = target.float() * inside
    chance = logits.float().sigmoid() * inside
    found = (chance * truth).sum()
    superfluous, missing = chance.sum() - found, truth.sum() - found
    index = found / (found + alpha * superfluous + beta * missing).clamp_min(EPSILON)
    return (1 - index) * (truth.sum() > 0)


def cldice_loss(logits: Tensor, target: Tensor, roi: Tensor) -> Tensor:
    """Return one minus soft-clDice: the overlap of each centreline with the other's lines.

    Parameters
    ----------
    logits, target, roi : Tensor, shape (B, 1, H, W)
        As for `dice_loss`.

    Returns
    -------
    loss : Tensor, scalar, float32
        In [0, 1]; 0 (without gradient) if the batch holds no line pixel.

    Notes
    -----
    The harmonic mean of topology precision (the predicted centreline inside
    the target) and topology sensitivity (the target's centreline inside the
    prediction), pooled over the batch: Shit et al., *clDice: a novel
    topology-preserving loss function for tubular structure segmentation*, CVPR
    2021, arXiv:2003.07311. It is blind to how wide lines are; a training needs
    `soft_cldice_loss`.
    """
    inside = roi.bool()
    truth = target.float() * inside
    chance = logits.float().sigmoid() * inside
    drawn, true = soft_skeleton(chance, inside), soft_skeleton(truth, inside)
    precision = (drawn * truth).sum() / drawn.sum().clamp_min(EPSILON)
    sensitivity = (true * chance).sum() / true.sum().clamp_min(EPSILON)
    mean = 2 * precision * sensitivity / (precision + sensitivity).clamp_min(EPSILON)
    return (1 - mean) * (truth.sum() > 0)


def soft_cldice_loss(logits: Tensor, target: Tensor, roi: Tensor, *, alpha: float = 0.5) -> Tensor:
    """Return a mean of `dice_loss` and `cldice_loss`, as the authors of clDice train.

    Parameters
    ----------
    logits, target, roi : Tensor, shape (B, 1, H, W)
        As for `dice_loss`.
    alpha : float
        Share of `cldice_loss`, in [0, 0.5].

    Returns
    -------
    loss : Tensor, scalar, float32
        In [0, 1]; 0 (without gradient) if the batch holds no line pixel.
    """
    rest = dice_loss(logits, target, roi)
    return (1 - alpha) * rest + alpha * cldice_loss(logits, target, roi)


def cross_entropy(logits: Tensor, target: Tensor, roi: Tensor) -> Tensor:
    """Return the mean binary cross-entropy inside the ROI.

    Parameters
    ----------
    logits, target, roi : Tensor, shape (B, 1, H, W)
        As for `dice_loss`.

    Returns
    -------
    loss : Tensor, scalar, float32
        Not negative; 0 (without gradient) if no pixel counts.
    """
    weight = roi.float()
    entropy = F.binary_cross_entropy_with_logits(
        logits.float(), target.float(), weight=weight, reduction="sum"
    )
    return entropy / weight.sum().clamp_min(1)


def dice_bce_loss(logits: Tensor, target: Tensor, roi: Tensor) -> Tensor:
    """Return `dice_loss` plus the mean cross-entropy inside the ROI.

    Parameters
    ----------
    logits, target, roi : Tensor, shape (B, 1, H, W)
        As for `dice_loss`.

    Returns
    -------
    loss : Tensor, scalar, float32
        The cross-entropy, unlike Dice, also teaches patches without lines.
    """
    return dice_loss(logits, target, roi) + cross_entropy(logits, target, roi)


def _with_cross_entropy(loss: Loss) -> Loss:
    """Return a loss plus `cross_entropy`."""
    return lambda *batch: loss(*batch) + cross_entropy(*batch)


LOSSES: dict[str, Loss] = {
    "dice": dice_loss,
    "dice_bce": dice_bce_loss,
    "bce": cross_entropy,
    "generalised_dice": generalised_dice_loss,
    "generalised_dice_bce": _with_cross_entropy(generalised_dice_loss),
    "tversky": tversky_loss,
    "tversky_bce": _with_cross_entropy(tversky_loss),
    "cldice": cldice_loss,
    "soft_cldice": soft_cldice_loss,
    "soft_cldice_bce": _with_cross_entropy(soft_cldice_loss),
}
"""By the name ``training.loss`` uses."""
