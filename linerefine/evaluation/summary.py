"""From the table of rounds to the few numbers a reader wants, by refiner and image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from linerefine.config import MANUAL
from linerefine.evaluation.numbers import Loop
from linerefine.evaluation.sessions import KEYS, session_summary

__all__ = ["summarise_sessions"]


def summarise_sessions(
    rounds: pd.DataFrame, metric: str, *, loop: Loop, budget: int, manual: str = MANUAL
) -> dict[str, Any]:
    """Return mean and standard deviation over repeats, by refiner and image.

    Parameters
    ----------
    rounds : DataFrame
        The table of rounds (see `linerefine.report.RunResult`).
    metric : str
        The steering metric.
    loop : {"shared", "independent"}
        By which the rounds were made.
    budget : int
        Most interactions of a session.
    manual : str
        Key of the manual person of the independent loop.

    Returns
    -------
    summary : dict
        refiner -> {"images": {image: {number: mean, number + "_sd": sd,
        "repeats", "reached"}}, "mean": {number: mean over images}}, the numbers
        those of `session_summary`. Means skip nan; ``reached`` says in how many
        repeats the mark was reached.
    """
    sessions = session_summary(rounds, metric, loop=loop, budget=budget, manual=manual)
    return {
        str(refiner): {
            "images": {str(i): _over_repeats(part) for i, part in group.groupby("image")},
            "mean": _means(
                group.drop(columns=["reached"]).groupby("image").mean(numeric_only=True)
            ),
        }
        for refiner, group in sessions.groupby("refiner", sort=False)
    }


def _over_repeats(part: pd.DataFrame) -> Mapping[str, float]:
    values = part.drop(columns=[*KEYS, "reached"])
    spread = {f"{name}_sd": float(values[name].std(ddof=0)) for name in values.columns}
    return _means(values) | spread | {"repeats": len(part), "reached": int(part["reached"].sum())}


def _means(values: pd.DataFrame) -> dict[str, float]:
    return {str(name): float(values[name].mean()) for name in values.columns if name != "repeat"}
