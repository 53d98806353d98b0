"""Views of a study that are tables: scores on patches, sessions on whole images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from linerefine.config import MANUAL
from linerefine.evaluation.sessions import sessions_of
from linerefine.evaluation.statistics import Estimate, estimate, paired_test
from linerefine.report import RunResult, Section, Table
from linerefine.studies.perform import Outcome

__all__ = ["patches_view", "sessions_view"]

FIRST = "first prediction"
MOST_IMAGES = 6
"""Tables have a row per image up to so many; all of them are in the run's rounds.parquet."""
GAINS = ("gain", "gain sd", "gain, 95 %")


def patches_view(outcome: Outcome) -> Section:
    """Show scores on the patches of the test images after one stroke each (paper, Table 1)."""
    result = outcome.first
    if result.patches.empty:
        return Section("Patches", "")
    tables = [_patch_table(outcome, result)]
    gains = {
        str(refiner): dict(zip(part["pass"], part["relative_gain"], strict=True))
        for refiner, part in result.patches.groupby("refiner", sort=False)
    }
    tables += _differences(gains, "Differences in gain between variants, on patches", "pass")
    text = (
        "One stroke on each patch, add or erase by chance; pixels pooled over all patches. Gain is "
        "the refined over the manual pFM of the same strokes, minus one; intervals are over passes."
    )
    return Section("Patches", text, tuple(tables))


def _patch_table(outcome: Outcome, result: RunResult) -> Table:
    metrics = [part.name for part in result.config.metrics if _is_scored(result, part.name)]
    first = {name: result.patches[f"initial_{name}"].iloc[0] for name in metrics}
    rows: list[Mapping[str, Any]] = [{"refiner": FIRST, **first}]
    for refiner, passes in result.patches.groupby("refiner", sort=False):
        row: dict[str, Any] = {"refiner": refiner}
        for name in metrics:
            row |= {
                name: passes[f"refined_{name}"].mean(),
                f"{name}, by hand": passes[f"manual_{name}"].mean(),
            }
        gain = estimate({"all patches": passes["relative_gain"].tolist()})
        row |= dict(zip(GAINS, (gain.mean, gain.sd, _interval(gain)), strict=True))
        trained = result.summary["training"].get(str(refiner), {})
        rows.append({**row, "best epoch": trained.get("best_epoch")})
    scores = [column for name in metrics for column in (name, f"{name}, by hand")]
    columns = ("refiner", *scores, *GAINS, "best epoch")
    return Table(
        f"After one stroke on each patch, {outcome.data}",
        columns,
        (*rows, *outcome.study.published.get("patches", ())),
        percent=frozenset((*scores, "gain", "gain sd")),
        note=f"Means over {result.config.evaluation.patch_passes} passes.",
        best={"gain": "max"},
    )


def _is_scored(result: RunResult, metric: str) -> bool:
    return f"refined_{metric}" in result.patches.columns


def sessions_view(outcome: Outcome) -> Section:
    """Show what sessions on whole images achieved, by the rules of each protocol."""
    tables: list[Table] = []
    for protocol, result in outcome.results.items():
        if not result.rounds.empty:
            tables += _session_tables(outcome, protocol, result)
    published = outcome.study.published.get("sessions", ())
    if published:
        columns = tuple(dict.fromkeys(column for row in published for column in row))
        tables.append(Table("Published", columns, tuple(published)))
    return Section("Whole images", _EXPLAINED, tuple(tables) if len(tables) > 1 else ())


_EXPLAINED = (
    "Protocol 'paper': both curves come from the same strokes, each accepted only if it helps by "
    "hand; gain compares them after equal strokes. Protocol 'independent': the person by hand and "
    "the person with a refiner work apart, each on the mistakes they see; gain compares them after "
    "equally many interactions.\n\n"
    "Reductions are read at the crossing, in the unit named; a mark that is never reached is "
    "undefined under 'paper' and counts as the full budget under 'independent', where a few such "
    "sessions can rule the mean: look at the median too. Regret: pixels per "
    "stroke that were right, untouched by the person, and became wrong. Worse: share of strokes "
    "after which the displayed image scored less."
)


