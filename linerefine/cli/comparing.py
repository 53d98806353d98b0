"""``linerefine compare``: finished runs side by side, printed, drawn and kept in MLflow."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from linerefine.cli.output import complain, print_json, result_console
from linerefine.cli.plugins import usable_registry
from linerefine.cli.showing import store_at
from linerefine.errors import ConfigError, RunError

if TYPE_CHECKING:
    from linerefine.comparison.choosing import Chosen
    from linerefine.comparison.numbers import Row
    from linerefine.comparison.runs import FinishedRun
    from linerefine.comparison.showing import Comparison
    from linerefine.registry import Registry

__all__ = ["compare_command"]

SUFFIXES = (".png", ".html")


def compare_command(
    named: Sequence[str],
    *,
    store: str | None,
    experiment: str | None,
    tags: Sequence[str],
    refiners: Collection[str],
    metric: str | None,
    output: Path | None,
    as_json: bool,
    blocked: Collection[str],
) -> None:
    """Compare finished runs and say where the comparison is.

    Parameters
    ----------
    named : sequence of str
        Run folders or ids of MLflow runs; none: search the store.
    store : str or None
        As `linerefine.cli.showing.store_at` takes it; None: ``runs``.
    experiment : str or None
        Whose finished runs are compared.
    tags : sequence of str
        ``K=V`` that they must have.
    refiners : collection of str
        Keys of the refiners to show; empty for all.
    metric : str or None
        What to compare by; None: what steered the runs.
    output : Path or None
        A PNG or HTML file to write.
    as_json : bool
        Print JSON instead of a table.
    blocked : collection of str
        Plugins to leave out.
    """
    if output is not None and output.suffix.lower() not in SUFFIXES:
        msg = f"--output is '{output}', expected a name that ends in {' or '.join(SUFFIXES)}."
        raise ConfigError(msg)
    registry = usable_registry(blocked)
    comparison = _comparison(
        registry, _chosen(named, store, experiment, _pairs(tags)), refiners, metric
    )
    if as_json:
        print_json(comparison.to_dict())
    else:
        from linerefine.report import Report
        from linerefine.tracking.console import print_report

        print_report(Report((comparison.table(),)), result_console())
    _keep(comparison, output)


def _pairs(tags: Sequence[str]) -> dict[str, str]:
    for tag in tags:
        if "=" not in tag:
            msg = f"--tag is '{tag}', expected K=V, such as data=real."
            raise ConfigError(msg)
    return {key: value for key, _, value in (tag.partition("=") for tag in tags)}


def _chosen(
    named: Sequence[str], store: str | None, experiment: str | None, tags: dict[str, str]
) -> list[Chosen]:
    from linerefine.comparison.choosing import choose

    try:
        uri = store_at(store or "runs")
    except RunError:
        if store is not None:
            raise
        uri = ""  # named folders need none
    chosen, left_out = choose(named, uri, experiment=experiment, tags=tags)
    for reason in left_out:
        complain(f"warning: {reason}")
    return chosen


def _comparison(
    registry: Registry,
    chosen: Sequence[Chosen],
    refiners: Collection[str],
    metric: str | None,
) -> Comparison:
    from linerefine.comparison.numbers import common_metric, rows_of
    from linerefine.comparison.runs import load_run, with_short_names
    from linerefine.comparison.showing import Comparison

    loaded = [load_run(one.folder) for one in chosen]
    runs = [
        replace(run, recorded=one.recorded or run.recorded)
        for run, one in zip(with_short_names(loaded), chosen, strict=True)
    ]
    by = common_metric(runs, metric)
    for run in runs:
        _check_direction(registry, run, by)
    meant = {run.name: one.refiners for run, one in zip(runs, chosen, strict=True)}
    rows = [row for row in rows_of(runs, by, refiners) if _is_meant(row, meant[row.run.name])]
    return Comparison(tuple(rows), by)


def _is_meant(row: Row, keys: Collection[str]) -> bool:
    return not keys or row.refiner in keys


def _check_direction(registry: Registry, run: FinishedRun, metric: str) -> None:
    """Refuse a metric of which less is better: gain and effort would say the opposite."""
    named = next(part for part in run.config.metrics if part.name == metric)
    if not registry.make_metric(named).higher_is_better:
        msg = f"metric '{metric}' is better when lower; a gain in it cannot be told. Pass another."
        raise ConfigError(msg)


def _keep(comparison: Comparison, output: Path | None) -> None:
    """Write the file that was asked for, and hand everything to MLflow."""
    from linerefine.comparison.recording import PAGE, PICTURE, record, write_files

    with tempfile.TemporaryDirectory() as folder:
        files = write_files(comparison, Path(folder))
        if output is not None:
            _copy(files[PAGE if output.suffix.lower() == ".html" else PICTURE], output)
            complain(f"Wrote {output}")
        try:
            recorded = record(comparison, files)
        except RunError as error:
            complain(f"warning: not recorded in MLflow: {error}")
        else:
            complain(f"Recorded in {recorded.uri} as run {recorded.run} (linerefine ui shows it)")


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        msg = f"cannot write {target}: {error.strerror}. Choose another --output."
        raise RunError(msg) from error
