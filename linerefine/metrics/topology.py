"""Betti errors: how many pieces and holes there are too many, or too few."""

from __future__ import annotations

from math import nan
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.geometry import tile_grid
from linerefine.interfaces import Metric
from linerefine.metrics.functional import inside, numbers
from linerefine.metrics.options import BettiOptions
from linerefine.samples import Target
from linerefine.types import Mask

__all__ = ["Betti0Error", "Betti1Error", "betti_errors", "betti_numbers"]


def betti_numbers(mask: Mask) -> tuple[int, int]:
    """Count the connected pieces of a mask and its holes.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    pieces, holes : int
        8-connected components of the set pixels; 4-connected components of
        the others that the border of the image does not touch.

    Examples
    --------
    >>> ring = np.ones((3, 3), dtype=bool)
    >>> ring[1, 1] = False
    >>> betti_numbers(ring)
    (1, 1)
    """
    import cv2

    # A frame of background joins all that is outside into one component.
    framed = np.pad(mask, 1).view(np.uint8)
    pieces, _ = cv2.connectedComponents(framed, connectivity=8)
    grounds, _ = cv2.connectedComponents(1 - framed, connectivity=4)
    return pieces - 1, grounds - 2  # label 0 stands for all other pixels


def betti_errors(
    prediction: Mask, target: Target, *, window: int | None = None
) -> tuple[int, int, int]:
    """Sum the errors of both Betti numbers over windows.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.
    window : int, optional
        Edge of the windows, which lie side by side from the upper left corner
        and are cut off at the image's border; by default the image is one.

    Returns
    -------
    pieces, holes, windows : int
        Sums of the absolute differences of `betti_numbers` of both masks, and
        the number of windows that hold a pixel of the ROI: others are left out.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.

    Notes
    -----
    What is outside the ROI is background, in both masks.

    References
    ----------
    X. Hu, F. Li, D. Samaras and C. Chen, "Topology-preserving deep image
    segmentation", NeurIPS 2019. arXiv:1906.05404. They take the mean over
    windows at random places.
    """
    predicted, expected = inside(prediction, target), target.mask & target.roi
    errors = np.zeros(3, dtype=np.int64)
    size = window or max(1, *predicted.shape)
    for tile in tile_grid(predicted.shape, size, inside=False):
        part = tile.clipped(predicted.shape).index
        if target.roi[part].any():
            ours, theirs = betti_numbers(predicted[part]), betti_numbers(expected[part])
            errors += [abs(ours[0] - theirs[0]), abs(ours[1] - theirs[1]), 1]
    return int(errors[0]), int(errors[1]), int(errors[2])


class _BettiError(Metric):
    """Mean error of one Betti number over windows; the images are the windows by default."""

    higher_is_better: ClassVar[bool] = False
    is_additive: ClassVar[bool] = False
    is_share: ClassVar[bool] = False
    number: ClassVar[int]

    def __init__(self, options: BettiOptions | None = None) -> None:
        self._window = (options or BettiOptions()).window

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return sum of errors, windows and line pixels of the target as float64, shape (3,)."""
        errors = betti_errors(prediction, target, window=self._window)
        lines = np.count_nonzero(target.mask & target.roi)
        return np.array([errors[self.number], errors[2], lines], dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the mean of (sums of) such statistics; nan without target lines."""
        errors, windows, lines = numbers(statistics, 3)
        return errors / windows if lines else nan


class Betti0Error(_BettiError):
    """How many pieces too many or too few; see `betti_errors`.

    Parameters
    ----------
    options : BettiOptions, optional

    Examples
    --------
    >>> line = np.zeros((3, 9), dtype=bool)
    >>> line[1] = True
    >>> broken = line.copy()
    >>> broken[1, 4] = False
    >>> Betti0Error().score(broken, Target(line, roi=np.ones_like(line)))
    1.0
    """

    number: ClassVar[int] = 0


class Betti1Error(_BettiError):
    """How many holes too many or too few; see `betti_errors`.

    Parameters
    ----------
    options : BettiOptions, optional
    """

    number: ClassVar[int] = 1
