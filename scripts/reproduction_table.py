"""Print what studies found as rows of a Markdown table, one per protocol and refiner.

Usage: python scripts/reproduction_table.py STUDY_FOLDER [STUDY_FOLDER ...]

Each folder is one that ``linerefine reproduce`` wrote. Means over images and repeats; of gain and
reduction also the 95 % interval (bootstrap over images, then repeats); of reductions also the
median of all sessions, which a few that never reach the mark do not move.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pandas as pd

from linerefine.configure import load_config
from linerefine.evaluation.sessions import by_hand, sessions_of
from linerefine.evaluation.statistics import estimate

COLUMNS = {
    "first pFM": "initial",
    "by hand": "manual_best",
    "refined": "refined_best",
    "max gain": "max_gain",
    "mean gain": "mean_gain",
    "fewer hinted pixels": "workload_reduction",
    "fewer interactions": "reduction_interactions",
    "less time": "reduction_seconds",
    "regret": "regret",
    "worse": "worse_share",
}
WITH_INTERVAL = ("mean gain", "fewer hinted pixels")
WITH_MEDIAN = ("fewer hinted pixels", "fewer interactions", "less time")


def main() -> None:
    """Print the table of the folders that were named."""
    print("| study | protocol | refiner |", " | ".join(COLUMNS), "| reached |")
    print("| --- | --- | --- |", " | ".join("---" for _ in COLUMNS), "| --- |")
    for folder in map(Path, sys.argv[1:]):
        for run in sorted(
            folder.glob("*/config.toml"), key=lambda path: path.parent.name != "paper"
        ):
            for row in rows(run.parent):
                print(f"| {folder.name} | {row} |")


def rows(run: Path) -> list[str]:
    """Return the rows of one run folder, without the first column."""
    config = load_config(run / "config.toml")
    table = run / "rounds.parquet"
    if not table.exists():
        return []
    manual = by_hand(config.refiners)
    sessions = sessions_of(pd.read_parquet(table), config)
    found = []
    for refiner, part in sessions[sessions["refiner"] != manual].groupby("refiner", sort=False):
        cells = [cell(part, title, column) for title, column in COLUMNS.items()]
        reached = f"{int(part['reached'].sum())} of {len(part)}"
        found.append(" | ".join([config.protocol, str(refiner), *cells, reached]))
    return found


def cell(part: pd.DataFrame, title: str, column: str) -> str:
    """Return a mean, and its interval and the median where they are wanted."""
    value = estimate({str(i): s[column].tolist() for i, s in part.groupby("image")})
    if math.isnan(value.mean):
        return "–"
    if title == "regret":
        return f"{value.mean:.1f}"
    text = f"{100 * value.mean:+.1f} %" if "gain" in title else f"{100 * value.mean:.1f} %"
    if title in WITH_INTERVAL:
        text += f" ({100 * value.low:.1f} to {100 * value.high:.1f})"
    if title in WITH_MEDIAN:
        text += f"; median {100 * value.median:.1f} %"
    return text


if __name__ == "__main__":
    main()
