"""A unit of work done in another process: what that process is sent, and what it answers.

The other process gets the configuration, the registry and the prepared
simulators in one parcel, opens it once, and reads networks and first
predictions from the run folder. It writes nothing and tells nobody anything:
what it finds out goes back to the process that keeps the tables.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from uuid import uuid4

import cloudpickle

from linerefine.config import ExperimentConfig
from linerefine.errors import LineRefineError, RunError
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.work import Result, Unit, Worker
from linerefine.interfaces import UserSimulator
from linerefine.registry import Registry

__all__ = ["Failure", "Parcel", "do_away", "leave_signals_to_parent", "pack"]

SEEN_SECONDS = 10.0
"""Network file systems may show a new file late."""

ALIKE = ("linerefine", "torch", "numpy", "scipy", "scikit-image", "opencv-python-headless")
"""Other versions of these may draw other strokes."""


@dataclass(frozen=True)
class Parcel:
    """What another process needs; ``token`` tells one run's parcel from the next."""

    token: str
    content: bytes


@dataclass(frozen=True)
class Failure:
    """Why a unit could not be done, in words, and where; ``trace`` is for the log."""

    unit: Unit
    reason: str
    host: str
    trace: str


@dataclass(frozen=True)
class _Content:
    """What a parcel holds."""

    config: ExperimentConfig
    registry: Registry
    simulator: UserSimulator
    own_simulators: Mapping[str, UserSimulator]
    folder: Path
    home: Path
    versions: dict[str, str]


@contextlib.contextmanager
def pack(bench: Bench, threads: int | None, *, siblings: int = 1) -> Iterator[Parcel]:
    """Give a parcel that is good for the length of a block.

    Parameters
    ----------
    bench : Bench
        Of the process that keeps the tables; its simulator is prepared.
    threads : int or None
        Threads of the numeric libraries in each process; None leaves the
        number to the machine there.
    siblings : int
        Processes that share one machine's memory for images.

    Raises
    ------
    RunError
        If a component cannot be sent to another process.
    """
    folder = bench.folder.path.absolute()
    device = "cuda" if bench.device.type == "cuda" else "cpu"
    own = {
        "threads": threads,
        "device": device,
        "image_memory": bench.config.image_memory / siblings,
    }
    config = bench.config.model_copy(update=own)
    content = _Content(
        config,
        bench.registry,
        bench.simulator,
        bench.own_simulators,
        folder,
        Path.cwd(),
        _versions(),
    )
    try:
        packed = cloudpickle.dumps(content)
    except Exception as error:
        msg = (
            f"the simulator '{config.simulator.name}' or a plugin cannot be sent to another "
            f"process ({error}). Run without --jobs and --cluster."
        )
        raise RunError(msg) from error
    parcel = Parcel(uuid4().hex, packed)
    mark = _mark(folder, parcel.token)
    mark.touch()
    try:
        yield parcel
    finally:
        mark.unlink(missing_ok=True)


_at_work: dict[str, tuple[Worker, _Content]] = {}
_one_at_a_time = threading.Lock()  # torch's threads and the working directory are the process's


def do_away(parcel: Parcel, unit: Unit) -> Result | Failure:
    """Do a unit in this process, whichever that is; never raises what a unit can cause."""
    try:
        with _one_at_a_time:
            if parcel.token not in _at_work:
                _at_work.clear()
                _at_work[parcel.token] = _open(parcel)
            worker, content = _at_work[parcel.token]
            with contextlib.chdir(content.home):
                return worker.do(unit)
    except LineRefineError as error:
        return _failure(unit, f"{type(error).__name__}: {error}")
    except Exception as error:
        return _failure(unit, f"{type(error).__name__}: {error} (a fault of the program)")


def _failure(unit: Unit, reason: str) -> Failure:
    return Failure(unit, reason, platform.node(), traceback.format_exc())


def _open(parcel: Parcel) -> tuple[Worker, _Content]:
    """Build the bench that a parcel describes."""
    content: _Content = cloudpickle.loads(parcel.content)
    _check_alike(content.versions)
    _check_seen(content, parcel.token)
    with contextlib.chdir(content.home):
        config = content.config
        if config.threads is None:
            config = config.model_copy(update={"threads": _threads_here()})
        silent = Notifier([])
        bench = Bench.build(config, content.registry, RunFolder(content.folder), silent)
        bench.loader.prepare(silent.progress)
    own = content.own_simulators
    return Worker(replace(bench, simulator=content.simulator, own_simulators=own)), content


def _check_seen(content: _Content, token: str) -> None:
    """Refuse to work where the run folder, or a copy of it, is another one."""
    deadline = time.monotonic() + SEEN_SECONDS
    while not (_mark(content.folder, token).exists() and content.home.is_dir()):
        if time.monotonic() > deadline:
            missing = content.folder if content.home.is_dir() else content.home
            msg = (
                f"{platform.node()} does not see {missing} of the machine that runs linerefine. "
                f"Run folder, data and working directory must lie on a file system that all "
                f"workers share under the same paths."
            )
            raise RunError(msg)
        time.sleep(0.2)


def _check_alike(versions: dict[str, str]) -> None:
    ours = _versions()
    other = [
        f"{name} {ours[name]} instead of {versions[name]}"
        for name in versions
        if ours[name] != versions[name]
    ]
    if other:
        msg = f"{platform.node()} has {', '.join(other)}. Install the same versions everywhere."
        raise RunError(msg)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in ALIKE}}


def _mark(folder: Path, token: str) -> Path:
    return folder / f".working-{token}"


def _threads_here() -> int:
    """Return the threads that a Dask worker was given; one in any other process."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def leave_signals_to_parent() -> None:
    """Ignore Ctrl-C, which the parent turns into an end, and end when the parent has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    threading.Thread(target=_outlive_not, args=(parent,), daemon=True).start()


def _outlive_not(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
