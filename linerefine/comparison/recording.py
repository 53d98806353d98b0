"""A comparison in MLflow, beside the runs it is about."""

from __future__ import annotations

import json
import math
from pathlib import Path

from linerefine.comparison.runs import Recorded
from linerefine.comparison.showing import Comparison
from linerefine.errors import RunError
from linerefine.tracking.comparisons import log_comparison
from linerefine.tracking.flatten import metric_key
from linerefine.tracking.page import write_page
from linerefine.tracking.style import save_png
from linerefine.tracking.tables import cells

__all__ = ["PAGE", "PICTURE", "record", "write_files"]

PICTURE = "curves.png"
PAGE = "comparison.html"


def write_files(comparison: Comparison, folder: Path) -> dict[str, Path]:
    """Draw and write everything a comparison shows; return the files by name."""
    picture = save_png(comparison.figure(), folder / PICTURE)
    page = write_page(comparison.page(picture), folder / PAGE)
    numbers = folder / "comparison.json"
    numbers.write_text(json.dumps(comparison.to_dict(), indent=2) + "\n", encoding="utf-8")
    return {PICTURE: picture, PAGE: page, numbers.name: numbers}


def record(comparison: Comparison, files: dict[str, Path]) -> Recorded:
    """Record a comparison in the store of its runs, in the experiment of the first.

    The same comparison is recorded once: a later one takes the place of the earlier.

    Returns
    -------
    recorded : Recorded
        Where it is.

    Raises
    ------
    RunError
        If MLflow knows none of the runs, or the store does not take it.
    """
    known = [run.recorded for run in comparison.runs if run.recorded is not None]
    if not known:
        msg = "the runs were not recorded in MLflow, so the comparison is not either."
        raise RunError(msg)
    home = known[0]
    run = log_comparison(
        home.uri,
        home.experiment,
        compared=[each.run for each in known if each.uri == home.uri],
        rows=[row.name for row in comparison.rows],
        metric=comparison.metric,
        numbers=_numbers(comparison),
        note=_markdown(comparison, home),
        files=list(files.values()),
    )
    return Recorded(home.uri, home.experiment, run)


def _numbers(comparison: Comparison) -> dict[str, float]:
    """Return the means under the names that the runs' own summaries have in MLflow."""
    return {
        metric_key("refiners", row.name, "mean", name): found.mean
        for row in comparison.rows
        for name, found in row.numbers.items()
        if math.isfinite(found.mean)
    }


def _markdown(comparison: Comparison, home: Recorded) -> str:
    """Return the table as MLflow shows it on the page of a run."""
    table = comparison.table()
    rows = [[_escaped(text) for text in line] for line in [list(table.columns), *cells(table)]]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(table.columns))
    links = [
        f"- [{_escaped(run.name)}](#/experiments/{run.recorded.experiment}/runs/{run.recorded.run})"
        for run in comparison.runs
        if run.recorded is not None and run.recorded.uri == home.uri
    ]
    notes = [f"- {_escaped(note)}" for note in comparison.notes]
    return "\n".join([*lines, "", "Compared:", "", *links, "", *notes])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
