"""What one session achieved, and what it cost, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linerefine.evaluation.effort import effort_to_reach, first_reaching, workload_reduction
from linerefine.evaluation.seconds import MouseOptions, simulated_seconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EFFORTS",
    "GAIN_STROKES",
    "TO_BEST",
    "Loop",
    "efforts",
    "gain_over",
    "session_numbers",
]

Loop: TypeAlias = Literal["shared", "independent"]

Values: TypeAlias = NDArray[np.float64]

GAIN_STROKES: Final = 200
"""Over so many strokes the gain of an independent session is looked at."""

EFFORTS: Final = {
    "interactions": "reduction_interactions",
    "length": "reduction_length",
    "pixels": "workload_reduction",
    "seconds": "reduction_seconds",
}
"""What effort is counted in, and what the reduction in it is called."""

TO_BEST: Final = {"interactions": "interactions_to_best", "pixels": "pixels_to_best"}
"""Units in which the effort to the manual best is kept as such, and what it is called."""


def session_numbers(
    curve: pd.DataFrame,
    metric: str,
    *,
    loop: Loop,
    budget: int,
    manual: pd.DataFrame | None = None,
    gain_strokes: int = GAIN_STROKES,
    mouse: MouseOptions | None = None,
) -> dict[str, float]:
    """Return what one session (one refiner, repeat and image) achieved.

    Parameters
    ----------
    curve : DataFrame
        Its rounds in order, round 0 first.
    metric : str
        The steering metric; higher is better.
    loop : {"shared", "independent"}
        By which the rounds were made.
    budget : int
        Most interactions of a session: what it costs never to reach the mark
        of an independent one.
    manual : DataFrame, optional
        For the independent loop: the rounds of the manual person on the same
        image and repeat. Without them all comparisons are nan.
    gain_strokes : int
        Over so many strokes the gain of an independent session is looked at.
    mouse : MouseOptions, optional
        How seconds are simulated.

    Returns
    -------
    numbers : dict
        The columns of `linerefine.evaluation.sessions.session_summary` but for
        its keys.
    """
    spent = efforts(curve, mouse)
    own = _own(curve, metric, spent)
    if loop == "shared":
        return own | _shared(curve, metric, spent)
    if manual is None:
        return own | _nothing()
    assisted, by_hand = (_column(each, f"refined_{metric}") for each in (curve, manual))
    steps = np.arange(1, min(gain_strokes, budget) + 1)
    return (
        own
        | _reached(assisted, by_hand, spent, efforts(manual, mouse), budget)
        | _gains(gain_over(assisted, by_hand, steps))
    )


def efforts(curve: pd.DataFrame, mouse: MouseOptions | None = None) -> dict[str, Values]:
    """Return what was spent after each round, shape (N,), by the keys of `EFFORTS`."""
    return {
        "interactions": curve["round"].to_numpy(dtype=np.float64),
        "length": _column(curve, "stroke_length"),
        "pixels": _column(curve, "effort"),
        "seconds": simulated_seconds(curve, mouse),
    }


def _own(curve: pd.DataFrame, metric: str, spent: Mapping[str, Values]) -> dict[str, float]:
    """Return what a session says of itself."""
    shown = _column(curve, f"refined_{metric}")
    change = np.diff(shown)
    change = change[~np.isnan(change)]
    return {
        "initial": float(_column(curve, f"manual_{metric}")[0]),
        "revised": float(shown[0]),
        "refined_best": _largest(shown),
        "refined_last": float(shown[-1]),
        "rounds": float(len(curve) - 1),
        "stroke_length": float(spent["length"][-1]),
        "hinted_pixels": float(spent["pixels"][-1]),
        "simulated_seconds": float(spent["seconds"][-1]),
        "regret": _per_stroke(_column(curve, "regret")),
        "repaired": _per_stroke(_column(curve, "repaired")),
        "compliance": _mean(_column(curve, "compliance")[1:]),
        "worse_share": _mean((change < 0).astype(np.float64)),
    }


def _shared(curve: pd.DataFrame, metric: str, spent: Mapping[str, Values]) -> dict[str, float]:
    """Return refined against manual curve, of the same strokes."""
    manual, refined = (_column(curve, f"{side}_{metric}") for side in ("manual", "refined"))
    reductions = {
        EFFORTS[unit]: workload_reduction(manual, effort, refined, effort)
        for unit, effort in spent.items()
    }
    best = _largest(manual)
    return {
        "manual_best": best,
        **_gains(_column(curve, "relative_gain")[1:]),
        **{name: effort_to_reach(refined, spent[unit], best) for unit, name in TO_BEST.items()},
        **reductions,
        "reached": float(not math.isnan(reductions["reduction_interactions"])),
    }


def _reached(
    assisted: Values,
    by_hand: Values,
    own: Mapping[str, Values],
    other: Mapping[str, Values],
    budget: int,
) -> dict[str, float]:
    """Return what an assisted person spent until the mark of a manual one, each on their own."""
    mark = _largest(by_hand)
    reached, needed = first_reaching(assisted, mark), first_reaching(by_hand, mark)
    reductions, spent = {}, {}
    for unit, name in EFFORTS.items():
        spent[unit] = _full(unit, own[unit], budget) if reached is None else own[unit][reached]
        baseline = 0.0 if needed is None else other[unit][needed]
        reductions[name] = float(1 - spent[unit] / baseline) if baseline > 0 else math.nan
    is_known = not math.isnan(mark)
    return {
        "manual_best": mark,
        **{name: float(spent[u]) if is_known else math.nan for u, name in TO_BEST.items()},
        **reductions,
        "reached": float(reached is not None) if is_known else math.nan,
    }


def gain_over(assisted: Values, by_hand: Values, steps: NDArray[np.intp]) -> Values:
    """Return relative gains after equally many interactions; curves stay where they ended.

    Parameters
    ----------
    assisted, by_hand : ndarray of float64, shape (N,) and (M,)
        Scores after 0, 1, ... interactions of two people, each on their own.
    steps : ndarray of int, shape (K,)
        After how many interactions to compare them.

    Returns
    -------
    gains : ndarray of float64, shape (K,)
        nan where the manual score is 0.

    Examples
    --------
    >>> gain_over(np.array([0.5, 0.6]), np.array([0.5, 0.5, 0.8]), np.arange(3)).round(2).tolist()
    [0.0, 0.2, -0.25]
    """
    scores, base = (each[np.minimum(steps, len(each) - 1)] for each in (assisted, by_hand))
    gains: Values = scores / np.where(base == 0, np.nan, base) - 1
    return gains


def _nothing() -> dict[str, float]:
    names = ("manual_best", *_gains(np.zeros(0)), *TO_BEST.values(), *EFFORTS.values(), "reached")
    return dict.fromkeys(names, math.nan)


def _full(unit: str, spent: Values, budget: int) -> float:
    """Return what the whole budget costs: that many interactions of the session's mean."""
    if unit == "interactions":
        return float(budget)
    strokes = len(spent) - 1
    return float(budget * spent[-1] / strokes) if strokes else math.nan


def _gains(gain: Values) -> dict[str, float]:
    known = gain[~np.isnan(gain)]
    return {
        "max_gain": _largest(known),
        "mean_gain": _mean(known),
        "positive_share": _mean((known > 0).astype(np.float64)),
    }


def _column(curve: pd.DataFrame, name: str) -> Values:
    """Return a column as float64; nan where a table from before it was counted lacks it."""
    if name not in curve:
        return np.full(len(curve), np.nan)
    values: Values = curve[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _per_stroke(counts: Values) -> float:
    """Return a mean over strokes; what was done before the first is shared among them."""
    first = 0.0 if math.isnan(counts[0]) else float(counts[0])
    known = counts[1:][~np.isnan(counts[1:])]
    return float((first + known.sum()) / known.size) if known.size else math.nan


def _mean(values: NDArray[Any]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _largest(values: NDArray[Any]) -> float:
    return float(np.nanmax(values)) if values.size and not np.isnan(values).all() else math.nan
