"""The printed tables of sessions on whole images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from linerefine.evaluation.numbers import Loop
from linerefine.report import Table

__all__ = ["session_tables"]

_BEST = {"shared": "manual best", "independent": "manual person's best"}
_GAIN = {
    "shared": "gain: refined over manual {metric} after the same strokes, minus one.",
    "independent": "gain: {metric} over the manual person's after as many interactions, minus one, "
    "over the first 200.",
}
_REDUCED = {
    "shared": "Reductions until the manual best, read where it is reached: {reached} of {total} "
    "sessions; the others are left out.",
    "independent": "Reductions until the manual person's best, read where it is reached: {reached} "
    "of {total} sessions; the others count with the full budget.",
}
_CONDUCT = (
    "Per stroke: pixels nobody touched that became wrong (regret) and right (repaired), share of "
    "the stroke in which the refiner agrees by itself (compliance), share of strokes after which "
    "the image's score fell (worse). Seconds are a mouse model's, not a person's."
)
_ALONE = "No refiner `manual` in this run: there is nobody to compare with."


def session_tables(
    refiner: str, summary: Mapping[str, Any], metric: str, *, loop: Loop
) -> tuple[Table, Table]:
    """Return the printed tables of one refiner's sessions: scores, and what they cost.

    Parameters
    ----------
    refiner : str
        Its key.
    summary : mapping
        Its part of `linerefine.evaluation.summary.summarise_sessions`.
    metric : str
        The steering metric.
    loop : {"shared", "independent"}
        By which the sessions were made.
    """
    best = _BEST[loop]
    scores = {
        f"initial {metric}": "initial",
        "revised": "revised",
        best: "manual_best",
        "refined best": "refined_best",
        "max gain": "max_gain",
        "mean gain": "mean_gain",
        "gain > 0": "positive_share",
        "workload reduction": "workload_reduction",
    }
    images = summary["images"].values()
    if not any(abs(image["revised"] - image["initial"]) > 0 for image in images):
        del scores["revised"]
    reached = sum(image["reached"] for image in images)
    total = sum(image["repeats"] for image in images)
    note = f"{_GAIN[loop]} {_REDUCED[loop]} Workload in hinted pixels."
    if loop == "independent" and all(math.isnan(image["manual_best"]) for image in images):
        note = _ALONE
    return (
        Table(
            title=f"{refiner}: sessions on whole images, mean over repeats",
            columns=("image", "rounds", *scores),
            rows=_rows(summary, {"rounds": "rounds"} | scores),
            percent=frozenset(scores),
            note=note.format(metric=metric, reached=reached, total=total),
        ),
        _conduct_table(refiner, summary),
    )


def _conduct_table(refiner: str, summary: Mapping[str, Any]) -> Table:
    shares = {
        "compliance": "compliance",
        "worse": "worse_share",
        "fewer strokes": "reduction_interactions",
        "shorter strokes": "reduction_length",
        "fewer seconds": "reduction_seconds",
    }
    counts = {"regret": "regret", "repaired": "repaired"}
    spent = {"seconds": "simulated_seconds"}
    return Table(
        title=f"{refiner}: what a stroke did, and what the work cost, mean over repeats",
        columns=("image", *counts, *shares, *spent),
        rows=_rows(summary, counts | shares | spent),
        percent=frozenset(shares),
        note=_CONDUCT,
    )


def _rows(summary: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"image": name} | {title: numbers[key] for title, key in columns.items()}
        for name, numbers in [*summary["images"].items(), ("mean", summary["mean"])]
    )
