"""The strokes of a session: what was drawn, and what was taken back."""

from __future__ import annotations

import json
from pathlib import Path

from linerefine.cache import atomic_write
from linerefine.errors import DataError
from linerefine.types import Stroke

__all__ = ["StrokeLog"]


class StrokeLog:
    """Strokes in drawing order with a cursor for undo and redo.

    Drawing after an undo forgets what was undone, as every editor does.
    """

    def __init__(self) -> None:
        self._drawn: list[Stroke] = []
        self._undone: list[Stroke] = []

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """The strokes that count, in drawing order."""
        return tuple(self._drawn)

    def __len__(self) -> int:
        """Return how many strokes count."""
        return len(self._drawn)

    @property
    def last(self) -> Stroke | None:
        """What `undo` would take back."""
        return self._drawn[-1] if self._drawn else None

    @property
    def next(self) -> Stroke | None:
        """What `redo` would bring back."""
        return self._undone[-1] if self._undone else None

    def draw(self, stroke: Stroke) -> None:
        """Append a new stroke; undone ones are forgotten."""
        self._drawn.append(stroke)
        self._undone.clear()

    def undo(self) -> None:
        """Move the cursor back by one stroke."""
        self._undone.append(self._drawn.pop())

    def redo(self) -> None:
        """Move the cursor forward by one stroke."""
        self._drawn.append(self._undone.pop())

    def save(self, path: Path) -> None:
        """Write the strokes that count, one JSON object a line.

        Raises
        ------
        DataError
            If the file cannot be written; an older one is left as it was.
        """
        with atomic_write(path) as temporary:
            lines = (json.dumps(stroke.to_dict()) for stroke in self._drawn)
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> StrokeLog:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If the file is missing or a line is no stroke; names the line.
        """
        log = cls()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            msg = f"cannot read the strokes in {path}: {error.strerror}."
            raise DataError(msg) from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                log._drawn.append(Stroke.from_dict(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                msg = f"{path}, line {number} is no stroke: {error}."
                raise DataError(msg) from error
        return log
