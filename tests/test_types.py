"""Strokes and tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.types import Operation, Stroke, Tile

corners = st.tuples(*[st.integers(-30, 60)] * 2, *[st.integers(0, 40)] * 2)
tiles = corners.map(lambda c: Tile(c[0], c[1], c[0] + c[2], c[1] + c[3]))


def test_a_stroke_owns_a_read_only_copy_of_its_path() -> None:
    path = np.array([[1, 2], [3, 4]])
    stroke = Stroke(path, 2, Operation.ADD)
    path[0, 0] = 99
    assert stroke.path[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        stroke.path[0, 0] = 5


def test_stroke_length_is_that_of_its_path() -> None:
    assert Stroke(np.array([[0, 0], [3, 4], [3, 10]]), 1.0, Operation.ADD).length == 11.0
    assert Stroke(np.array([[5, 5]]), 1.0, Operation.ADD).length == 0.0


def test_a_stroke_survives_json() -> None:
    stroke = Stroke(np.array([[0, 0], [3, 4]]), 1.5, Operation.ERASE, "cross")
    again = Stroke.from_dict(stroke.to_dict())
    assert again.to_dict() == stroke.to_dict()
    assert again.operation is Operation.ERASE


@given(tiles, st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_clipping_keeps_exactly_the_pixels_inside(tile: Tile, shape: tuple[int, int]) -> None:
    canvas = np.zeros((200, 200), dtype=bool)
    canvas[tile.top + 50 : tile.bottom + 50, tile.left + 50 : tile.right + 50] = True
    inside = canvas[50 : 50 + shape[0], 50 : 50 + shape[1]]
    clipped = tile.clipped(shape)
    assert np.zeros(shape, dtype=bool)[clipped.index].size == inside.sum()
    if inside.any():
        assert inside[clipped.index].all()


@given(tiles, tiles)
def test_overlap_is_a_shared_pixel(one: Tile, other: Tile) -> None:
    def pixels(tile: Tile) -> set[tuple[int, int]]:
        rows, cols = range(tile.top, tile.bottom), range(tile.left, tile.right)
        return {(r, c) for r in rows for c in cols}

    if 0 not in one.shape and 0 not in other.shape:
        assert one.overlaps(other) == bool(pixels(one) & pixels(other))


def test_within_moves_to_the_frame() -> None:
    assert Tile(10, 20, 15, 30).within(Tile(5, 5, 50, 50)) == Tile(5, 15, 10, 25)
