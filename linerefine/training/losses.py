"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

__all__ = ["LOSSES", "Loss", "dice_bce_loss", "dice_loss"]

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
    weight = roi.float()
    entropy = F.binary_cross_entropy_with_logits(
        logits.float(), target.float(), weight=weight, reduction="sum"
    )
    return dice_loss(logits, target, roi) + entropy / weight.sum().clamp_min(1)


LOSSES: dict[str, Loss] = {"dice": dice_loss, "dice_bce": dice_bce_loss}
"""By the name ``training.loss`` uses."""
