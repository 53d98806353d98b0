"""clDice: how much of either centreline lies on the lines of the other mask."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.metrics.centrelines import centrelines
from linerefine.metrics.functional import harmonic_mean, inside, numbers
from linerefine.samples import Target
from linerefine.types import Mask

if TYPE_CHECKING:
    from linerefine.config import Options

__all__ = ["ClDice", "cldice", "cldice_counts"]


def cldice_counts(prediction: Mask, target: Target) -> tuple[int, int, int, int]:
    """Count the pixels of both centrelines inside the ROI: those on the other mask, and all.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.

    Returns
    -------
    right, predicted, found, expected : int
        Pixels of the predicted centreline that are target lines, and all of
        them; pixels of the target's centreline that are predicted, and all.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.
    """
    predicted, expected = centrelines(prediction, target)
    right, found = predicted & target.mask, expected & inside(prediction, target)
    counts = [int(np.count_nonzero(mask)) for mask in (right, predicted, found, expected)]
    return counts[0], counts[1], counts[2], counts[3]


def cldice(right: float, predicted: float, found: float, expected: float) -> float:
    """Return clDice, the harmonic mean of topology precision and topology sensitivity.

    Parameters
    ----------
    right, predicted, found, expected : float
        Counts as `cldice_counts` gives them, or sums of such counts.

    Returns
    -------
    score : float
        In [0, 1]. nan without a target centreline; 0 if there is one and none
        is predicted.

    Notes
    -----
    Topology precision is ``right / predicted``, topology sensitivity
    ``found / expected``.

    References
    ----------
    S. Shit et al., "clDice: a novel topology-preserving loss function for
    tubular structure segmentation", CVPR 2021.
    DOI 10.1109/CVPR46437.2021.01629

    Examples
    --------
    >>> cldice(right=3, predicted=4, found=3, expected=4)
    0.75
    """
    if expected == 0:
        return nan
    return harmonic_mean(right / predicted if predicted else 0.0, found / expected)


class ClDice(Metric):
    """clDice; see `cldice`.

    Statistics are those of `cldice_counts`.

    Examples
    --------
    >>> line = np.eye(4, dtype=bool)
    >>> ClDice().score(line, Target(line, roi=np.ones_like(line)))
    1.0
    """

    is_additive: ClassVar[bool] = False

    def __init__(self, options: Options | None = None) -> None:
        """Take, as every component, options; there are none to set."""

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return the four counts as float64, shape (4,)."""
        return np.array(cldice_counts(prediction, target), dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) such statistics; nan without a target centreline."""
        return cldice(*numbers(statistics, 4))
