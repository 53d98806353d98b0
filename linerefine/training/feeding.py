"""What stands between the reading of batches and the steps that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linerefine.training.data import Batch
from linerefine.training.strokes import DrawingPool

__all__ = ["Ahead", "Course", "Host", "batch_masks"]


@dataclass(frozen=True)
class Course:
    """What batches are fed to.

    Parameters
    ----------
    epoch, step : int
        Of the first batch.
    steps : int
        Batches per epoch.
    device : torch.device
        Where steps are computed.
    autocast : callable
        Returns the context in which `Task.loss` is called.
    workers : int
        Processes that may work ahead; 0 leaves all work to the step itself.
    """

    epoch: int
    step: int
    steps: int
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]
    workers: int = 0

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield epoch and step of every batch, without end."""
        epoch, step = self.epoch, self.step
        while True:
            yield epoch, step
            epoch, step = (epoch, step + 1) if step + 1 < self.steps else (epoch + 1, 0)


def batch_masks(batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return lines and ROI of a batch, each of shape (B, P, P)."""
    return batch.lines[:, 0].cpu().numpy(), batch.roi[:, 0].cpu().numpy()


class Host:
    """A tensor on its way from the device, which is not waited for until it is needed.

    Parameters
    ----------
    tensor : Tensor of bool
        On any device.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._copy, self._event = tensor, None
        if tensor.device.type == "cuda":
            self._copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._copy.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def array(self) -> NDArray[np.bool_]:
        """Return it, waiting if it is still on its way."""
        if self._event is not None:
            self._event.synchronize()
        array: NDArray[np.bool_] = self._copy.cpu().numpy()
        return array


@dataclass(eq=False)
class Ahead:
    """A batch whose strokes are on their way.

    Parameters
    ----------
    place : tuple of int
        Its epoch and step.
    batch, moved : Batch
        As it was read, and on the device.
    initial : Tensor of float32, shape (B, 1, P, P)
        Its first prediction, on the device.
    masks : Host
        Where that is line.
    """

    place: tuple[int, int]
    batch: Batch
    moved: Batch
    initial: Tensor
    masks: Host
    wait: Callable[[], NDArray[np.int8]] | None = None

    def begin(self, pool: DrawingPool) -> None:
        """Have the strokes drawn."""
        predictions = self.masks.array()[:, 0]
        self.wait = pool.draw(predictions, *batch_masks(self.batch), *self.place, self.batch.first)

    def hints(self, pool: DrawingPool) -> NDArray[np.int8]:
        """Return the hints, shape (B, P, P), when they are there."""
        if self.wait is None:
            self.begin(pool)
        assert self.wait is not None  # just begun
        return self.wait()
