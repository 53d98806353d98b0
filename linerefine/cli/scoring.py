"""``linerefine score``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linerefine.cli.output import complain, error_console, print_json, progress_on, result_console
from linerefine.cli.plugins import usable_registry
from linerefine.config import Component
from linerefine.errors import ConfigError

if TYPE_CHECKING:
    from linerefine.interfaces import Metric
    from linerefine.registry import Registry
    from linerefine.report import Table
    from linerefine.scoring import ScoreSheet

__all__ = ["score_command"]


def score_command(
    prediction: Path,
    target: Path,
    *,
    roi: Path | None,
    wanted: Sequence[str],
    as_json: bool,
    blocked: Collection[str],
) -> None:
    """Score and print, as a table or as JSON."""
    metrics = _metrics(usable_registry(blocked), wanted)
    from linerefine.scoring import score_paths

    with progress_on(error_console()) as progress:
        sheet = score_paths(prediction, target, metrics, roi=roi, progress=progress)
    if as_json:
        print_json(sheet.to_dict())
        return
    from linerefine.report import Report
    from linerefine.tracking.console import print_report

    table = _table(sheet, metrics, title=f"{prediction} against {target}")
    print_report(Report((table,)), result_console())


def _metrics(registry: Registry, wanted: Sequence[str]) -> dict[str, Metric]:
    """Return the wanted metrics; by default every one that its own defaults can make."""
    if wanted:
        return {name: registry.make_metric(Component(name=name)) for name in wanted}
    made = {}
    for name in registry.metrics():
        try:
            made[name] = registry.make_metric(Component(name=name))
        except ConfigError as error:
            complain(f"warning: metric '{name}' is left out, for it has no defaults: {error}")
    return made


def _table(sheet: ScoreSheet, metrics: Mapping[str, Metric], *, title: str) -> Table:
    from linerefine.report import Table

    names = tuple(sheet.mean)
    rows = [{"name": pair.name, **pair.scores} for pair in sheet.pairs]
    undefined = {name: count for name, count in sheet.skipped.items() if count}
    total = len(sheet.pairs)
    skipped = ", ".join(f"{name} in {count}" for name, count in undefined.items())
    return Table(
        title=title,
        columns=("name", *names),
        rows=(*rows, {"name": "mean", **sheet.mean}),
        percent=frozenset(n for n in names if metrics[n].is_share and _is_share(sheet, n)),
        note=f"Undefined and left out of the mean, of {total}: {skipped}." if undefined else "",
    )


def _is_share(sheet: ScoreSheet, name: str) -> bool:
    """Say whether every score of a metric lies in [0, 1], or is undefined."""
    return not any(pair.scores[name] < 0 or pair.scores[name] > 1 for pair in sheet.pairs)
