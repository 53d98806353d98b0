"""Slow work at a terminal: bars with the time left, or plain lines now and then."""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from linerefine.tracking.tables import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["BETWEEN_LINES", "Bars", "Lines", "Tasks", "duration"]

BETWEEN_LINES = 5.0
"""Least time between two lines about the same work where there is no terminal, seconds."""

_BAR = 10  # width of a bar, characters
_SLOW = 2.0  # work shorter than this is not worth a line, seconds
_FORGOTTEN = 60.0  # work that has not moved for so long does not silence other work


def duration(seconds: float) -> str:
    """Return minutes and seconds, such as ``0:34`` or ``1:02:03``."""
    whole = round(max(seconds, 0))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@dataclass
class _Task:
    """Work that goes on: when it began, was last mentioned, and last moved."""

    began: float
    said: float
    heard: float


class Tasks(Protocol):
    """Shows how far slow work is."""

    def update(
        self, what: str, done: int, total: int, detail: str = "", *, ends: bool = True
    ) -> None:
        """Say how far some work is; with ``ends``, that ``done == total`` is its end."""

    def drop(self, what: str) -> None:
        """Forget some work without a word."""

    def close(self) -> None:
        """Forget all work and leave the screen clean."""


class Lines(Tasks):
    """Slow work as plain lines: one every few seconds, and one at the end.

    Work within other work is silent.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._tasks: dict[str, _Task] = {}

    def update(
        self, what: str, done: int, total: int, detail: str = "", *, ends: bool = True
    ) -> None:
        now = self._clock()
        task = self._tasks.setdefault(what, _Task(now, now - BETWEEN_LINES + _SLOW, now))
        task.heard = now
        is_part = any(
            other is not task and other.began <= task.began and now - other.heard < _FORGOTTEN
            for other in self._tasks.values()
        )
        if ends and done >= total:
            self.drop(what)
            if now - task.began >= _SLOW and not is_part:
                self._say(f"{what}: done in {duration(now - task.began)}")
        elif now - task.said >= BETWEEN_LINES and not is_part:
            task.said = now
            left = (now - task.began) / done * (total - done) if done else math.nan
            words = [f"{what}: {done} of {total}", detail]
            words.append("" if math.isnan(left) else f"{duration(left)} left")
            self._say(", ".join(word for word in words if word))

    def drop(self, what: str) -> None:
        self._tasks.pop(what, None)

    def close(self) -> None:
        self._tasks.clear()


class Bars(Tasks):
    """Slow work as bars that vanish when it is done; what took long leaves a line."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._progress: Progress | None = None
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def update(
        self, what: str, done: int, total: int, detail: str = "", *, ends: bool = True
    ) -> None:
        if ends and done >= total:
            began = self._tasks[what][1] if what in self._tasks else self._clock()
            self.drop(what)
            taken = self._clock() - began
            if taken >= _SLOW and not self._tasks:
                say(self._console, f"{what}: done in {duration(taken)}")
            return
        progress = self._progress or self._open()
        if what not in self._tasks:
            task = progress.add_task(what, total=total, detail=detail)
            self._tasks[what] = (task, self._clock())
        # On a narrow terminal the name gives way, not the numbers.
        room = max(self._console.width - len(detail) - _BAR - 2 * len(str(total)) - 11, 8)
        name = what if len(what) <= room else f"{what[: room - 1]}…"
        progress.update(
            self._tasks[what][0], description=name, completed=done, total=total, detail=detail
        )

    def drop(self, what: str) -> None:
        task = self._tasks.pop(what, None)
        if task is not None and self._progress is not None:
            self._progress.remove_task(task[0])
        if not self._tasks:
            self.close()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            atexit.unregister(self.close)
        self._progress = None
        self._tasks.clear()

    def _open(self) -> Progress:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._progress.start()
        atexit.register(self.close)  # or the cursor stays hidden
        return self._progress
