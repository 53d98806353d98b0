"""From the table of rounds to the few numbers a reader wants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from linerefine.evaluation.effort import workload_reduction
from linerefine.report import Table

__all__ = ["session_numbers", "session_table", "summarise_sessions"]


def session_numbers(curve: pd.DataFrame, metric: str) -> dict[str, float]:
    """Return what one session (one refiner, repeat and image) achieved.

    Parameters
    ----------
    curve : DataFrame
        Its rounds in order, round 0 first.
    metric : str
        The steering metric.

    Returns
    -------
    numbers : dict
        ``initial``, ``manual_best``, ``refined_best``, ``refined_last``,
        ``max_gain``, ``mean_gain`` (over rounds 1, 2, ...), ``positive_share``
        (rounds with a gain above zero), ``workload_reduction`` (in hinted
        pixels; nan if not reached), ``rounds``, ``hinted_pixels``.
    """
    manual = curve[f"manual_{metric}"].to_numpy(dtype=float)
    refined = curve[f"refined_{metric}"].to_numpy(dtype=float)
    effort = curve["effort"].to_numpy(dtype=float)
    gain = curve["relative_gain"].to_numpy(dtype=float)[1:]
    gain = gain[~np.isnan(gain)]
    return {
        "initial": float(manual[0]),
        "manual_best": _largest(manual),
        "refined_best": _largest(refined),
        "refined_last": float(refined[-1]),
        "max_gain": _largest(gain),
        "mean_gain": float(gain.mean()) if gain.size else math.nan,
        "positive_share": float((gain > 0).mean()) if gain.size else math.nan,
        "workload_reduction": workload_reduction(manual, effort, refined, effort),
        "rounds": float(len(curve) - 1),
        "hinted_pixels": float(effort[-1]),
    }


def summarise_sessions(rounds: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Return mean and standard deviation over repeats, by refiner and image.

    Parameters
    ----------
    rounds : DataFrame
        The table of rounds (see `linerefine.report.RunResult`).
    metric : str
        The steering metric.

    Returns
    -------
    summary : dict
        refiner -> {"images": {image: {number: mean, number + "_sd": sd,
        "repeats", "reached"}}, "mean": {number: mean over images}}.
        Means skip nan; ``reached`` says in how many repeats the manual
        curve's best score was reached.
    """
    if rounds.empty:
        return {}
    keys = ["refiner", "image", "repeat"]
    numbers = pd.DataFrame(
        [
            dict(zip(keys, key, strict=True)) | session_numbers(curve.sort_values("round"), metric)
            for key, curve in rounds.groupby(keys, sort=True)
        ]
    )
    return {
        str(refiner): {
            "images": {str(i): _over_repeats(part) for i, part in group.groupby("image")},
            "mean": _means(group.groupby("image").mean(numeric_only=True)),
        }
        for refiner, group in numbers.groupby("refiner", sort=False)
    }


def session_table(refiner: str, summary: Mapping[str, Any], metric: str) -> Table:
    """Return the printed table of one refiner's sessions."""
    columns = {
        "image": "image",
        "rounds": "rounds",
        f"initial {metric}": "initial",
        "manual best": "manual_best",
        "refined best": "refined_best",
        "max gain": "max_gain",
        "mean gain": "mean_gain",
        "gain > 0": "positive_share",
        "workload reduction": "workload_reduction",
    }
    rows = [
        {title: name if key == "image" else numbers[key] for title, key in columns.items()}
        for name, numbers in [*summary["images"].items(), ("mean", summary["mean"])]
    ]
    reached = sum(image["reached"] for image in summary["images"].values())
    total = sum(image["repeats"] for image in summary["images"].values())
    return Table(
        title=f"{refiner}: sessions on whole images, mean over repeats",
        columns=tuple(columns),
        rows=tuple(rows),
        percent=frozenset(columns) - {"image", "rounds"},
        note=(
            f"gain: refined over manual {metric} after the same strokes, minus one. "
            f"Workload reduction in hinted pixels; the manual best was reached in "
            f"{reached} of {total} sessions."
        ),
    )


def _over_repeats(part: pd.DataFrame) -> dict[str, float]:
    values = part.drop(columns=["refiner", "image", "repeat"])
    means = _means(values)
    spread = {f"{name}_sd": float(values[name].std(ddof=0)) for name in values.columns}
    reached = int(values["workload_reduction"].notna().sum())
    return means | spread | {"repeats": len(part), "reached": reached}


def _means(values: pd.DataFrame) -> dict[str, float]:
    return {str(name): float(values[name].mean()) for name in values.columns if name != "repeat"}


def _largest(values: np.ndarray[Any, Any]) -> float:
    return float(np.nanmax(values)) if values.size and not np.isnan(values).all() else math.nan
