"""In what compared runs differ that has nothing to do with their refiners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from linerefine.comparison.numbers import Row
from linerefine.comparison.runs import FinishedRun
from linerefine.tracking.flatten import flat_settings

__all__ = ["differences", "is_fair"]

DATA = ("loader", "loader.")
RULES = ("protocol", "seed", "evaluation.", "session.", "simulator", "simulator.", "metrics.")
LOOP = "evaluation.loop"  # has a sentence of its own
MOST = 6
"""So many settings are named; of more, how many there are."""


def differences(rows: Sequence[Row], metric: str) -> list[str]:
    """Return a sentence for everything that makes numbers of these rows less comparable."""
    runs = list(dict.fromkeys(row.run for row in rows))
    found = [
        _kinds(runs),
        _settings(runs, DATA, "The data were read differently"),
        _images(runs),
        _first(runs, metric),
        _loops(runs),
        _settings(runs, RULES, "The rules differ"),
        _simulators(rows),
        _unreached(rows),
    ]
    return [sentence for sentence in found if sentence]


def is_fair(rows: Sequence[Row]) -> bool:
    """Say whether one of the rows can be called best: same kind of data, images and loop."""
    return (
        len({row.run.data for row in rows}) == 1
        and len({row.run.images for row in rows}) == 1
        and len({row.run.config.loader.name for row in rows}) == 1
        and len({row.run.config.evaluation.loop for row in rows}) == 1
    )


def _by_value(values: Mapping[str, str]) -> str:
    """Return who has which value, in words; if there are many, how many have it."""
    whose: dict[str, list[str]] = {}
    for name, value in values.items():
        whose.setdefault(value, []).append(name)
    return " | ".join(
        f"{value} ({', '.join(names) if len(names) <= 2 else f'{len(names)} runs'})"
        for value, names in whose.items()
    )


def _kinds(runs: Sequence[FinishedRun]) -> str:
    kinds = {run.name: run.data for run in runs}
    if len(set(kinds.values())) == 1:
        return ""
    return f"Different kinds of data, nothing is called best: {_by_value(kinds)}."


def _images(runs: Sequence[FinishedRun]) -> str:
    if len({run.images for run in runs}) == 1:
        return ""
    common = set(runs[0].images).intersection(*(run.images for run in runs))
    counts = {run.name: f"{len(run.images)} images" for run in runs}
    return (
        f"Different images, nothing is called best: {len(common)} in common; {_by_value(counts)}."
    )


def _first(runs: Sequence[FinishedRun], metric: str) -> str:
    """Say whether runs on the same images began with different first predictions."""
    if len({run.images for run in runs}) > 1:
        return ""
    scores = []
    for run in runs:
        start = run.rounds[run.rounds["round"] == 0]
        scores.append(start.groupby("image")[f"manual_{metric}"].first().to_numpy(dtype=float))
    if all(np.allclose(scores[0], other, rtol=0, atol=1e-9, equal_nan=True) for other in scores):
        return ""
    return "The first predictions differ: compare gains and reductions, not scores."


def _loops(runs: Sequence[FinishedRun]) -> str:
    loops = {run.name: run.config.evaluation.loop for run in runs}
    if len(set(loops.values())) == 1:
        return ""
    return (
        f"Different loops, nothing is called best: {_by_value(loops)}. Shared: a gain is over the "
        f"same strokes by hand. Independent: over another person's work."
    )


def _settings(runs: Sequence[FinishedRun], wanted: Sequence[str], what: str) -> str:
    flat = {run.name: flat_settings(run.config.model_dump(mode="json")) for run in runs}
    keys = [
        key
        for key in dict.fromkeys(key for settings in flat.values() for key in settings)
        if any(key == part or (part[-1] == "." and key.startswith(part)) for part in wanted)
        and key != LOOP
    ]
    said = []
    for key in keys:
        values = {name: settings.get(key, "none") for name, settings in flat.items()}
        if len(set(values.values())) > 1:
            said.append(f"{key} {_by_value(values)}")
    more = f"; and {len(said) - MOST} settings more" if len(said) > MOST else ""
    return f"{what}: {'; '.join(said[:MOST])}{more}." if said else ""


def _simulators(rows: Sequence[Row]) -> str:
    """Say whether refiners of one run had simulated people of their own."""
    drawn = {}
    for row in rows:
        own = next(part for part in row.run.config.refiners if part.key == row.refiner)
        drawn[row.name] = row.run.config.simulator_of(own).name
    if len(set(drawn.values())) == 1:
        return ""
    return (
        f"Different people drew: {_by_value(drawn)}. Compare hinted pixels, not interactions alone."
    )


def _unreached(rows: Sequence[Row]) -> str:
    """Say that effort is about fewer sessions for some rows than for others."""
    shared = [row for row in rows if row.run.config.evaluation.loop == "shared"]
    if all(row.reached == row.sessions for row in shared):
        return ""
    return (
        "Effort to the manual best and its reduction are about the sessions that reached it; the "
        "others are left out, so a row that reached it less often may look better."
    )
