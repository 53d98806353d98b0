"""Counts of pixels, and the formulas that make scores of them.

Counts are additive: those of an image are the sums of those of its windows.
Formulas are therefore applied last, to sums over whatever is to be scored.
All count only pixels inside the target's ROI.
"""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.samples import Target
from linerefine.types import Mask

__all__ = [
    "confusion",
    "dice",
    "f_measure",
    "harmonic_mean",
    "inside",
    "iou",
    "numbers",
    "pseudo_counts",
    "pseudo_f_measure",
]


def confusion(prediction: Mask, target: Target) -> tuple[int, int, int, int]:
    """Count true and false positives and negatives inside the ROI.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.

    Returns
    -------
    tp, fp, fn, tn : int
        Line in both, in the prediction only, in the target only, in neither.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.

    Examples
    --------
    >>> everywhere = np.ones((1, 4), dtype=bool)
    >>> target = Target(np.array([[True, True, False, False]]), roi=everywhere)
    >>> confusion(np.array([[True, False, False, False]]), target)
    (1, 0, 1, 2)
    """
    predicted = inside(prediction, target)
    lines = target.mask & target.roi
    tp = _count(predicted & lines)
    fp = _count(predicted) - tp
    fn = _count(lines) - tp
    return tp, fp, fn, _count(target.roi) - tp - fp - fn


def pseudo_counts(prediction: Mask, target: Target) -> tuple[int, int]:
    """Count pixels of the thinned target inside the ROI: those predicted, and all.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid; its `Target.thinned` is counted.

    Returns
    -------
    ptp, nskel : int
        Pixels of the thinned target that are predicted, and all of them.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.

    Examples
    --------
    >>> line = np.zeros((5, 7), dtype=bool)
    >>> line[1:4, 1:6] = True
    >>> pseudo_counts(np.eye(5, 7, dtype=bool), Target(line, roi=np.ones_like(line)))
    (1, 3)
    """
    predicted = inside(prediction, target)
    thinned = target.thinned & target.roi
    return _count(predicted & thinned), _count(thinned)


def iou(tp: float, fp: float, fn: float, *, zero_division: float = nan) -> float:
    """Return intersection over union, ``tp / (tp + fp + fn)``.

    Parameters
    ----------
    tp, fp, fn : float
        Counts as `confusion` gives them, or sums of such counts.
    zero_division : float
        What to return without target lines, where the score is undefined.

    Returns
    -------
    score : float
        In [0, 1]. 0 if target lines exist and none is predicted.

    Examples
    --------
    >>> iou(1, 1, 2)
    0.25
    >>> iou(0, 5, 0)
    nan
    """
    return zero_division if tp + fn == 0 else float(tp / (tp + fp + fn))


def dice(tp: float, fp: float, fn: float, *, zero_division: float = nan) -> float:
    """Return the Dice coefficient, ``2 tp / (2 tp + fp + fn)``.

    The same number as `f_measure`: two fields, two names.

    Parameters
    ----------
    tp, fp, fn : float
        Counts as `confusion` gives them, or sums of such counts.
    zero_division : float
        What to return without target lines, where the score is undefined.

    Returns
    -------
    score : float
        In [0, 1]. 0 if target lines exist and none is predicted.

    Examples
    --------
    >>> dice(1, 1, 1)
    0.5
    """
    return zero_division if tp + fn == 0 else float(2 * tp / (2 * tp + fp + fn))


def f_measure(tp: float, fp: float, fn: float, *, zero_division: float = nan) -> float:
    """Return the F-measure, harmonic mean of precision and recall.

    Parameters
    ----------
    tp, fp, fn : float
        Counts as `confusion` gives them, or sums of such counts.
    zero_division : float
        What to return without target lines, where recall is undefined.

    Returns
    -------
    score : float
        In [0, 1]. 0 if target lines exist and none is predicted.

    Notes
    -----
    Precision is ``tp / (tp + fp)``, recall ``tp / (tp + fn)``.

    Examples
    --------
    >>> f_measure(1, 1, 1)
    0.5
    """
    if tp + fn == 0:
        return zero_division
    return harmonic_mean(_precision(tp, fp), tp / (tp + fn))


def pseudo_f_measure(
    tp: float, fp: float, ptp: float, nskel: float, *, zero_division: float = nan
) -> float:
    """Return the pseudo-F-measure, harmonic mean of precision and pseudo-recall.

    Parameters
    ----------
    tp, fp : float
        Counts as `confusion` gives them, or sums of such counts.
    ptp, nskel : float
        Counts as `pseudo_counts` gives them, or sums of such counts.
    zero_division : float
        What to return without target lines, where pseudo-recall is undefined.
        0 gives the values of the authors' code.

    Returns
    -------
    score : float
        In [0, 1]. 0 if target lines exist and none is predicted.

    Notes
    -----
    Precision is ``tp / (tp + fp)``, pseudo-recall ``ptp / nskel``: the share
    of the thinned target that is predicted, so that the width of a line does
    not decide whether it counts as found.

    References
    ----------
    I. Pratikakis, B. Gatos and K. Ntirogiannis, "H-DIBCO 2010: handwritten
    document image binarization competition", ICFHR 2010.
    DOI 10.1109/ICFHR.2010.118

    Examples
    --------
    >>> pseudo_f_measure(tp=3, fp=1, ptp=3, nskel=4)
    0.75
    """
    if nskel == 0:
        return zero_division
    return harmonic_mean(_precision(tp, fp), ptp / nskel)


def harmonic_mean(precision: float, recall: float) -> float:
    """Return the harmonic mean of two shares; 0 if both are."""
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def inside(prediction: Mask, target: Target) -> Mask:
    """Return the predicted pixels inside the ROI.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.

    Returns
    -------
    predicted : ndarray of bool, shape (H, W)
        A new array.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.
    """
    if prediction.shape != target.mask.shape or prediction.dtype != np.bool_:
        msg = (
            f"prediction has shape {prediction.shape} and type {prediction.dtype}, "
            f"expected {target.mask.shape} and bool as the target's."
        )
        raise ShapeError(msg)
    return prediction & target.roi


def numbers(statistics: NDArray[np.float64], count: int) -> list[float]:
    """Return statistics as numbers.

    Parameters
    ----------
    statistics : ndarray of float64, shape (S,)
    count : int
        The S that is expected.

    Raises
    ------
    ShapeError
        If there are more or fewer.
    """
    if statistics.shape != (count,):
        msg = f"statistics have shape {statistics.shape}, expected ({count},)."
        raise ShapeError(msg)
    values: list[float] = statistics.tolist()
    return values


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _precision(tp: float, fp: float) -> float:
    # Nothing predicted is nothing found: the harmonic mean is 0 whatever stands here.
    return tp / (tp + fp) if tp + fp > 0 else 0.0
