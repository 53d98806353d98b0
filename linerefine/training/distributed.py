"""Training on several devices: one process for each, all of them taking the same steps.

``torchrun`` starts the processes; `training_group` finds out which of them
this one is. A training that runs alone belongs to a `Group` of one, which does
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from linerefine.errors import ConfigError, DeviceError, RunError

if TYPE_CHECKING:
    from linerefine.training.data import Batch
    from linerefine.training.tasks import Task

__all__ = ["ALONE", "BatchLoss", "Group", "Launched", "training_group"]

T = TypeVar("T")

PATIENCE = timedelta(hours=12)
"""While the first process validates, the others wait; torchrun ends them if it dies."""

BatchLoss: TypeAlias = Callable[["Batch", int, int], Tensor]
"""``loss(batch, epoch, step)`` returns a scalar."""


class Group:
    """The processes that train together: here only this one.

    Attributes
    ----------
    rank : int
        Which of them this process is; 0 is the one that validates, writes and
        tells observers.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates, writes and tells observers."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """Return which patches of every batch this process takes.

        Raises
        ------
        ConfigError
            If the batch cannot be shared evenly.
        """
        if batch_size % self.size:
            msg = (
                f"training.batch_size is {batch_size}, expected a multiple of {self.size}, the "
                f"number of processes that train together."
            )
            raise ConfigError(msg)
        part = batch_size // self.size
        return range(self.rank * part, (self.rank + 1) * part)

    def loss(self, task: Task) -> BatchLoss:
        """Return a task's loss, whose gradients are those of the whole batch."""
        return task.loss

    def whole(self, share: Tensor) -> Tensor:
        """Return the rows of all processes; gradients flow into those of this one."""
        return share

    def agreed(self, decide: Callable[[], T]) -> T:
        """Return what the first process decides; the others do not try.

        Raises
        ------
        RunError
            If the first process has gone.
        """
        return decide()

    def align(self, module: nn.Module) -> None:
        """Give every process the weights and buffers of the first one."""


ALONE = Group()
"""A training by one process."""


class Launched(Group):
    """Processes that ``torchrun`` started, joined through torch.distributed."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def loss(self, task: Task) -> BatchLoss:
        """Return the loss as a module whose backward pass adds up the gradients."""
        # What a plugin's refiner leaves unused is not ours to know.
        synchronised = DistributedDataParallel(_LossModule(task), find_unused_parameters=True)
        # The loss is that of the whole batch already, and the gradients are averaged.
        return lambda batch, epoch, step: self._scaled(synchronised(batch, epoch, step))

    def _scaled(self, loss: Tensor) -> Tensor:
        """Return the loss with its gradient times the number of processes."""
        return loss.detach() + self.size * (loss - loss.detach())

    def whole(self, share: Tensor) -> Tensor:
        """Gather the rows of all processes, in their order."""
        plain = share.detach().float().contiguous()
        rows = [torch.empty_like(plain) for _ in range(self.size)]
        dist.all_gather(rows, plain)
        rows[self.rank] = share.float()
        return torch.cat(rows)

    def agreed(self, decide: Callable[[], T]) -> T:
        """Send the first process's decision to all."""
        box = [decide() if self.is_first else None]
        try:
            dist.broadcast_object_list(box, src=0)
        except RuntimeError as error:
            msg = f"process {self.rank} of {self.size} lost the others: {error}"
            raise RunError(msg) from error
        return box[0]  # type: ignore[return-value]

    def align(self, module: nn.Module) -> None:
        """Send the first process's weights and buffers to all."""
        module.load_state_dict(self.agreed(module.state_dict))


class _LossModule(nn.Module):
    """A task's loss as a module, which is what DistributedDataParallel can wrap."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.trained = task.module
        self._task = task

    def forward(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Return the loss of this process's share of a batch."""
        return self._task.loss(batch, epoch, step)


@contextmanager
def training_group() -> Iterator[Group]:
    """Give the group this process belongs to, joined for the length of a block.

    Yields
    ------
    group : Group
        `ALONE` unless ``torchrun`` started several processes.

    Raises
    ------
    DeviceError
        If there are more processes on this machine than CUDA devices.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(_own_device())
        backend = "cpu:gloo,cuda:nccl"
    else:
        backend = "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Launched()
    finally:
        dist.destroy_process_group()


def _own_device() -> int:
    """Return which CUDA device of this machine belongs to this process."""
    local, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= devices:
        msg = (
            f"torchrun started process {local + 1} on this machine, but torch sees {devices} CUDA "
            f"devices. Pass --nproc-per-node {devices}."
        )
        raise DeviceError(msg)
    return local