def _session_tables(outcome: Outcome, protocol: str, result: RunResult) -> Iterator[Table]:
    sessions = sessions_of(result.rounds, result.config)
    assisted = sessions[~sessions["refiner"].isin(_people(result))]
    by_refiner = {
        part.key: assisted[assisted["refiner"] == part.key]
        for part in result.config.refiners
        if (assisted["refiner"] == part.key).any()
    }
    rows = tuple(row for key, part in by_refiner.items() for row in _refiner_rows(key, part))
    for what, titles in (("Sessions", SCORES), ("Effort and conduct", COSTS)):
        columns = ("refiner", "image", *titles, "reached")
        shown = tuple({column: row[column] for column in columns} for row in rows)
        title = f"{what}, protocol {protocol}, {outcome.data}"
        yield Table(title, columns, shown, percent=_PERCENT, note=_note(result))
    gains = {
        key: part.groupby("image")["mean_gain"].mean().to_dict() for key, part in by_refiner.items()
    }
    yield from _differences(gains, f"Differences in mean gain, protocol {protocol}", "image")


SCORES = {
    "initial": "initial",
    "manual best": "manual_best",
    "refined best": "refined_best",
    "max gain": "max_gain",
    "mean gain": "mean_gain",
}
COSTS = {
    "fewer interactions": "reduction_interactions",
    "fewer hinted pixels": "workload_reduction",
    "less stroke length": "reduction_length",
    "less time": "reduction_seconds",
    "regret": "regret",
    "compliance": "compliance",
    "worse": "worse_share",
}
NUMBERS = SCORES | COSTS
"""Column of a table -> column of `session_summary`."""

_PERCENT = frozenset(NUMBERS) - {"regret"}


def _refiner_rows(refiner: str, part: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a row per image if there are few, then the mean with its interval, and the median."""
    if 1 < part["image"].nunique() <= MOST_IMAGES:
        for image, sessions in part.groupby("image"):
            means = {title: sessions[column].mean() for title, column in NUMBERS.items()}
            yield {"refiner": refiner, "image": image, **means, "reached": _reached(sessions)}
    estimates = {title: _estimate(part, column) for title, column in NUMBERS.items()}
    means = {title: found.mean for title, found in estimates.items()}
    yield {"refiner": refiner, "image": "mean", **means, "reached": _reached(part)}
    intervals = {title: _interval(found, title) for title, found in estimates.items()}
    yield {"refiner": refiner, "image": "95 %", **intervals, "reached": ""}
    medians = {title: found.median for title, found in estimates.items()}
    yield {"refiner": refiner, "image": "median", **medians, "reached": ""}


def _estimate(part: pd.DataFrame, column: str) -> Estimate:
    return estimate({str(i): s[column].tolist() for i, s in part.groupby("image")})


def _reached(sessions: pd.DataFrame) -> str:
    return f"{int(sessions['reached'].sum())} of {len(sessions)}"


def _people(result: RunResult) -> list[str]:
    """Return the keys of those who work without a refiner."""
    return [part.key for part in result.config.refiners if part.name == MANUAL]


def _note(result: RunResult) -> str:
    evaluation = result.config.evaluation
    return (
        f"{evaluation.repeats} sessions per image, up to {evaluation.budget} strokes. 95 %: of the "
        f"mean, bootstrap over images, then repeats. Median: of all sessions."
    )


def _differences(
    values: Mapping[str, Mapping[Any, float]], title: str, pairs_of: str
) -> Iterator[Table]:
    """Yield the paired tests between all variants, if there are several."""
    rows = []
    for one, other in itertools.combinations(values, 2):
        shared = [key for key in values[one] if key in values[other]]
        test = paired_test(
            [values[one][key] for key in shared], [values[other][key] for key in shared]
        )
        rows.append(
            {
                "compared": f"{one} - {other}",
                "difference": test.mean_difference,
                "p, t-test": test.p_t,
                "p, Wilcoxon": test.p_wilcoxon,
                "pairs": test.pairs,
                "differs at 95 %": test.note or ("yes" if test.p_t < 0.05 else "no"),
            }
        )
    if rows:
        note = f"Paired by {pairs_of}; not corrected for the number of comparisons."
        yield Table(title, tuple(rows[0]), tuple(rows), frozenset({"difference"}), note)


def _interval(found: Estimate, title: str = "gain") -> str:
    """Return an interval in words, in percent unless the column counts pixels."""
    ends: Sequence[float] = (found.low, found.high)
    if any(math.isnan(end) for end in ends):
        return ""
    low, high = (f"{end:.1f}" if title == "regret" else f"{100 * end:.1f}" for end in ends)
    return f"{low} to {high}"
