"""Strokes as pixels: exact, clipped, and cheap however wild the stroke."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from linerefine import geometry
from linerefine.errors import ShapeError
from linerefine.geometry import _spans
from linerefine.types import Operation, Stroke, Tile

NOWHERE = Tile(0, 0, 0, 0)

points = st.tuples(st.integers(-15, 25), st.integers(-15, 25))
paths = st.lists(points, min_size=1, max_size=5)
shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))
half_widths = st.one_of(
    st.floats(0.1, 40),
    st.integers(1, 12).map(float),
    st.integers(1, 90).map(lambda squared: float(np.sqrt(squared))),
)
tips = st.sampled_from(["disc", "cross"])


def stroke(path, half_width=1.0, tip="disc", operation=Operation.ADD):
    return Stroke(np.array(path), half_width, operation, tip)


def joined(path):
    """All pixels of a path, by exact fractions."""
    pixels = [tuple(path[0])]
    for (row, col), (to_row, to_col) in pairwise(path):
        steps = max(abs(to_row - row), abs(to_col - col))
        for number in range(1, steps + 1):
            down, right = (
                int(np.sign(way)) * int(Fraction(number * abs(way), steps) + Fraction(1, 2))
                for way in (to_row - row, to_col - col)
            )
            pixels.append((row + down, col + right))
    return np.array(pixels)


def marked_slowly(path, half_width, tip, shape):
    """The definition: every pixel against every pixel of the path."""
    grid = np.stack(np.indices(shape), axis=-1)[:, :, None]
    away = np.abs(grid - joined(path))
    distance = away.sum(axis=-1) if tip == "cross" else np.sqrt((away**2).sum(axis=-1))
    return distance.min(axis=-1) < half_width


@settings(deadline=None, max_examples=300)
@given(paths, half_widths, tips, shapes)
@example([(0, 0)], float(np.sqrt(5)), "disc", (5, 5))  # that square root squared exceeds 5
@example([(3, 3), (3, 3)], 2.0, "disc", (6, 6))
@example([(-9, 2), (-9, 2)], 2.0, "disc", (6, 6))
@example([(-15, -15), (25, 25)], 0.5, "cross", (6, 9))
def test_marked_pixels_are_those_closer_than_the_half_width(path, half_width, tip, shape):
    expected = marked_slowly(path, half_width, tip, shape)
    assert np.array_equal(geometry.rasterise(stroke(path, half_width, tip), shape), expected)


@settings(deadline=None)
@given(paths, half_widths, tips, shapes)
def test_the_box_is_the_smallest_around_all_marked_pixels(path, half_width, tip, shape):
    drawn = stroke(path, half_width, tip)
    whole = geometry.rasterise(drawn, shape)
    box, marked = geometry.mark(drawn, shape)
    assert marked.shape == box.shape
    assert marked.dtype == np.bool_
    if not whole.any():
        assert box == NOWHERE
    else:
        rows, cols = np.nonzero(whole)
        assert box == Tile(rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)
        assert np.array_equal(marked, whole[box.index])


@settings(deadline=None)
@given(paths, half_widths, tips, points)
def test_a_moved_stroke_marks_the_moved_pixels(path, half_width, tip, way):
    drawn = stroke(path, half_width, tip)
    large = geometry.rasterise(drawn.shifted(60, 60), (140, 140))
    moved = geometry.rasterise(drawn.shifted(60 + way[0], 60 + way[1]), (140, 140))
    rows, cols = 20 + way[0], 20 + way[1]
    assert np.array_equal(large[20:110, 20:110], moved[rows : rows + 90, cols : cols + 90])


@pytest.mark.parametrize("chunk", [1, 7])
def test_working_in_chunks_changes_nothing(monkeypatch, chunk):
    drawn = stroke([(2, 3), (30, 50), (60, 5), (-20, 70)], 4.5)
    expected = geometry.rasterise(drawn, (64, 64))
    monkeypatch.setattr(_spans, "_CHUNK", chunk)
    assert np.array_equal(geometry.rasterise(drawn, (64, 64)), expected)


def test_a_line_is_eight_connected_and_stays_within_half_a_pixel():
    line = geometry.rasterise(stroke([(3, 2), (14, 39)], 0.5), (20, 45))
    rows, cols = np.nonzero(line.T)[::-1]
    assert cols.tolist() == list(range(2, 40))
    assert np.all(np.abs(np.diff(rows)) <= 1)
    assert np.abs(rows - (3 + (cols - 2) * 11 / 37)).max() <= 0.5


def test_a_cross_of_half_width_four_is_three_dilations_with_the_small_cross():
    path = [(10, 10), (20, 31), (30, 12)]
    line = geometry.rasterise(stroke(path, 1), (40, 40))
    thick = ndimage.binary_dilation(line, iterations=3)  # 4-connected by default
    assert np.array_equal(geometry.rasterise(stroke(path, 4, "cross"), (40, 40)), thick)


def test_a_straight_stroke_is_twice_the_half_width_less_one_wide():
    line = geometry.rasterise(stroke([(20, 5), (20, 35)], 3.0), (40, 40))
    assert line[:, 20].sum() == 5


def test_a_dot_marks_a_disc():
    dot = geometry.rasterise(stroke([(2, 2)], 2.5), (5, 5))
    assert dot.astype(int).tolist() == [
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 0],
    ]


@pytest.mark.parametrize("path", [[(-50, 3)], [(3, 200), (90, 200)], [(-2, 4)]])
def test_a_stroke_outside_the_image_has_an_empty_box(path):
    box, marked = geometry.mark(stroke(path, 2), (10, 10))
    assert box == NOWHERE
    assert marked.shape == (0, 0)
    assert not geometry.rasterise(stroke(path, 2), (10, 10)).any()


def test_a_line_that_passes_a_corner_without_touching_has_an_empty_box():
    # Its surrounding rectangle covers the image, the line itself does not meet it.
    box, marked = geometry.mark(stroke([(-9, 5), (5, -9)], 2.0), (10, 10))
    assert box == NOWHERE
    assert marked.shape == (0, 0)


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (7, 0)])
def test_an_image_without_pixels_is_not_marked(shape):
    assert geometry.mark(stroke([(0, 0)], 5), shape)[0] == NOWHERE
    assert geometry.rasterise(stroke([(0, 0)], 5), shape).shape == shape


@pytest.mark.parametrize("tip", ["disc", "cross"])
@pytest.mark.parametrize("half_width", [1e3, 1e6, 1e12, 1e300])
def test_a_stroke_of_huge_width_covers_the_image(tip, half_width):
    box, marked = geometry.mark(stroke([(5, 900), (7, -900)], half_width, tip), (30, 50))
    assert box == Tile(0, 0, 30, 50)
    assert marked.all()


def test_a_wide_stroke_is_exact_where_its_edge_crosses_the_image():
    for tip in ("disc", "cross"):
        path = [(-700, 5), (-690, 40)]
        marked = geometry.rasterise(stroke(path, 710.5, tip), (30, 50))
        assert 0 < marked.sum() < marked.size
        assert np.array_equal(marked, marked_slowly(path, 710.5, tip, (30, 50)))


def test_a_width_that_cannot_be_drawn_is_refused():
    message = (
        r"stroke half_width is 100000 pixels and the stroke does not cover the image of shape "
        r"\(30, 50\); half-widths up to 65536 can be drawn\."
    )
    with pytest.raises(ShapeError, match=message):
        geometry.mark(stroke([(-99_990, 0)], 1e5), (30, 50))


@pytest.mark.parametrize("tip", ["disc", "cross"])
def test_far_ends_cost_neither_time_nor_memory(tip):
    far = 2**30
    path = [(-far, -far), (far, far), (-far, far), (31, -far), (31, far)]
    tracemalloc.start()
    marked = geometry.rasterise(stroke(path, 2.0, tip), (64, 64))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6
    near = [(-99, -99), (99, 99), (-99, 99), (31, -99), (31, 99)]
    line, back = (
        marked_slowly(near[:2], 2.0, tip, (64, 64)),
        marked_slowly(near[3:], 2.0, tip, (64, 64)),
    )
    assert np.array_equal(marked, line | back)


@pytest.mark.parametrize("far", [2**30 + 1, -(2**30) - 1])
def test_coordinates_out_of_reach_are_refused(far):
    message = rf"stroke path reaches {far}, expected coordinates within \+-1073741824\."
    with pytest.raises(ShapeError, match=message):
        geometry.mark(stroke([(0, 0), (0, far)]), (10, 10))


def test_an_unknown_tip_is_refused():
    message = r"stroke tip is 'square', expected one of 'disc', 'cross'\."
    with pytest.raises(ShapeError, match=message):
        geometry.mark(stroke([(0, 0)], tip="square"), (10, 10))
    with pytest.raises(ShapeError, match=message):
        geometry.dilate(np.eye(3, dtype=bool), 2, "square")


@settings(deadline=None)
@given(arrays(np.bool_, shapes), half_widths, tips)
def test_dilating_is_marking_every_pixel(mask, half_width, tip):
    expected = np.zeros_like(mask)
    for point in np.argwhere(mask):
        expected |= geometry.rasterise(stroke([point], half_width, tip), mask.shape)
    assert np.array_equal(geometry.dilate(mask, half_width, tip), expected)


@settings(deadline=None)
@given(arrays(np.bool_, shapes), st.integers(1, 9))
def test_crosses_are_repeated_dilations(mask, count):
    expected = ndimage.binary_dilation(mask, iterations=count)
    assert np.array_equal(geometry.dilate(mask, count + 1, "cross"), expected)


@pytest.mark.parametrize("half_width", [0, -1, float("nan")])
def test_dilating_by_no_width_is_refused(half_width):
    with pytest.raises(ShapeError, match=rf"half_width is {half_width}, expected a number > 0\."):
        geometry.dilate(np.eye(3, dtype=bool), half_width)


def test_dilating_takes_only_bool():
    with pytest.raises(ShapeError, match="mask has shape .* type int64, expected"):
        geometry.dilate(np.eye(3, dtype=np.int64), 2)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.data())
def test_a_sub_path_is_contiguous_and_as_long_as_asked(count, length, data):
    path = np.stack([np.arange(count), np.arange(count) % 3], axis=1)
    centre = data.draw(st.integers(0, count - 1))
    piece = geometry.sub_path(path, length, centre)
    start = int(piece[0, 0])
    assert len(piece) == min(length, count)
    assert np.array_equal(piece, path[start : start + min(length, count)])
    assert start <= centre < start + len(piece)
    assert not np.shares_memory(piece, path)


def test_eleven_pixels_are_five_to_each_side_of_the_centre():
    path = np.stack([np.zeros(30, dtype=int), np.arange(30)], axis=1)
    assert geometry.sub_path(path, 11, 14)[:, 1].tolist() == list(range(9, 20))


@pytest.mark.parametrize(
    ("path", "length", "centre", "message"),
    [
        (np.zeros((0, 2), int), 3, 0, r"path has shape \(0, 2\), expected \(K, 2\) with K >= 1\."),
        (np.zeros((4, 3), int), 3, 0, r"path has shape \(4, 3\)"),
        (np.zeros(4, int), 3, 0, r"path has shape \(4,\)"),
        (np.zeros((4, 2), int), 0, 0, r"length of a sub-path is 0, expected at least 1\."),
        (np.zeros((4, 2), int), 3, 4, r"centre of a sub-path is 4, the path has points 0 to 3\."),
        (np.zeros((4, 2), int), 3, -1, r"centre of a sub-path is -1, the path"),
    ],
)
def test_bad_sub_paths_are_refused(path, length, centre, message):
    with pytest.raises(ShapeError, match=message):
        geometry.sub_path(path, length, centre)
