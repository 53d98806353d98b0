"""What a refiner's answer is charged for: all of it, or what it made of the person's strokes."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Wanted", "touched", "wanted_changes"]

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


class Wanted(NamedTuple):
    """What strokes ask of an answer; the same for every answer to them.

    Parameters
    ----------
    was_line : Tensor of bool, shape (B, 1, H, W)
        The answer before.
    wanted : Tensor of bool, shape (B, 1, H, W)
        Its mistakes that a stroke of their kind touches.
    counted : Tensor of bool, shape (B, 1, H, W)
        Those, and what was right. Other mistakes are nobody's business, and
        under a stroke the person has decided.
    """

    was_line: Tensor
    wanted: Tensor
    counted: Tensor

    def change(self, answer: Tensor, cut: float) -> Tensor:
        """Return the log-odds that a pixel is not what it was, from an answer's logits.

        Parameters
        ----------
        answer : Tensor, shape (B, 1, H, W)
        cut : float
            Logit above which a pixel is line.
        """
        return torch.where(self.was_line, cut - answer, answer - cut)


def wanted_changes(before: Tensor, hints: Tensor, lines: Tensor, roi: Tensor, cut: float) -> Wanted:
    """Return which pixels should change once strokes are drawn.

    Parameters
    ----------
    before : Tensor, shape (B, 1, H, W)
        Logits of the answer before.
    hints : Tensor, shape (B, 1, H, W)
        Strokes so far, in {-1, 0, +1}.
    lines, roi : Tensor of bool, shape (B, 1, H, W)
        Target, and pixels that count.
    cut : float
        Logit above which a pixel is line.
    """
    was_line, lines = before > cut, lines.bool()
    open_ = roi.bool() & (hints == 0)
    missing, superfluous = lines & ~was_line & open_, was_line & ~lines & open_
    wanted = _touched(missing, hints > 0) | _touched(superfluous, hints < 0)
    return Wanted(was_line, wanted, open_ & (wanted | (was_line == lines)))


def _touched(mistakes: Tensor, strokes: Tensor) -> Tensor:
    pairs = zip(mistakes[:, 0].cpu().numpy(), strokes[:, 0].cpu().numpy(), strict=True)
    found = np.stack([touched(*pair) for pair in pairs])[:, None]
    return torch.from_numpy(found).to(mistakes.device)
