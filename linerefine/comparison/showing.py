"""A comparison as table, picture, page and JSON."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from matplotlib.figure import Figure

from linerefine.comparison.differences import differences, is_fair
from linerefine.comparison.numbers import Row, curves
from linerefine.comparison.runs import FinishedRun
from linerefine.evaluation.statistics import Estimate
from linerefine.report import Page, Picture, Section, Table
from linerefine.tracking.bands import compared_bands

__all__ = ["Comparison"]

COLUMNS: Final = {
    "first prediction": "initial",
    "revised": "revised",
    "refined best": "refined_best",
    "max gain": "max_gain",
    "mean gain": "mean_gain",
    "strokes to best": "interactions_to_best",
    "pixels to best": "pixels_to_best",
    "workload reduction": "workload_reduction",
    "regret": "regret",
    "worse": "worse_share",
    "ms per stroke": "network_seconds",
}
"""Title of a column -> number of a row."""

SHARES: Final = frozenset(COLUMNS) - {
    "strokes to best",
    "pixels to best",
    "regret",
    "ms per stroke",
}

BEST: Final[Mapping[str, Literal["max", "min"]]] = {
    "refined best": "max",
    "max gain": "max",
    "mean gain": "max",
    "strokes to best": "min",
    "pixels to best": "min",
    "workload reduction": "max",
    "regret": "min",
    "worse": "min",
    "ms per stroke": "min",
}

MEANINGS = (
    "Means over images of means over repeats; 95 %: bootstrap over images, then repeats. "
    "Revised: what the refiner makes of the first prediction before the first stroke. "
    "Best: the best score by hand; strokes and hinted pixels until the refiner reaches it. "
    "Regret: pixels per stroke that nobody touched and that became wrong. Worse: share of strokes "
    "after which the score fell. Milliseconds of the network: median of a session."
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows that are compared by one metric."""

    rows: tuple[Row, ...]
    metric: str

    @property
    def runs(self) -> tuple[FinishedRun, ...]:
        """The runs of the rows, each once."""
        return tuple(dict.fromkeys(row.run for row in self.rows))

    @property
    def notes(self) -> list[str]:
        """What makes the rows less comparable."""
        return differences(self.rows, self.metric)

    def table(self) -> Table:
        """Return a row per run and refiner, each followed by its intervals."""
        cells = [line for row in self.rows for line in _lines(row)]
        revises = any(row.revises for row in self.rows)
        shown = [title for title in COLUMNS if revises or title != "revised"]
        columns = ("run", "refiner", "data", "profile", "protocol", *shown, "reached")
        counted = ((len(self.runs), "run"), (len(self.rows), "refiner"))
        said = ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counted)
        return Table(
            title=f"{self.metric}: {said}",
            columns=columns,
            rows=tuple(cells),
            percent=SHARES,
            note="\n".join([*self.notes, MEANINGS]),
            best=BEST if is_fair(self.rows) else {},
        )

    def figure(self) -> Figure:
        """Return score and gain over interactions, a line per row."""
        kinds = {run.data for run in self.runs}
        data = ", ".join(sorted(kinds))
        return compared_bands(
            curves(self.rows, self.metric), metric=self.metric, label=f"{data} data"
        )

    def page(self, picture: Path) -> Page:
        """Return the comparison as a page for a browser; its picture is drawn already."""
        count = len(self.rows)
        caption = (
            "Means over images and repeats; sessions that ended earlier carry their last value "
            "forward. Left the score of what is displayed, right the gain over work by hand."
        )
        return Page(
            title=f"Comparison of {count} refiners by {self.metric}",
            summary=" ".join(self.notes) or "Same data, images, first predictions and rules.",
            command=self.command,
            sections=(
                Section("Numbers", parts=(self.table(),)),
                Section("Curves", parts=(Picture(picture, caption),)),
            ),
            facts={run.name: str(run.folder.absolute()) for run in self.runs},
        )

    @property
    def command(self) -> str:
        """What makes this comparison again."""
        folders = [str(run.folder.absolute()) for run in self.runs]
        keys = list(dict.fromkeys(row.refiner for row in self.rows))
        everything = sum(len(run.refiners) for run in self.runs)
        chosen = [] if len(self.rows) == everything else [f"--refiner={key}" for key in keys]
        return shlex.join(["linerefine", "compare", *folders, *chosen, f"--metric={self.metric}"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; what is undefined is None."""
        return {
            "metric": self.metric,
            "notes": self.notes,
            "runs": [_facts(run) for run in self.runs],
            "rows": [
                {
                    "run": row.run.name,
                    "refiner": row.refiner,
                    "sessions": row.sessions,
                    "reached": row.reached,
                    "numbers": {name: _plain(found) for name, found in row.numbers.items()},
                }
                for row in self.rows
            ],
        }


def _facts(run: FinishedRun) -> dict[str, Any]:
    evaluation = run.config.evaluation
    return {
        "name": run.name,
        "folder": str(run.folder.absolute()),
        "mlflow_run": run.recorded.run if run.recorded else None,
        "experiment": run.tags.get("experiment"),
        "data": run.data,
        "profile": run.config.profile or "none",
        "protocol": run.config.protocol,
        "loop": evaluation.loop,
        "budget": evaluation.budget,
        "repeats": evaluation.repeats,
        "images": list(run.images),
    }


def _plain(found: Estimate) -> dict[str, float | None]:
    values = {"mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _lines(row: Row) -> list[dict[str, Any]]:
    run, found = row.run, {title: row.numbers[name] for title, name in COLUMNS.items()}
    means: dict[str, float | None] = {
        title: _scaled(title, each.mean) for title, each in found.items()
    }
    intervals = {title: _interval(title, each) for title, each in found.items()}
    if row.is_by_hand:  # no network answers, so there is nothing to regret or to wait for
        means |= {"regret": None, "ms per stroke": None}
        intervals |= {"regret": "", "ms per stroke": ""}
    first = {
        "run": run.name,
        "refiner": row.refiner,
        "data": run.data,
        "profile": run.config.profile or "none",
        "protocol": run.config.protocol,
        **means,
        "reached": f"{row.reached} of {row.sessions}",
    }
    empty = dict.fromkeys(first, "")
    return [first, {**empty, "refiner": "  95 %", **intervals}]


def _scaled(title: str, value: float) -> float:
    return 1000 * value if title == "ms per stroke" else value


def _interval(title: str, found: Estimate) -> str:
    ends: Sequence[float] = (found.low, found.high)
    if any(math.isnan(end) for end in ends):
        return ""
    if title in SHARES:
        return " to ".join(f"{100 * end:.1f}" for end in ends)
    scaled = [_scaled(title, end) for end in ends]
    return " to ".join(f"{end:.0f}" if abs(end) >= 100 else f"{end:.3g}" for end in scaled)
