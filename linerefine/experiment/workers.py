"""Who does the units of a run: this process, others of this machine, or a cluster.

All answer alike: `run` yields one result per unit, in any order, each exactly
once. Only the process that asked writes tables and tells observers.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from typing import TYPE_CHECKING, TypeAlias

from linerefine.errors import RunError
from linerefine.experiment.away import Failure, Parcel, do_away, leave_signals_to_parent, pack
from linerefine.experiment.bench import Bench
from linerefine.experiment.work import Result, Unit, Worker
from linerefine.machine import usable_cores

if TYPE_CHECKING:
    from loky import ProcessPoolExecutor

__all__ = ["Here", "Processes", "Results", "Workers", "collect"]

Results: TypeAlias = Generator[Result, None, None]

logger = logging.getLogger(__name__)


class Workers(ABC):
    """Does units of work.

    Attributes
    ----------
    is_live : bool
        Whether observers of the bench hear of every round as it ends.
    """

    is_live: bool = False

    def check(self) -> None:  # noqa: B027 (most have nobody to look for)
        """Find out before anything is trained whether there is anybody to work.

        Raises
        ------
        RunError
            If there is not.
        """

    @abstractmethod
    def run(self, bench: Bench, units: Sequence[Unit]) -> Results:
        """Yield the result of every unit as it is finished.

        Raises
        ------
        RunError
            If a unit fails elsewhere; names it.
        """


class Here(Workers):
    """The process that asks, one unit after the other."""

    is_live = True

    def run(self, bench: Bench, units: Sequence[Unit]) -> Results:
        """Yield results in the order of the units."""
        worker = Worker(bench)
        for unit in units:
            yield worker.do(unit)


class Processes(Workers):
    """Several processes of this machine.

    Parameters
    ----------
    jobs : int
        How many.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def run(self, bench: Bench, units: Sequence[Unit]) -> Results:
        """Yield results as they come; the processes end when the last one is there."""
        if not units:
            return
        jobs = min(self._jobs, len(units))
        threads = bench.config.threads or max(1, usable_cores() // self._jobs)
        bench.notify.note(*_plan(bench, jobs, threads))
        with (
            pack(bench, threads, siblings=jobs) as parcel,
            _processes(jobs, threads) as executor,
        ):
            yield from collect(executor, parcel, units)


def collect(executor: Executor, parcel: Parcel, units: Sequence[Unit]) -> Results:
    """Hand units to an executor and yield their results as they come.

    Raises
    ------
    RunError
        If a unit failed, or whoever was to do it died.
    """
    asked = {executor.submit(do_away, parcel, unit): unit for unit in units}
    for future in as_completed(asked):
        yield _result(future, asked.pop(future))


def _result(future: Future[Result | Failure], unit: Unit) -> Result:
    try:
        answer = future.result()
    except CancelledError as error:
        msg = f"{unit} was called off: the scheduler has gone. --resume goes on."
        raise RunError(msg) from error
    except Exception as error:
        logger.exception("%s was lost", unit)
        first = (str(error).splitlines() or ["no details"])[0]
        msg = (
            f"{unit} was lost with the process that worked on it ({type(error).__name__}: "
            f"{first}). Often memory ran out: take fewer workers. --resume goes on."
        )
        raise RunError(msg) from error
    if isinstance(answer, Failure):
        logger.error("%s failed on %s:\n%s", answer.unit, answer.host, answer.trace)
        msg = f"{answer.unit} failed on {answer.host}: {answer.reason}"
        raise RunError(msg)
    return answer


@contextlib.contextmanager
def _processes(jobs: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    """Give an executor whose processes end with the block, at once if it raises."""
    from loky import ProcessPoolExecutor

    # Read when the libraries are imported, which is before a unit can set anything.
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    limits = dict.fromkeys(variables, str(threads)) | {"OMP_WAIT_POLICY": "PASSIVE"}
    # Else loky takes the images that a process keeps for a leak, and starts it anew.
    limits |= {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
    executor = ProcessPoolExecutor(jobs, initializer=leave_signals_to_parent, env=limits)
    try:
        with _interrupts_ignored():
            executor.submit(int)  # starts all processes, which inherit the deafness
        yield executor
    except BaseException:
        executor.shutdown(wait=True, kill_workers=True)
        raise
    executor.shutdown(wait=True)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Be deaf to Ctrl-C for a moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _plan(bench: Bench, jobs: int, threads: int) -> tuple[str, str]:
    """Return what will happen, in words, and whether it is a warning."""
    said = f"{jobs} jobs at a time, {threads} thread{'s' if threads > 1 else ''} each"
    cores = usable_cores()
    if bench.device.type == "cuda":
        return f"{said}; all of them share one GPU, each with its own copy of the networks", "info"
    if jobs * threads > cores:
        return f"{said}, on {cores} cores: more than there are, which is slower", "warning"
    return said, "info"
