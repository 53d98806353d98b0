"""Length bias: by how much there is too much line, or too little."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.metrics.centrelines import centreline_length, centrelines
from linerefine.metrics.functional import numbers
from linerefine.samples import Target
from linerefine.types import Mask

if TYPE_CHECKING:
    from linerefine.config import Options

__all__ = ["LengthBias", "length_bias"]


def length_bias(predicted: float, expected: float) -> float:
    """Return by which share the predicted centreline is too long.

    Parameters
    ----------
    predicted, expected : float
        Lengths as `linerefine.metrics.centrelines.centreline_length` gives
        them, or sums of such lengths.

    Returns
    -------
    bias : float
        ``predicted / expected - 1``: negative if too short, -1 if nothing is
        predicted; nan if the target has no length.

    Examples
    --------
    >>> length_bias(90.0, 120.0)
    -0.25
    """
    return predicted / expected - 1 if expected else nan


class LengthBias(Metric):
    """Size of the length bias, whichever way it points; see `length_bias`.

    Statistics are both lengths, ``(predicted, expected)``.

    Examples
    --------
    >>> line = np.eye(4, dtype=bool)
    >>> LengthBias().score(line, Target(line, roi=np.ones_like(line)))
    0.0
    """

    higher_is_better: ClassVar[bool] = False
    is_additive: ClassVar[bool] = False

    def __init__(self, options: Options | None = None) -> None:
        """Take, as every component, options; there are none to set."""

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return both lengths as float64, shape (2,)."""
        return np.array([*map(centreline_length, centrelines(prediction, target))])

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) such statistics; nan if the target has no length."""
        return abs(length_bias(*numbers(statistics, 2)))
