"""Numbers on their way to a store: gathered, sent in batches, kept when the store fails."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from linerefine.errors import RunError

__all__ = ["BATCH", "MetricWriter", "Point"]

log = logging.getLogger(__name__)

BATCH = 1000
"""Most numbers MLflow takes in one call."""


@dataclass(frozen=True)
class Point:
    """One value of one metric.

    Parameters
    ----------
    key : str
        Name of the metric.
    value : float
        Finite.
    milliseconds : int
        When, since 1970.
    step : int
        Interaction or epoch; 0 for a number that has none.
    is_final : bool
        Whether it is such a number: one value that a later one replaces.
    """

    key: str
    value: float
    milliseconds: int
    step: int
    is_final: bool = False


class MetricWriter:
    """Gathers numbers by run and sends them in batches.

    Parameters
    ----------
    send : callable
        ``send(run, points)`` records at most `BATCH` points or raises RunError.
    seconds : float
        `add` sends what has gathered once the last sending is so long ago.

    Notes
    -----
    A store that fails in the middle of a run must not cost the run: what
    could not be sent is kept and tried again with the next sending.
    """

    def __init__(
        self, send: Callable[[str, Sequence[Point]], None], *, seconds: float = 5.0
    ) -> None:
        self._send = send
        self._seconds = seconds
        self._waiting: dict[str, deque[Point]] = defaultdict(deque)
        self._last = time.monotonic()
        self._is_failing = False

    def add(
        self, run: str, step: int, numbers: Mapping[str, float], *, is_final: bool = False
    ) -> None:
        """Take the finite ones of some numbers."""
        now = int(time.time() * 1000)
        self._waiting[run].extend(
            Point(key, float(value), now, step, is_final)
            for key, value in numbers.items()
            if math.isfinite(value)
        )
        if time.monotonic() - self._last >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Send everything; what cannot be sent is kept and a warning logged, once."""
        try:
            for run in list(self._waiting):
                self._drain(run)
        except RunError as error:
            if not self._is_failing:
                log.warning("numbers wait until MLflow takes them again: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False
        self._last = time.monotonic()

    @property
    def waiting(self) -> int:
        """How many numbers are not recorded yet."""
        return sum(len(points) for points in self._waiting.values())

    def _drain(self, run: str) -> None:
        points = self._waiting[run]
        while points:
            batch = list(islice(points, BATCH))
            self._send(run, batch)
            for _ in batch:
                points.popleft()
        del self._waiting[run]
