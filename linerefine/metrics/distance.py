"""Distance between centrelines: how far off the lines are drawn."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.interfaces import Metric
from linerefine.metrics.centrelines import centreline_distances, centrelines
from linerefine.metrics.functional import numbers
from linerefine.samples import Target
from linerefine.types import Mask

if TYPE_CHECKING:
    from linerefine.config import Options

__all__ = ["CentrelineDistance", "CentrelineDistance95", "histogram", "histogram_quantile"]

_EXACT = 32  # pixels up to which every distance on the grid has a bin of its own
_GROWTH = 1.01  # from there on, a bin is wider than the one before by this
_COARSE = 800  # as many of those: to 90 000 pixels


def histogram(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count distances between pixels in bins that are the same for every image.

    Parameters
    ----------
    distances : ndarray of float64, shape (N,)
        Each the square root of a whole number.

    Returns
    -------
    counts : ndarray of float64, shape (1825,)
        A bin for each square up to 1024; beyond 32 pixels bins of one per cent.
    """
    squares = np.rint(distances**2).astype(np.int64)
    far = np.floor(np.log(np.maximum(distances, _EXACT) / _EXACT) / np.log(_GROWTH))
    bins = np.where(squares <= _EXACT**2, squares, _EXACT**2 + 1 + np.minimum(far, _COARSE - 1))
    return np.bincount(bins.astype(np.intp), minlength=_BINS).astype(np.float64)


def histogram_quantile(counts: NDArray[np.float64], share: float) -> float:
    """Return the smallest distance that at least a share of the pixels do not exceed.

    Parameters
    ----------
    counts : ndarray of float64, shape (1825,)
        As `histogram` gives it, or sums of such counts.
    share : float
        Above 0, at most 1.

    Returns
    -------
    distance : float
        Pixels; exact up to 32, beyond within half a per cent. nan if nothing
        was counted.

    Examples
    --------
    >>> histogram_quantile(histogram(np.array([0.0, 1.0, 1.0, 5.0])), 0.75)
    1.0
    """
    total = counts.sum()
    if total == 0:
        return nan
    # A little less: 0.95 of 20 is 19, not the next number after it.
    place = int(np.searchsorted(np.cumsum(counts), share * total * (1 - 1e-12)))
    beyond = place - _EXACT**2 - 1
    return float(np.sqrt(place) if beyond < 0 else _EXACT * _GROWTH ** (beyond + 0.5))


class _Distance(Metric):
    """A number of pixels, taken over both centrelines."""

    higher_is_better: ClassVar[bool] = False
    is_additive: ClassVar[bool] = False
    is_share: ClassVar[bool] = False

    def __init__(self, options: Options | None = None) -> None:
        """Take, as every component, options; there are none to set."""


class CentrelineDistance(_Distance):
    """Symmetric mean distance of both centrelines, pixels.

    The mean over all pixels of both centrelines of the distance to the other
    one. Statistics are the sum of distances, their number, and the number of
    the target's pixels.

    Examples
    --------
    >>> line = np.zeros((9, 20), dtype=bool)
    >>> line[3, 2:18] = True
    >>> CentrelineDistance().score(np.roll(line, 2, axis=0), Target(line, roi=np.ones_like(line)))
    2.0
    """

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return sum, number, and number of the target's pixels as float64, shape (3,)."""
        both = centreline_distances(*centrelines(prediction, target))
        total, count = sum(float(far.sum()) for far in both), sum(map(len, both))
        return np.array([total, count, len(both[1])], dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the mean of (sums of) such statistics; nan without a target centreline."""
        total, count, expected = numbers(statistics, 3)
        return total / count if expected else nan


class CentrelineDistance95(_Distance):
    """95th percentile of the distances of both centrelines, pixels.

    Taken over all pixels of both centrelines together. Statistics are a
    `histogram` of the distances, and the number of the target's pixels.
    """

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return histogram and number of the target's pixels as float64, shape (1826,)."""
        both = centreline_distances(*centrelines(prediction, target))
        return np.append(histogram(np.concatenate(both)), float(len(both[1])))

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the percentile of (sums of) such statistics; nan without a target centreline."""
        if statistics.shape != (_BINS + 1,):
            msg = f"statistics have shape {statistics.shape}, expected ({_BINS + 1},)."
            raise ShapeError(msg)
        return histogram_quantile(statistics[:-1], 0.95) if statistics[-1] else nan


_BINS = _EXACT**2 + 1 + _COARSE
