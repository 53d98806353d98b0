"""How soon commands answer: seconds of wall and of processor time, median of several.

Usage: python scripts/benchmarks/startup.py
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.drawn import Row

__all__ = ["startup"]

COMMANDS = {
    "--help": ["--help"],
    "plugins": ["plugins"],
    "config show": ["config", "show", "folder", "--profile", "quick"],
}

FIRST_EVENT = """
import os
from linerefine.cli import main
from linerefine.tracking.console import ConsoleObserver

ConsoleObserver.__call__ = lambda self, event: os._exit(0)
main(["run", "retina_demo", "--profile", "quick", "--set", "tracking.enabled=false"])
os._exit(1)
"""


def startup(times: int = 5) -> list[Row]:
    """Return seconds of wall and processor time by command, and up to a run's first event."""
    commands = {what: ["-m", "linerefine", *rest] for what, rest in COMMANDS.items()}
    commands["run, up to its first event"] = ["-c", FIRST_EVENT]
    rows: list[Row] = []
    for what, arguments in commands.items():
        with tempfile.TemporaryDirectory(prefix="linerefine-startup-") as folder:
            taken = [_timed([sys.executable, *arguments], Path(folder)) for _ in range(times + 1)]
        wall, processor = (statistics.median(column) for column in zip(*taken[1:], strict=True))
        rows += [
            {"what": what, "value": wall, "unit": "s"},
            {"what": f"{what}, processor time", "value": processor, "unit": "s"},
        ]
    return rows


def _timed(command: list[str], folder: Path) -> tuple[float, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    environment = os.environ | {
        "LINEREFINE_CACHE": str(folder / "cache"),
        # As in an installation: the first time, which is not counted, compiles for the rest.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
