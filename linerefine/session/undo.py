"""Old pixels for undo, kept in temporary files: neither memory nor disk grows with the strokes."""

from __future__ import annotations

import tempfile
import weakref
from typing import IO

import numpy as np

from linerefine.errors import RunError
from linerefine.types import HintMap, Logits, Tile

__all__ = ["UndoStore"]


class UndoStore:
    """A stack of rectangles of logits and hints, of which the latest are kept.

    Two files take turns: when one is full the older one is thrown away. They
    have no name where the system allows it, and go with the session.

    Parameters
    ----------
    kept : int
        At least so many rectangles can be taken back, at most twice as many.
    """

    def __init__(self, kept: int = 256) -> None:
        self._kept = kept
        self._older = _Stack()
        self._newer = _Stack()

    def __len__(self) -> int:
        """Return how many rectangles can be taken back."""
        return len(self._older) + len(self._newer)

    def push(self, box: Tile, logits: Logits, hints: HintMap) -> None:
        """Remember the pixels of a rectangle.

        Raises
        ------
        RunError
            If the temporary folder is full.
        """
        if len(self._newer) >= self._kept:
            self._older, self._newer = self._newer, _Stack()
        self._newer.push(box, logits, hints)

    def pop(self) -> tuple[Tile, Logits, HintMap]:
        """Return the last remembered rectangle and its pixels, and forget it."""
        return (self._newer if len(self._newer) else self._older).pop()


class _Stack:
    """Rectangles in one file."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._boxes: list[tuple[Tile, int]] = []

    def __len__(self) -> int:
        return len(self._boxes)

    def push(self, box: Tile, logits: Logits, hints: HintMap) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="linerefine-undo-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)  # a session has no end to close it at
        start = self._file.seek(0, 2)
        try:
            self._file.write(np.ascontiguousarray(logits, dtype=np.float32).data)
            self._file.write(np.ascontiguousarray(hints, dtype=np.int8).data)
            self._file.flush()
        except OSError as error:
            self._file.truncate(start)
            msg = (
                f"cannot keep the undo history in {tempfile.gettempdir()}: {error.strerror}. "
                f"Free space there or point TMPDIR elsewhere."
            )
            raise RunError(msg) from error
        self._boxes.append((box, start))

    def pop(self) -> tuple[Tile, Logits, HintMap]:
        if self._file is None or not self._boxes:
            msg = "nothing to undo."
            raise IndexError(msg)
        box, start = self._boxes.pop()
        height, width = box.shape
        self._file.seek(start)
        logits = np.frombuffer(self._file.read(4 * height * width), dtype=np.float32)
        hints = np.frombuffer(self._file.read(height * width), dtype=np.int8)
        self._file.truncate(start)
        return box, logits.reshape(height, width), hints.reshape(height, width)
