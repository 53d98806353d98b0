"""The same tables, whoever runs the sessions; and what happens when a worker fails or dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from linerefine.errors import RunError
from linerefine.events import Event, Note, SessionFinished
from linerefine.experiment.workers import Processes, Workers
from linerefine.report import RunResult

from .comparing import assert_same, assert_told_once
from .conftest import run


def slow(jobs: int) -> object:
    return pytest.param(jobs, marks=[pytest.mark.slow, pytest.mark.timeout(600)])


# Processes import torch, which takes each of them seconds.
@pytest.mark.parametrize("jobs", [1, slow(2), slow(3)])
def test_any_number_of_processes_gives_the_same_tables(
    alone: RunResult, trained: Path, jobs: int
) -> None:
    events: list[Event] = []
    run(trained, events.append, resume=True, workers=Processes(jobs))
    assert_same(alone.output, trained)
    assert_told_once(events)
    notes = [e.message for e in events if isinstance(e, Note)]
    assert any(f"{jobs} jobs at a time, 1 thread each" in note for note in notes)
    assert not list(trained.glob(".working*"))


class Spoiling(Workers):
    """Hands on to others, once a first prediction was cut short."""

    def __init__(self, others: Workers, prediction: Path) -> None:
        self._others, self._prediction = others, prediction

    def run(self, bench, units):
        self._prediction.write_bytes(self._prediction.read_bytes()[:200])
        return self._others.run(bench, units)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_failure_elsewhere_names_the_session_and_keeps_the_rest(
    alone: RunResult, trained: Path
) -> None:
    prediction = sorted(trained.glob("predictions/*.npy"))[1]
    with pytest.raises(RunError, match=r"session unet, repeat 1, \S+ failed on .*Delete it"):
        run(trained, resume=True, workers=Spoiling(Processes(1), prediction))
    assert "Traceback" in (trained / "log.txt").read_text()
    kept = list(trained.glob("rounds/*.parquet"))
    assert kept
    prediction.unlink()
    events: list[Event] = []
    run(trained, events.append, resume=True)
    assert_same(alone.output, trained)
    assert sum(isinstance(e, SessionFinished) and e.reason == "stored" for e in events) == len(kept)


def helpers() -> list[int]:
    """Return the worker processes of this one (Linux)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == os.getpid() and "popen_loky" in command:
            found.append(int(folder.name))
    return found


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def kill_helper() -> None:
    os.kill(helpers()[0], signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize(
    ("stop", "error", "words"),
    [
        (press_ctrl_c, KeyboardInterrupt, "^$"),
        (kill_helper, RunError, r"was lost with the process .*--resume goes on"),
    ],
)
def test_what_is_finished_stays_and_no_process_outlives_the_run(
    alone: RunResult, trained: Path, stop: Callable[[], None], error: type, words: str
) -> None:
    heard: list[Event] = []

    def interrupt(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(e, SessionFinished) for e in heard) == 3 and len(helpers()) == 2:
            stop()

    with pytest.raises(error, match=words):
        run(trained, interrupt, resume=True, workers=Processes(2))
    deadline = time.monotonic() + 10
    while helpers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not helpers()
    kept = len(list(trained.glob("rounds/*.parquet")))
    assert 3 <= kept < 16
    run(trained, resume=True)
    assert_same(alone.output, trained)
