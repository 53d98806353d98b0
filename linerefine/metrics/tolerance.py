"""F-measure of centrelines at a tolerance: how much of either is near the other."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.metrics.centrelines import centreline_distances, centrelines
from linerefine.metrics.cldice import cldice
from linerefine.metrics.functional import numbers
from linerefine.metrics.options import CentrelineFOptions
from linerefine.samples import Target
from linerefine.types import Mask

__all__ = ["CentrelineF", "centreline_f", "tolerance_counts"]


def tolerance_counts(
    prediction: Mask, target: Target, *, tolerance: float
) -> tuple[int, int, int, int]:
    """Count the pixels of both centrelines inside the ROI: those near the other, and all.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.
    tolerance : float
        Euclidean distance in pixels up to which, inclusive, two pixels are near.

    Returns
    -------
    right, predicted, found, expected : int
        Pixels of the predicted centreline near the target's, and all of them;
        pixels of the target's centreline near the predicted one, and all.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.
    """
    both = centrelines(prediction, target)
    if not all(lines.any() for lines in both):  # what is nowhere is near nothing
        predicted, expected = (int(np.count_nonzero(lines)) for lines in both)
        return 0, predicted, 0, expected
    of_predicted, of_expected = centreline_distances(*both)
    right, found = (int((far <= tolerance).sum()) for far in (of_predicted, of_expected))
    return right, len(of_predicted), found, len(of_expected)


def centreline_f(right: float, predicted: float, found: float, expected: float) -> float:
    """Return the F-measure of centrelines, harmonic mean of precision and recall.

    Parameters
    ----------
    right, predicted, found, expected : float
        Counts as `tolerance_counts` gives them, or sums of such counts.

    Returns
    -------
    score : float
        In [0, 1]. nan without a target centreline; 0 if there is one and
        nothing near it is predicted.

    Notes
    -----
    Precision is ``right / predicted``, recall ``found / expected``. Pixels are
    not matched one to one: several may be near the same pixel of the other
    centreline.

    Examples
    --------
    >>> centreline_f(right=3, predicted=4, found=3, expected=4)
    0.75
    """
    return cldice(right, predicted, found, expected)  # the same formula of other counts


class CentrelineF(Metric):
    """F-measure of centrelines at a tolerance; see `centreline_f`.

    Statistics are those of `tolerance_counts`.

    Parameters
    ----------
    options : CentrelineFOptions, optional

    Examples
    --------
    >>> line = np.zeros((9, 20), dtype=bool)
    >>> line[3, 2:18] = True
    >>> CentrelineF().score(np.roll(line, 2, axis=0), Target(line, roi=np.ones_like(line)))
    1.0
    """

    is_additive: ClassVar[bool] = False

    def __init__(self, options: CentrelineFOptions | None = None) -> None:
        self._tolerance = (options or CentrelineFOptions()).tolerance

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return the four counts as float64, shape (4,)."""
        counts = tolerance_counts(prediction, target, tolerance=self._tolerance)
        return np.array(counts, dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) such statistics; nan without a target centreline."""
        return centreline_f(*numbers(statistics, 4))
