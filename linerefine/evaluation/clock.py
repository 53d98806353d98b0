"""Where the time of an interaction goes."""

from __future__ import annotations

from time import perf_counter

__all__ = ["Clock"]


class Clock:
    """Seconds by part of the work, since they were last read."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def add(self, part: str, seconds: float) -> None:
        """Book some seconds on a part."""
        self._seconds[part] = self._seconds.get(part, 0.0) + seconds

    def lap(self, part: str, since: float) -> float:
        """Book the time since a moment of `time.perf_counter`; return the present one."""
        now = perf_counter()
        self.add(part, now - since)
        return now

    def read(self) -> dict[str, float]:
        """Return the seconds of every part and start again from nothing."""
        seconds, self._seconds = self._seconds, {}
        return seconds
