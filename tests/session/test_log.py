"""The record of strokes and the undo file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linerefine.errors import DataError
from linerefine.session import StrokeLog
from linerefine.session.undo import UndoStore
from linerefine.types import Operation, Stroke, Tile


def log_of(*rows: int) -> StrokeLog:
    log = StrokeLog()
    for row in rows:
        log.draw(Stroke(np.array([[row, 0], [row, 9]]), 2.5, Operation.ERASE, "cross"))
    return log


def test_a_saved_log_loads_the_same_strokes(tmp_path: Path) -> None:
    log = log_of(1, 2, 3)
    log.undo()
    log.save(tmp_path / "strokes.jsonl")
    loaded = StrokeLog.load(tmp_path / "strokes.jsonl")
    assert [s.to_dict() for s in loaded.strokes] == [s.to_dict() for s in log.strokes]
    assert len(loaded) == 2


def test_a_damaged_log_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "strokes.jsonl"
    log_of(1).save(path)
    path.write_text(path.read_text() + '{"path": [[0, 1]]}\n')
    with pytest.raises(DataError, match=r"strokes\.jsonl, line 2 is no stroke"):
        StrokeLog.load(path)


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the strokes in .*none\.jsonl"):
        StrokeLog.load(tmp_path / "none.jsonl")


def test_redo_brings_back_in_order() -> None:
    log = log_of(1, 2, 3)
    strokes = log.strokes
    log.undo()
    log.undo()
    assert log.next is strokes[1]
    log.redo()
    log.redo()
    assert log.strokes == strokes
    assert log.next is None


def test_undo_store_returns_rectangles_last_first() -> None:
    store = UndoStore()
    rng = np.random.default_rng(0)
    pushed = []
    for size in (3, 7, 5):
        box = Tile(0, 0, size, size + 1)
        logits = rng.standard_normal(box.shape).astype(np.float32)
        hints = rng.integers(-1, 2, box.shape).astype(np.int8)
        store.push(box, logits, hints)
        pushed.append((box, logits, hints))
    for box, logits, hints in reversed(pushed):
        got = store.pop()
        assert got[0] == box
        np.testing.assert_array_equal(got[1], logits)
        np.testing.assert_array_equal(got[2], hints)
    with pytest.raises(IndexError, match="nothing to undo"):
        store.pop()
