"""How much work was saved: relative gain, effort to a score, workload reduction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.gain import relative_gain

__all__ = ["effort_to_reach", "first_reaching", "relative_gain", "workload_reduction"]


def first_reaching(scores: Sequence[float] | NDArray[np.float64], score: float) -> int | None:
    """Return the first index whose score is at least the given one; None if none is."""
    reached = np.flatnonzero(np.asarray(scores, dtype=np.float64) >= score)
    return int(reached[0]) if reached.size else None


def effort_to_reach(
    scores: Sequence[float] | NDArray[np.float64],
    efforts: Sequence[float] | NDArray[np.float64],
    score: float,
) -> float:
    """Return the effort at the first round that reaches a score; nan if none does.

    Raises
    ------
    ShapeError
        If the two sequences differ in length.
    """
    if len(scores) != len(efforts):
        msg = f"{len(scores)} scores and {len(efforts)} efforts given; one of each per round."
        raise ShapeError(msg)
    index = first_reaching(scores, score)
    return math.nan if index is None else float(efforts[index])


def workload_reduction(
    manual_scores: Sequence[float] | NDArray[np.float64],
    manual_effort: Sequence[float] | NDArray[np.float64],
    refined_scores: Sequence[float] | NDArray[np.float64],
    refined_effort: Sequence[float] | NDArray[np.float64],
) -> float:
    """Return the share of manual effort that refinement saves.

    The mark is the best score of the manual curve, at the round that first
    reaches it; the refined curve is read at the first round at or above it.

    Parameters
    ----------
    manual_scores, refined_scores : sequence of float
        Score after each round, round 0 included.
    manual_effort, refined_effort : sequence of float
        Effort spent after each round, in any one unit.

    Returns
    -------
    reduction : float
        1 - (refined effort) / (manual effort), at most 1. nan if the refined
        curve never gets there, or the manual one never rises: the first is
        reported as "not reached", never as 0.

    Notes
    -----
    Paper, section 5 and Figure 6. The authors' code reads one record (ten
    strokes) *before* the crossing; we read at it.

    Examples
    --------
    >>> workload_reduction([0.5, 0.6, 0.7], [0, 10, 20], [0.5, 0.7, 0.8], [0, 10, 20])
    0.5
    """
    scores = np.asarray(manual_scores, dtype=np.float64)
    if scores.size == 0 or np.isnan(scores).all():
        return math.nan
    best = float(np.nanmax(scores))
    manual = effort_to_reach(scores, manual_effort, best)
    refined = effort_to_reach(refined_scores, refined_effort, best)
    if manual == 0 or math.isnan(refined):
        return math.nan
    return 1.0 - refined / manual
