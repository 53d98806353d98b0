"""Sessions on the workers of a Dask scheduler, one of which is killed midway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linerefine.errors import RunError
from linerefine.events import Event, Note, SessionFinished
from linerefine.experiment.cluster import Cluster
from linerefine.report import RunResult

from .comparing import assert_same, assert_told_once
from .conftest import run

distributed = pytest.importorskip("distributed", reason="needs the extra 'cluster'")

ROOT = Path(__file__).resolve().parents[2]


def start(what: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker by hand, as the documentation says."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words]
    return subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Return the address of a scheduler without workers."""
    file = tmp_path / "scheduler.json"
    place = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    process = start("scheduler", *place, "--scheduler-file", str(file))
    try:
        while not file.exists():
            assert process.poll() is None
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def workers(scheduler: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Return two workers of one thread each, without a nanny that would start them again."""
    settings = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    processes = [start("worker", scheduler, *settings) for _ in range(2)]
    yield processes
    for process in processes:
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker_changes_nothing(
    alone: RunResult, trained: Path, scheduler: str, workers: list[subprocess.Popen[bytes]]
) -> None:
    heard: list[Event] = []
    lost: list[str] = []

    def kill(event: Event) -> None:
        heard.append(event)
        ended = sum(isinstance(e, SessionFinished) for e in heard)
        if ended >= 3 and not lost and isinstance(event, SessionFinished):
            with distributed.Client(scheduler, set_as_default=False) as client:
                pids = client.run(os.getpid)
                busy = {name: work for name, work in client.processing().items() if work}
            victim = next(iter(busy))
            lost.extend(busy[victim])
            os.kill(pids[victim], signal.SIGKILL)

    run(trained, kill, resume=True, workers=Cluster(scheduler))
    assert lost, "the killed worker was idle"
    assert sorted(process.poll() is None for process in workers) == [False, True]
    assert_told_once(heard)
    assert_same(alone.output, trained)
    assert any("2 workers with 2 threads" in e.message for e in heard if isinstance(e, Note))


@pytest.mark.slow
def test_a_scheduler_without_workers_is_refused(
    trained: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linerefine.experiment.cluster.CONNECT_SECONDS", 1.0)
    with pytest.raises(RunError, match=r"has no workers. Start some with `dask worker tcp://"):
        run(trained, resume=True, workers=Cluster(scheduler))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere://x:1"])
def test_an_address_where_nobody_answers_is_refused(
    trained: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linerefine.experiment.cluster.CONNECT_SECONDS", 1.0)
    with pytest.raises(RunError, match=f"no Dask scheduler answers at {address}"):
        run(trained, resume=True, workers=Cluster(address))


def test_nothing_is_trained_for_a_scheduler_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linerefine.experiment.cluster.CONNECT_SECONDS", 1.0)
    with pytest.raises(RunError, match="no Dask scheduler answers"):
        run(tmp_path / "out", workers=Cluster("tcp://127.0.0.1:9"))
    assert not (tmp_path / "out").exists()
