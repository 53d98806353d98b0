"""Flame graphs of simulated strokes on 15 megapixels: plain recomputation, and ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.drawn import Case, Row
from benchmarks.strokes import Ripple, plainly, played


def flames(folder: Path, strokes: int = 1000, plain: int = 12) -> list[Row]:
    """Write ``plain.svg`` and ``ours.svg`` into a folder, made by py-spy; return where.

    Raises
    ------
    SystemExit
        If py-spy is not installed.
    """
    if shutil.which("py-spy") is None:
        msg = "flame graphs need py-spy: pip install py-spy"
        raise SystemExit(msg)
    folder.mkdir(parents=True, exist_ok=True)
    case = Case.of(15)
    played(case, Ripple(), 2)  # imports, skeletons
    works: dict[str, Callable[[], object]] = {
        "plain": lambda: list(plainly(case, plain, fresh_targets=False)),
        "ours": lambda: played(case, Ripple(), strokes),
    }
    rows: list[Row] = []
    for name, work in works.items():
        path = folder / f"{name}.svg"
        with _recorded(path):
            work()
        rows.append({"what": name, "flame graph": str(path)})
    return rows


@contextmanager
def _recorded(path: Path) -> Iterator[None]:
    """Let py-spy look at this process for the length of a block."""
    command = ["py-spy", "record", "--rate", "200", "--output", str(path)]
    spy = subprocess.Popen(
        [*command, "--pid", str(os.getpid())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    time.sleep(1.0)  # until it has found its way around
    try:
        yield
    finally:
        spy.send_signal(signal.SIGINT)
        spy.communicate()
