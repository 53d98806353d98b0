"""The metrics that every dataset of lines needs.

All of them: undefined, nan, where the target has no line inside the ROI; 0
where it has some and the prediction meets none of it; 1 for the target itself.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.metrics import functional
from linerefine.samples import Target
from linerefine.types import Mask

if TYPE_CHECKING:
    from linerefine.config import Options

__all__ = ["Dice", "FMeasure", "IoU", "PseudoFMeasure"]


class _Overlap(Metric):
    """A metric of true positives, false positives and false negatives."""

    def __init__(self, options: Options | None = None) -> None:
        """Take, as every component, options; there are none to set."""

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return tp, fp, fn inside the ROI as float64, shape (3,)."""
        return np.array(functional.confusion(prediction, target)[:3], dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) such statistics; nan without target lines."""
        return self._formula(*functional.numbers(statistics, 3))

    @abstractmethod
    def _formula(self, tp: float, fp: float, fn: float) -> float:
        """Return the score of these counts."""


class IoU(_Overlap):
    """Intersection over union; see `linerefine.metrics.functional.iou`.

    Statistics are ``(tp, fp, fn)``.

    Examples
    --------
    >>> line = np.eye(4, dtype=bool)
    >>> IoU().score(line, Target(line, roi=np.ones_like(line)))
    1.0
    """

    def _formula(self, tp: float, fp: float, fn: float) -> float:
        return functional.iou(tp, fp, fn)


class Dice(_Overlap):
    """Dice coefficient; see `linerefine.metrics.functional.dice`.

    Statistics are ``(tp, fp, fn)``.
    """

    def _formula(self, tp: float, fp: float, fn: float) -> float:
        return functional.dice(tp, fp, fn)


class FMeasure(_Overlap):
    """F-measure; see `linerefine.metrics.functional.f_measure`.

    Statistics are ``(tp, fp, fn)``.
    """

    def _formula(self, tp: float, fp: float, fn: float) -> float:
        return functional.f_measure(tp, fp, fn)


class PseudoFMeasure(Metric):
    """Pseudo-F-measure (pFM); see `linerefine.metrics.functional.pseudo_f_measure`.

    Statistics are ``(tp, fp, fn, ptp, nskel)``. The thinned target is the one
    that the target keeps: a `Target.window` counts the whole image's thinning,
    a `Target.crop` its own, and the two scores may differ.

    Examples
    --------
    >>> line = np.eye(4, dtype=bool)
    >>> PseudoFMeasure().score(line, Target(line, roi=np.ones_like(line)))
    1.0
    """

    def __init__(self, options: Options | None = None) -> None:
        """Take, as every component, options; there are none to set."""

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return tp, fp, fn, ptp, nskel inside the ROI as float64, shape (5,)."""
        tp, fp, fn, _ = functional.confusion(prediction, target)
        counts = (tp, fp, fn, *functional.pseudo_counts(prediction, target))
        return np.array(counts, dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) such statistics; nan without target lines."""
        tp, fp, _, ptp, nskel = functional.numbers(statistics, 5)
        return functional.pseudo_f_measure(tp, fp, ptp, nskel)
