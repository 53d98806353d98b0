"""The units of a run, done by the workers of a Dask scheduler that is already there.

Dask gives the units of a worker that died to the others, and forgets answers
that come twice: each unit has one future, and each future one result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from linerefine.errors import RunError
from linerefine.experiment.away import pack
from linerefine.experiment.bench import Bench
from linerefine.experiment.work import Unit
from linerefine.experiment.workers import Results, Workers, collect

if TYPE_CHECKING:
    from distributed import Client, Scheduler

__all__ = ["Cluster"]

CONNECT_SECONDS = 20.0
"""How long to wait for the scheduler to answer, and for a first worker."""

ALLOWED_DEATHS = 3
"""Workers that may die of one unit; with the next one the run ends."""


class Cluster(Workers):
    """Workers of a Dask scheduler.

    Parameters
    ----------
    address : str
        Where the scheduler listens, such as ``tcp://host:8786``.

    Notes
    -----
    Workers must see the run folder, the data and the working directory under
    the same paths, and have the same versions installed; the first unit that
    one of them takes checks it and says what is missing.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def check(self) -> None:
        """Ask the scheduler for its workers.

        Raises
        ------
        RunError
            If it does not answer or has none.
        """
        with self._client():
            pass

    def run(self, bench: Bench, units: Sequence[Unit]) -> Results:
        """Yield results as they come; the scheduler and its workers stay.

        Raises
        ------
        RunError
            If the scheduler does not answer, has no workers, or a unit fails.
        """
        if not units:
            return
        # A worker uses the threads it was started with, unless the settings say otherwise.
        with self._client() as client, pack(bench, bench.config.threads) as parcel:
            bench.notify.note(self._plan(client))
            executor = client.get_executor(pure=False, retries=0)
            try:
                yield from collect(executor, parcel, units)
            finally:
                executor.shutdown(wait=False)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        """Give a connection to a scheduler that has workers."""
        from distributed import Client

        try:
            client = Client(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            msg = (
                f"no Dask scheduler answers at {self._address} ({error}). "
                f"Start one with `dask scheduler`, and take the address it prints."
            )
            raise RunError(msg) from error
        with client:
            try:
                client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            except TimeoutError as error:
                msg = (
                    f"the scheduler at {self._address} has no workers. Start some with "
                    f"`dask worker {self._address} --nworkers N --nthreads 1`."
                )
                raise RunError(msg) from error
            client.run_on_scheduler(_forgive)
            yield client

    def _plan(self, client: Client) -> str:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        threads = sum(worker["nthreads"] for worker in workers)
        hosts = {worker["host"] for worker in workers}
        return (
            f"{len(workers)} workers with {threads} threads on {len(hosts)} hosts, "
            f"by {self._address}"
        )


def _forgive(dask_scheduler: Scheduler) -> None:
    """Let the scheduler try a unit again when its worker died, but not for ever."""
    allowed = max(dask_scheduler.allowed_failures, ALLOWED_DEATHS)
    dask_scheduler.allowed_failures = allowed
