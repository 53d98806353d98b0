"""Centrelines that gradients flow through."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["ITERATIONS", "soft_skeleton"]

ITERATIONS = 8
"""Enough for lines up to seventeen pixels wide; wider ones keep what is left of them."""


def soft_skeleton(chance: Tensor, roi: Tensor, *, iterations: int = ITERATIONS) -> Tensor:
    """Return how much every pixel belongs to the centreline.

    Parameters
    ----------
    chance : Tensor, shape (B, 1, H, W)
        Probability of line.
    roi : Tensor of bool, shape (B, 1, H, W)
        Where pixels count. Its border is treated as that of the image: lines
        run on behind it, and what lies there has no influence.
    iterations : int
        How often lines are made thinner, >= 0; at least the half-width of the
        widest, minus one.

    Returns
    -------
    skeleton : Tensor, shape (B, 1, H, W)
        In [0, 1] and at most `chance`; 0 outside the ROI.

    Notes
    -----
    What an opening takes away from the lines is collected while they are made
    thinner and thinner: algorithm 1 of Shit et al., CVPR 2021,
    arXiv:2003.07311, where minima and maxima over neighbours stand for erosion
    and dilation. As in the authors' training the minimum is taken over the
    four next neighbours and the maximum over all eight; an opening by a square alone would
    take the corners off every slanted line and call them centrelines.

    Examples
    --------
    >>> bar = torch.zeros(1, 1, 5, 7)
    >>> bar[..., 1:4, :] = 1
    >>> soft_skeleton(bar, torch.ones_like(bar, dtype=torch.bool))[0, 0].int().tolist()[2]
    [1, 1, 1, 1, 1, 1, 1]
    """
    thinner = torch.where(roi, chance, 0)
    skeleton = torch.zeros_like(thinner)
    for _ in range(iterations + 1):
        eroded = _eroded(thinner, roi)
        taken = F.relu(thinner - _dilated(eroded, roi))
        skeleton = skeleton + (1 - skeleton) * taken
        thinner = eroded
    return skeleton


def _eroded(values: Tensor, roi: Tensor) -> Tensor:
    """Return the least value among each pixel and its four neighbours inside the ROI."""
    negative = torch.where(roi, -values, -1)
    column = F.max_pool2d(negative, (3, 1), stride=1, padding=(1, 0))
    row = F.max_pool2d(negative, (1, 3), stride=1, padding=(0, 1))
    return torch.where(roi, -torch.maximum(column, row), 0)


def _dilated(values: Tensor, roi: Tensor) -> Tensor:
    """Return the greatest value among each pixel and its eight neighbours inside the ROI."""
    return torch.where(roi, F.max_pool2d(values, 3, stride=1, padding=1), 0)
