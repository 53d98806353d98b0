"""The paper's score sheet, filled in by a finished run, beside the paper's own figures.

References
----------
Sterzinger, Stippel, Sablatnig: Fusing Forces: Deep-Human-Guided Refinement of
Segmentation Masks. ICPR 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from linerefine.report import Report, RunResult, Table

__all__ = ["score_sheet"]

PAPER = "paper, real mirrors"
NOT_REACHED = "not reached"

# Table 1; the relative gain is section 4.2's "around +6%".
PAPER_FIRST = {"iou": 0.3286, "pfm": 0.4928}
PAPER_PATCH_GAIN = 0.06
# Section 5, Figures 5 and 6.
PAPER_GAIN = "12 to 26 %"
PAPER_GAIN_1700 = 0.12
PAPER_WORKLOAD = "56 to 75 %"
# config.py of the authors' code: half-widths at full resolution.
PAPER_WIDTHS = {
    "kept_mean": 6.194,
    "kept_sd": 1.494,
    "gamma_shape": 49.12885,
    "gamma_loc": -4.27884,
    "gamma_scale": 0.213167,
}

SIMULATED = (
    "Simulated annotator: place, operation and acceptance of strokes are chosen by the target, "
    "and the manual curve uses the same strokes pasted on the first prediction."
)
WORKLOAD = (
    "Workload reduction: hinted pixels saved until the refined curve reaches the manual curve's "
    "best score, read at the crossing; the paper reads ten strokes before it and counts 'not "
    "reached' as 0."
)
INDEPENDENT = (
    "Simulated annotators, each correcting what they see: the assisted one the refined prediction, "
    "the manual one (refiner `manual`) their own strokes on the first prediction; no stroke is "
    "tried or refused by the target. Gain after as many interactions, over the first 200. Workload "
    "reduction in hinted pixels until the manual annotator's best score; never reached counts "
    "with the full budget."
)
PATCHES = (
    "One stroke on each patch, pixels pooled over all patches; gain is refined over manual score, "
    "minus one; mean and standard deviation over passes."
)
WIDTHS = "Half-widths in pixels of the grid they were measured on; gamma fits are ill-conditioned."


def score_sheet(result: RunResult) -> Report:
    """Return the paper's tables for a run: patches, whole mirrors, stroke widths.

    Parameters
    ----------
    result : RunResult
        A finished run; tables whose data it lacks are left out.

    Notes
    -----
    Every table of a run on drawn mirrors says so in its title.
    """
    tables = (_patch_table(result), _mirror_table(result), _width_table(result))
    return Report(tuple(table for table in tables if table is not None))


def _title(text: str, result: RunResult) -> str:
    is_drawn = result.tags.get("data") == "phantom"
    return f"{text} [phantoms: drawn mirrors, not real scans]" if is_drawn else text


def _patch_table(result: RunResult) -> Table | None:
    if result.patches.empty:
        return None
    metrics = [part.name for part in result.config.metrics]
    rows: list[Mapping[str, Any]] = []
    for refiner, passes in result.patches.groupby("refiner", sort=False):
        for stage in ("initial", "manual", "refined"):
            row: dict[str, Any] = {"refiner": refiner, "prediction": _STAGES[stage]}
            for metric in metrics:
                scores = passes[f"{stage}_{metric}"].astype(float)
                row |= {metric: scores.mean(), f"{metric} sd": scores.std(ddof=0)}
            if stage == "refined":
                gain = passes["relative_gain"].astype(float)
                row |= {"relative gain": gain.mean(), "gain sd": gain.std(ddof=0)}
            rows.append(row)
    rows.append({"refiner": PAPER, "prediction": _STAGES["initial"], **PAPER_FIRST})
    paper = {"prediction": _STAGES["refined"], "relative gain": PAPER_PATCH_GAIN}
    rows.append({"refiner": PAPER, **paper})
    scored = [column for metric in metrics for column in (metric, f"{metric} sd")]
    columns = ("refiner", "prediction", *scored, "relative gain", "gain sd")
    return Table(
        title=_title("Test patches after one stroke each (paper, Table 1)", result),
        columns=columns,
        rows=tuple({name: row[name] for name in columns if name in row} for row in rows),
        percent=frozenset(columns[2:]),
        note=PATCHES,
    )


_STAGES = {
    "initial": "first prediction",
    "manual": "stroke pasted by hand",
    "refined": "refined",
}


def _mirror_table(result: RunResult) -> Table | None:
    # With pandas: only where used.
    from linerefine.evaluation.sessions import by_hand
    from linerefine.evaluation.summary import summarise_sessions

    if result.rounds.empty:
        return None
    steering, *others = (part.name for part in result.config.metrics)
    loop, budget = result.config.evaluation.loop, result.config.evaluation.budget
    manual = by_hand(result.config.refiners)
    by_metric = {
        name: summarise_sessions(result.rounds, name, loop=loop, budget=budget, manual=manual)
        for name in (steering, *others)
    }
    rows: list[Mapping[str, Any]] = []
    for refiner, sessions in by_metric[steering].items():
        for image, numbers in sessions["images"].items():
            row = {"refiner": refiner, "mirror": image, **_mirror_row(numbers, steering)}
            for other in others:
                best = by_metric[other][refiner]["images"][image]["refined_best"]
                row[f"refined best {other}"] = best
            rows.append(row)
    rows += [
        {"refiner": PAPER, "mirror": "ANSA-VI-1700_R", "max gain": PAPER_GAIN_1700},
        {
            "refiner": PAPER,
            "mirror": "all three",
            "max gain": PAPER_GAIN,
            "workload reduction": PAPER_WORKLOAD,
        },
    ]
    scores = (f"initial {steering}", f"manual best {steering}", f"refined best {steering}")
    extra = tuple(f"refined best {other}" for other in others)
    gains = ("max gain", "workload reduction")
    return Table(
        title=_title("Whole mirrors, mean over sessions (paper, Figures 5 and 6)", result),
        columns=("refiner", "mirror", *scores, *extra, *gains, "reached", "interactions"),
        rows=tuple(rows),
        percent=frozenset((*scores, *extra, *gains)),
        note=INDEPENDENT if loop == "independent" else f"{WORKLOAD} {SIMULATED}",
    )


def _mirror_row(numbers: Mapping[str, Any], metric: str) -> dict[str, Any]:
    reduction = numbers["workload_reduction"]
    return {
        f"initial {metric}": numbers["initial"],
        f"manual best {metric}": numbers["manual_best"],
        f"refined best {metric}": numbers["refined_best"],
        "max gain": numbers["max_gain"],
        "workload reduction": NOT_REACHED if math.isnan(reduction) else reduction,
        "reached": f"{numbers['reached']} of {numbers['repeats']}",
        "interactions": numbers["rounds"],
    }


def _width_table(result: RunResult) -> Table | None:
    measured = result.summary.get("simulator", {})
    if "kept_mean" not in measured:
        return None
    columns = ("drawings", *PAPER_WIDTHS, "half_width")
    rows = (
        {"drawings": "this run, training", **measured},
        {"drawings": f"{PAPER}, full resolution", **PAPER_WIDTHS},
    )
    return Table(
        title=_title("Half-widths of drawn lines (paper, Figure 3)", result),
        columns=columns,
        rows=tuple({name: row[name] for name in columns if name in row} for row in rows),
        note=WIDTHS,
    )
