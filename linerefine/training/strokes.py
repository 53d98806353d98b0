"""Strokes of whole batches, drawn here or by processes that work while the network learns.

Imports no torch: a drawing process is small and up in a moment.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.chance import stream
from linerefine.errors import RunError
from linerefine.interfaces import UserSimulator
from linerefine.samples import Target
from linerefine.training.simulation import draw_corrections
from linerefine.types import HintMap, Mask

__all__ = ["Drawer", "DrawingPool"]

_REMEDY = "Set training.workers to 0 to draw strokes in the main process."


@dataclass(frozen=True)
class Drawer:
    """Draws the strokes of one patch of a batch: from its numbers alone, whoever is asked.

    Parameters
    ----------
    simulator : UserSimulator
        Prepared.
    seed : int
        The only source of chance.
    most : int
        Strokes per patch and round are one to so many.
    overwrite : bool
        Whether later strokes hold where strokes overlap.
    even : bool
        Whether add and erase have equal chance; else the simulator decides.
    """

    simulator: UserSimulator
    seed: int
    most: int
    overwrite: bool
    even: bool = True

    def hints(
        self,
        prediction: Mask,
        lines: Mask,
        roi: Mask,
        epoch: int,
        step: int,
        index: int,
        *,
        before: HintMap | None = None,
        number: int = 1,
    ) -> HintMap:
        """Return all hints of one patch once the strokes of a round are drawn.

        Parameters
        ----------
        prediction, lines, roi : ndarray of bool, shape (P, P)
            What is corrected, target, pixels that count.
        epoch, step, index : int
            Which patch of the training it is.
        before : ndarray of int8, shape (P, P), optional
            Hints of the rounds before; not changed.
        number : int
            Of the round.

        Returns
        -------
        hints : ndarray of int8, shape (P, P)
        """
        later = () if number == 1 else (number,)
        return draw_corrections(
            self.simulator,
            prediction,
            Target(lines, roi),
            stream(self.seed, "strokes", epoch, step, index, *later),
            most=self.most,
            overwrite=self.overwrite,
            even=self.even,
            before=before,
        )

    def batch(
        self,
        predictions: NDArray[np.bool_],
        lines: NDArray[np.bool_],
        roi: NDArray[np.bool_],
        epoch: int,
        step: int,
        first: int = 0,
        *,
        before: NDArray[np.int8] | None = None,
        number: int = 1,
    ) -> NDArray[np.int8]:
        """Return the hints of several patches, shape (B, P, P); as `DrawingPool.draw`, but here."""
        patches = enumerate(zip(predictions, lines, roi, strict=True))
        return np.stack(
            [
                self.hints(
                    *masks,
                    epoch,
                    step,
                    first + at,
                    before=None if before is None else before[at],
                    number=number,
                )
                for at, masks in patches
            ]
        )


_Packed = tuple[NDArray[np.uint8], tuple[int, ...]]


class DrawingPool:
    """Processes that draw strokes, several patches at a time.

    Parameters
    ----------
    drawer : Drawer
        Sent to each process once; its simulator must be one that can be pickled.
    workers : int
        Number of processes, at least 1.

    Raises
    ------
    RunError
        If the simulator cannot be sent to another process.

    Notes
    -----
    Processes are started afresh, not forked: a fork of a process that runs
    threads, as one with a GPU or a tracking client does, may hang.
    """

    def __init__(self, drawer: Drawer, workers: int) -> None:
        try:
            sent = pickle.dumps(drawer)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            name = type(drawer.simulator).__name__
            msg = f"simulator {name} cannot be sent to another process ({error}). {_REMEDY}"
            raise RunError(msg) from error
        self._workers = workers
        self._pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(sent,),
        )

    def draw(
        self,
        predictions: NDArray[np.bool_],
        lines: NDArray[np.bool_],
        roi: NDArray[np.bool_],
        epoch: int,
        step: int,
        first: int = 0,
        *,
        before: NDArray[np.int8] | None = None,
        number: int = 1,
    ) -> Callable[[], NDArray[np.int8]]:
        """Begin to draw on a batch; what is returned waits for the hints.

        Parameters
        ----------
        predictions, lines, roi : ndarray of bool, shape (B, P, P)
            What is corrected, targets, pixels that count.
        epoch, step : int
            Which batch of the training it is.
        first : int
            Where these patches begin in the batch.
        before : ndarray of int8, shape (B, P, P), optional
            Hints of the rounds before.
        number : int
            Of the round, as for `Drawer.hints`.

        Returns
        -------
        wait : callable
            Returns the hints, int8 of shape (B, P, P). Raises `RunError` if a
            process was ended from outside, and whatever the simulator raises.
        """
        shares = np.array_split(np.arange(len(lines)), min(self._workers, len(lines)))
        drawn = () if before is None else (before > 0, before < 0)
        masks = np.stack([predictions, lines, roi, *drawn])
        try:
            parts = [
                self._pool.submit(
                    _draw_some, _packed(masks[:, share]), epoch, step, first + int(share[0]), number
                )
                for share in shares
            ]
        except BrokenProcessPool as error:
            raise _ended() from error
        return lambda: _gathered(parts)

    def close(self) -> None:
        """End the processes; strokes that nobody waits for any more are dropped.

        Waits for the patch that each process is at: the threads that serve the
        processes are gone before anything else is forked.
        """
        self._pool.shutdown(wait=True, cancel_futures=True)


def _gathered(parts: Sequence[Future[_Packed]]) -> NDArray[np.int8]:
    try:
        added, erased = np.concatenate([_unpacked(part.result()) for part in parts], axis=1)
    except BrokenProcessPool as error:
        raise _ended() from error
    return _signed(added, erased)


def _signed(added: NDArray[np.bool_], erased: NDArray[np.bool_]) -> NDArray[np.int8]:
    hints: NDArray[np.int8] = added.view(np.int8) - erased.view(np.int8)
    return hints


def _ended() -> RunError:
    return RunError(f"a process that draws strokes was ended from outside. {_REMEDY}")


def _packed(masks: NDArray[np.bool_]) -> _Packed:
    """Return masks eight pixels to the byte: the pipes between processes are narrow."""
    return np.packbits(masks), masks.shape


def _unpacked(packed: _Packed) -> NDArray[np.bool_]:
    bits, shape = packed
    masks: NDArray[np.bool_] = np.unpackbits(bits, count=int(np.prod(shape))).view(np.bool_)
    return masks.reshape(shape)


# In the drawing processes

_drawer: dict[str, Any] = {}


def _begin(sent: bytes) -> None:
    """Take up what to draw with; leave Ctrl-C to the main process, and cores to the others."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    _drawer["own"] = pickle.loads(sent)


def _draw_some(packed: _Packed, epoch: int, step: int, first: int, number: int) -> _Packed:
    """Return what is added and what is erased on some patches of a batch."""
    predictions, lines, roi, *drawn = _unpacked(packed)
    drawer: Drawer = _drawer["own"]
    before = _signed(*drawn) if drawn else None
    hints = drawer.batch(predictions, lines, roi, epoch, step, first, before=before, number=number)
    return _packed(np.stack([hints > 0, hints < 0]))
