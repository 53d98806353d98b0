"""What a run leaves for its reader: numbers, tables, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from linerefine.cache import atomic_write
from linerefine.evaluation.sessions import by_hand
from linerefine.evaluation.summary import summarise_sessions
from linerefine.evaluation.tables import session_tables
from linerefine.events import ArtifactWritten
from linerefine.experiment.bench import Bench
from linerefine.experiment.networks import first_prediction, fit_result
from linerefine.experiment.patches import summarise_patches
from linerefine.experiment.sessions import test_samples
from linerefine.experiment.verdict import verdict
from linerefine.hooks import Experiment
from linerefine.models.segmenter import Segmenter
from linerefine.report import GIVEN, Report, RunResult, Table
from linerefine.samples import Target
from linerefine.tracking.tables import report_text

__all__ = ["first_scores", "report", "summarise", "write_outcome"]


def first_scores(bench: Bench, segmenter: Segmenter) -> dict[str, dict[str, Any]]:
    """Return the first prediction's scores on whole test images.

    Returns
    -------
    scores : dict
        image -> metric -> score; key ``observer_2``, ``observer_3``, ... for
        scores against further annotators.
    """
    scores: dict[str, dict[str, Any]] = {}
    cut = bench.config.session.threshold
    for sample in test_samples(bench):
        mask = first_prediction(bench, segmenter, sample) > np.log(cut / (1 - cut))
        assert sample.target is not None  # test_samples yields annotated ones only
        of_image: dict[str, Any] = {
            name: metric.score(mask, sample.target) for name, metric in bench.metrics.items()
        }
        for number, lines in enumerate(sample.other_lines, start=2):
            other = Target(lines, sample.roi)
            of_image[f"observer_{number}"] = {
                name: metric.score(mask, other) for name, metric in bench.metrics.items()
            }
        scores[sample.name] = of_image
    return scores


def summarise(
    bench: Bench,
    first: Mapping[str, Mapping[str, Any]],
    rounds: pd.DataFrame,
    patches: pd.DataFrame,
) -> dict[str, Any]:
    """Return the content of ``summary.json``."""
    evaluation = bench.config.evaluation
    sessions = summarise_sessions(
        rounds,
        bench.steering,
        loop=evaluation.loop,
        budget=evaluation.budget,
        manual=by_hand(bench.config.refiners),
    )
    on_patches = summarise_patches(patches)
    networks = ("segmenter", *(part.key for part in bench.config.refiners))
    fits = {name: fit for name in networks if (fit := fit_result(bench, name)) is not None}
    return {
        "metric": bench.steering,
        "first_prediction": {"images": first, "mean": _mean_scores(first)},
        "refiners": {
            part.key: sessions.get(part.key, {}) | {"patches": on_patches.get(part.key, {})}
            for part in bench.config.refiners
        },
        "training": {
            name: {k: fit[k] for k in ("best_score", "best_epoch", "epochs", "steps", "seconds")}
            for name, fit in fits.items()
        },
        "simulator": dict(bench.simulator.notes()),
        "simulators": {key: dict(own.notes()) for key, own in bench.own_simulators.items()},
    }


def _mean_scores(first: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over images of every leaf of the score mapping, nan skipped."""
    if not first:
        return {}
    flat = pd.json_normalize([dict(scores) for scores in first.values()])
    mean: dict[str, Any] = {}
    for column in flat.columns:
        *groups, leaf = str(column).split(".")
        place = mean
        for group in groups:
            place = place.setdefault(group, {})
        place[leaf] = float(flat[column].astype(float).mean())
    return mean


def report(bench: Bench, experiment: Experiment, result: RunResult) -> Report:
    """Return the tables of a run, the general ones, then the experiment's own, and the verdict."""
    tables = [_first_table(bench, result)]
    for name, numbers in result.summary["refiners"].items():
        if "images" in numbers:
            loop = bench.config.evaluation.loop
            tables += session_tables(name, numbers, bench.steering, loop=loop)
    if experiment.score_sheet is not None:
        tables += experiment.score_sheet(result).tables
    return Report(tuple(tables), verdict(result))


def _first_table(bench: Bench, result: RunResult) -> Table:
    first = result.summary["first_prediction"]
    rows = []
    whole = {"image", *(name for name, metric in bench.metrics.items() if not metric.is_share)}
    for image, scores in [*first["images"].items(), ("mean", first["mean"])]:
        row: dict[str, Any] = {"image": image}
        for name in bench.metrics:
            row[name] = scores.get(name)
        for key, other in scores.items():
            if key.startswith("observer_"):
                row |= {f"{name} ({key.replace('_', ' ')})": other[name] for name in bench.metrics}
        rows.append(row)
    columns = tuple(rows[-1])
    kind = "" if result.data == GIVEN else f" ({result.data})"
    return Table(
        title=f"First prediction on whole test images{kind}",
        columns=columns,
        rows=tuple(rows),
        percent=frozenset(column for column in columns if column.partition(" ")[0] not in whole),
    )


def write_outcome(bench: Bench, experiment: Experiment, result: RunResult) -> RunResult:
    """Write tables, pictures and, last of all, ``summary.json``; announce each.

    Returns
    -------
    result : RunResult
        The same with its report.
    """
    from linerefine.experiment.page import write_run_page  # matplotlib: only at the end
    from linerefine.experiment.pictures import draw_pictures

    folder, notify = bench.folder, bench.notify
    for name, frame in (("rounds", result.rounds), ("patches", result.patches)):
        if not frame.empty:
            path = folder.path / f"{name}.parquet"
            with atomic_write(path) as temporary:
                frame.to_parquet(temporary, index=False)
            notify(ArtifactWritten(path))
    draw_pictures(bench, result)
    path = folder.path / "report.txt"
    result = replace(result, report=report(bench, experiment, result))
    with atomic_write(path) as temporary:
        temporary.write_text(report_text(result.report), encoding="utf-8")
    notify(ArtifactWritten(path))
    write_run_page(bench, experiment, result)
    for name in ("config.toml", "environment.json"):
        notify(ArtifactWritten(folder.path / name))
    notify(ArtifactWritten(folder.write_json("summary.json", result.summary)))
    return result
