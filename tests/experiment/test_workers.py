"""The same tables, whoever runs the sessions; and what happens when a worker fails or dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from linerefine.errors import RunError
from linerefine.events import (
    Event,
    Note,
    RoundFinished,
    SessionFinished,
    SessionsPlanned,
    SessionStarted,
)
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.workers import Processes, Workers
from linerefine.report import RunResult

from .conftest import run


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Return the run of one process."""
    return run(tmp_path_factory.mktemp("alone") / "out")


@pytest.fixture
def trained(alone: RunResult, tmp_path: Path) -> Path:
    """Return a run folder where networks are trained and nothing is measured yet."""
    folder = tmp_path / "out"
    shutil.copytree(alone.output, folder)
    forget(folder)
    return folder


def forget(folder: Path) -> None:
    """Remove what sessions and patch scores left."""
    for path in [*folder.glob("rounds/*"), *folder.glob("patches*"), *folder.glob("*.parquet")]:
        path.unlink(missing_ok=True)
    for path in [*folder.glob("predictions/*.npz"), folder / "summary.json"]:
        path.unlink()


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return all tables of a run without what a clock says."""
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("rounds", "patches")}
    timed = [c for c in frames["rounds"].columns if c.startswith("seconds")]
    return {**frames, "rounds": frames["rounds"].drop(columns=timed)}


def assert_same(one: Path, other: Path) -> None:
    mine, theirs = tables(one), tables(other)
    for name, frame in mine.items():
        pd.testing.assert_frame_equal(frame, theirs[name], check_exact=True)
    masks = sorted(path.name for path in one.glob("predictions/*.npz"))
    assert masks == sorted(path.name for path in other.glob("predictions/*.npz"))
    for name in masks:
        with np.load(one / "predictions" / name) as a, np.load(other / "predictions" / name) as b:
            assert all(np.array_equal(a[side], b[side]) for side in ("manual", "refined"))


def assert_told_once(events: list[Event]) -> None:
    """Every planned session begins, has rounds 0, 1, ... and ends, exactly once."""
    planned = next(e.keys for e in events if isinstance(e, SessionsPlanned))
    for kind in (SessionStarted, SessionFinished):
        assert Counter(e.key for e in events if isinstance(e, kind)) == Counter(planned)
    for end in (e for e in events if isinstance(e, SessionFinished)):
        rounds = [e.round.index for e in events if isinstance(e, RoundFinished) and e.key == end.key]
        assert rounds == list(range(end.rounds + 1))


@pytest.mark.parametrize("jobs", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
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
