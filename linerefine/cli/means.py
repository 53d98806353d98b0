"""With what a run is computed: processes, a cluster, devices; never what it computes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from linerefine.errors import ConfigError
from linerefine.machine import install_command

if TYPE_CHECKING:
    from linerefine.experiment.workers import Workers
    from linerefine.training.distributed import Group

__all__ = ["Means", "training_group"]


@dataclass(frozen=True)
class Means:
    """Who runs the sessions: ``jobs`` processes of this machine, or a Dask cluster."""

    jobs: int = 1
    cluster: str | None = None

    def check(self) -> None:
        """Refuse what cannot be had, before anything slow is done.

        Raises
        ------
        ConfigError
            If both are asked for, or Dask is not installed.
        """
        if self.cluster is None:
            return
        if self.jobs > 1:
            msg = (
                f"--jobs {self.jobs} and --cluster {self.cluster} exclude each other. "
                f"Leave one of them out."
            )
            raise ConfigError(msg)
        if find_spec("distributed") is None:
            remedy = install_command("'linerefine[cluster]'")
            msg = f"--cluster needs Dask. Run: {remedy}"
            raise ConfigError(msg)

    def workers(self) -> Workers | None:
        """Return who runs the sessions; None for the process that trains."""
        if self.cluster is not None:
            from linerefine.experiment.cluster import Cluster

            return Cluster(self.cluster)
        if self.jobs == 1:
            return None
        from linerefine.experiment.workers import Processes

        return Processes(self.jobs)


@contextmanager
def training_group() -> Iterator[Group | None]:
    """Give the processes that ``torchrun`` started; None if this one runs alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield None
        return
    from linerefine.training import distributed  # torch: seconds

    with distributed.training_group() as group:
        yield group
