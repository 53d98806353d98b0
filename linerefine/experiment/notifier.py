"""Hands what happens in a run to whoever watches."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from linerefine.events import Event, Note, Observer, Working

__all__ = ["Notifier"]

logger = logging.getLogger(__name__)


class Notifier:
    """Hands every event to every observer, and notes to the log file."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def __call__(self, event: Event) -> None:
        """Announce one event."""
        for observer in self._observers:
            observer(event)

    def note(self, message: str, level: str = "info") -> None:
        """Announce one line for people."""
        logger.log(logging.WARNING if level == "warning" else logging.INFO, "%s", message)
        self(Note(message, level))

    def progress(self, what: str, done: int, total: int) -> None:
        """Announce that slow work advances; a `linerefine.types.Progress`."""
        self(Working(what, done, total))
