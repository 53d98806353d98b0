"""What a refiner's answer is charged for: all of it, or what it made of the person's strokes."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["changes", "touched"]

TOUCH = 3
"""Pixels between a stroke and a mistake that it still touches: strokes are drawn by hand."""


def touched(mistakes: NDArray[np.bool_], strokes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected mistakes that a stroke touches.

    Parameters
    ----------
    mistakes : ndarray of bool, shape (H, W)
        Of one kind: pixels that are missing, or pixels that are superfluous.
    strokes : ndarray of bool, shape (H, W)
        Of the same kind: pixels added, or erased.

    Returns
    -------
    touched : ndarray of bool, shape (H, W)
        Mistakes, eight-connected, that come within TOUCH pixels of a stroke.
    """
    if not strokes.any() or not mistakes.any():
        return np.zeros_like(mistakes)
    count, labels = cv2.connectedComponents(mistakes.astype(np.uint8), connectivity=8)
    near = cv2.dilate(strokes.astype(np.uint8), np.ones((2 * TOUCH + 1,) * 2, np.uint8))
    hit = np.bincount(labels[near > 0], minlength=count) > 0
    hit[0] = False
    found: NDArray[np.bool_] = hit[labels]
    return found


def changes(
    answer: Tensor, before: Tensor, hints: Tensor, lines: Tensor, roi: Tensor, cut: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return an answer as a prediction of what should change, for any loss.

    Parameters
    ----------
    answer, before : Tensor, shape (B, 1, H, W)
        Logits of the refiner's answer and of the one before.
    hints : Tensor, shape (B, 1, H, W)
        Strokes so far, in {-1, 0, +1}.
    lines, roi : Tensor of bool, shape (B, 1, H, W)
        Target, and pixels that count.
    cut : float
        Logit above which a pixel is line.

    Returns
    -------
    change : Tensor, shape (B, 1, H, W)
        Log-odds that a pixel is not what it was before.
    wanted : Tensor of bool, shape (B, 1, H, W)
        Mistakes of the answer before that a stroke of their kind touches.
    counted : Tensor of bool, shape (B, 1, H, W)
        Those, and what was right. Other mistakes are nobody's business, and
        under a stroke the person has decided.
    """
    was_line, lines = before > cut, lines.bool()
    missing, superfluous = lines & ~was_line, was_line & ~lines
    marked = hints != 0
    open_ = roi.bool() & ~marked
    wanted = _touched(missing & open_, hints > 0) | _touched(superfluous & open_, hints < 0)
    counted = open_ & (wanted | (was_line == lines))
    return torch.where(was_line, cut - answer, answer - cut), wanted, counted


def _touched(mistakes: Tensor, strokes: Tensor) -> Tensor:
    pairs = zip(mistakes[:, 0].cpu().numpy(), strokes[:, 0].cpu().numpy(), strict=True)
    found = np.stack([touched(*pair) for pair in pairs])[:, None]
    return torch.from_numpy(found).to(mistakes.device)
