"""Centrelines, segments in path order, half-widths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import morphology

from linerefine import geometry
from linerefine.errors import ShapeError

EIGHT = np.ones((3, 3))

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
masks = arrays(np.bool_, sizes)


@st.composite
def blobs(draw):
    """Smooth masks: lines and areas several pixels wide, as drawings have them."""
    seed, sigma = draw(st.integers(0, 2**31)), draw(st.floats(0.7, 4))
    noise = np.random.default_rng(seed).standard_normal((48, 40))
    field = np.abs(ndimage.gaussian_filter(noise, sigma))
    return field < np.quantile(field, draw(st.floats(0.05, 0.6)))


def picture(*rows: str) -> np.ndarray:
    return np.array([[letter != "." for letter in row] for row in rows])


def touching(path: np.ndarray) -> np.ndarray:
    """Whether each point of a path touches the next."""
    return np.abs(np.diff(path, axis=0)).max(axis=1) == 1


@settings(deadline=None)
@given(st.one_of(masks, blobs()))
@example(np.ones((9, 9), dtype=bool))
@example(np.zeros((3, 4), dtype=bool))
def test_thin_equals_scikit_image(mask):
    before = mask.copy()
    assert np.array_equal(geometry.thin(mask), morphology.thin(mask))
    assert np.array_equal(mask, before)


@settings(deadline=None)
@given(st.one_of(masks, blobs()))
def test_centreline_equals_scikit_image(mask):
    before = mask.copy()
    assert np.array_equal(geometry.centreline(mask), morphology.skeletonize(mask))
    assert np.array_equal(mask, before)


@pytest.mark.parametrize("function", [geometry.thin, geometry.centreline, geometry.segment_pixels])
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (4, 6)])
def test_nothing_stays_nothing(function, shape):
    result = function(np.zeros(shape, dtype=bool))
    assert result.shape == shape
    assert result.dtype == np.bool_
    assert not result.any()


def test_results_are_new_arrays():
    line = np.eye(5, dtype=bool)
    for function in (geometry.thin, geometry.centreline, geometry.segment_pixels):
        assert not np.shares_memory(function(line), line)


def test_non_contiguous_masks_are_read_rightly():
    mask = np.repeat(np.eye(12, dtype=bool), 2, axis=0).T[:, ::2]
    copy = mask.copy()
    for function in (
        geometry.thin,
        geometry.centreline,
        geometry.segment_pixels,
        geometry.half_widths,
    ):
        assert np.array_equal(function(mask), function(copy))


@settings(deadline=None)
@given(masks)
def test_segment_pixels_have_exactly_two_set_neighbours(mask):
    padded = np.pad(mask, 1)
    expected = np.zeros_like(mask)
    for row, col in np.argwhere(mask):
        expected[row, col] = padded[row : row + 3, col : col + 3].sum() - 1 == 2
    assert np.array_equal(geometry.segment_pixels(mask), expected)


@settings(deadline=None)
@given(masks)
def test_segments_are_the_components_of_segment_pixels(mask):
    pixels = geometry.segment_pixels(mask)
    labels, count = ndimage.label(pixels, structure=EIGHT)
    segments = geometry.unbranched_segments(mask)
    assert len(segments) == count
    seen = np.zeros_like(mask)
    for segment in segments:
        points = tuple(segment.T)
        assert not seen[points].any()
        assert len(np.unique(segment, axis=0)) == len(segment)
        seen[points] = True
        label = labels[tuple(segment[0])]
        assert label > 0
        assert np.all(labels[points] == label)
    assert np.array_equal(seen, pixels)


@settings(deadline=None)
@given(masks)
def test_segments_run_end_to_end(mask):
    for segment in geometry.unbranched_segments(mask):
        assert np.all(touching(segment))
        inner = segment[1:-1]
        for place, point in enumerate(inner, start=1):
            others = np.delete(segment, [place - 1, place, place + 1], axis=0)
            assert not np.any(np.abs(others - point).max(axis=1) <= 1)


@settings(deadline=None)
@given(masks)
def test_segments_come_in_raster_order_and_start_with_their_first_end(mask):
    segments = geometry.unbranched_segments(mask)
    firsts = [min(map(tuple, segment)) for segment in segments]
    assert firsts == sorted(firsts)
    for segment, first in zip(segments, firsts, strict=True):
        assert tuple(segment[0]) <= tuple(segment[-1])
        if len(segment) > 2 and np.abs(segment[0] - segment[-1]).max() == 1:
            assert tuple(segment[0]) == first


def test_a_vee_is_one_segment_in_drawing_order():
    # Raster order would jump from arm to arm: the fault of the authors' code.
    vee = picture(
        "#.....#",
        ".#...#.",
        "..#.#..",
        "...#...",
    )
    (segment,) = geometry.unbranched_segments(vee)
    assert segment.tolist() == [[1, 1], [2, 2], [3, 3], [2, 4], [1, 5]]


def test_a_segment_that_begins_in_its_middle_is_still_run_from_end_to_end():
    # Its first pixel in raster order is the peak; of its ends the right one comes first.
    arch = picture(
        "...#...",
        "..#.#..",
        ".#...#.",
        "#.....#",
        "#......",
        "#......",
    )
    path = [[2, 5], [1, 4], [0, 3], [1, 2], [2, 1], [3, 0], [4, 0]]
    for way in (arch, arch[:, ::-1]):
        (segment,) = geometry.unbranched_segments(way)
        expected = path if way is arch else [[row, 6 - col] for row, col in path]
        assert segment.tolist() == expected
        assert geometry.longest_segment(way).tolist() == expected


def test_a_ring_is_one_segment():
    ring = picture(
        "..##..",
        ".#..#.",
        ".#..#.",
        "..##..",
    )
    (segment,) = geometry.unbranched_segments(ring)
    assert len(segment) == ring.sum()
    assert segment[0].tolist() == [0, 2]
    assert np.abs(segment[0] - segment[-1]).max() == 1


def test_junctions_and_ends_belong_to_no_segment():
    cross = picture(
        "..#..",
        "..#..",
        "#####",
        "..#..",
        "..#..",
    )
    # Around the crossing every pixel has more than two neighbours.
    assert geometry.unbranched_segments(cross) == []


def test_the_longest_segment_of_crossing_lines():
    lines = np.zeros((9, 20), dtype=bool)
    lines[4, :] = lines[:, 6] = True
    longest = geometry.longest_segment(lines)
    assert longest.tolist() == [[4, col] for col in range(8, 19)]


@settings(deadline=None)
@given(masks)
def test_the_longest_segment_is_the_first_of_the_largest(mask):
    segments = geometry.unbranched_segments(mask)
    longest = geometry.longest_segment(mask)
    if not segments:
        assert longest is None
    else:
        # max returns the first of equals, and segments are in raster order.
        assert np.array_equal(longest, max(segments, key=len))


@pytest.mark.parametrize("turned", [False, True])
def test_ties_go_to_the_first_pixel_in_raster_order(turned):
    # Both begin in row 1, below a shorter line that begins before them.
    lines = picture(
        "####........",
        "............",
        "....#...#...",
        "...#.....#..",
        "..#.......#.",
        ".#.........#",
    )
    lines = lines[:, ::-1] if turned else lines
    first, second = geometry.unbranched_segments(lines)[-2:]
    assert len(first) == len(second) == 2
    assert first.min(axis=0)[1] < second.min(axis=0)[1]
    lines[0] = False
    assert np.array_equal(geometry.longest_segment(lines), first)


def test_the_longest_segment_of_nothing_is_none():
    assert geometry.longest_segment(np.zeros((4, 4), dtype=bool)) is None
    assert geometry.longest_segment(np.zeros((0, 4), dtype=bool)) is None


@settings(deadline=None)
@given(st.one_of(masks, blobs()))
def test_half_widths_are_exact_distances_in_row_major_order(mask):
    widths = geometry.half_widths(mask)
    assert widths.dtype == np.float64
    if mask.all():
        assert widths.shape == (0,)
    else:
        distances = ndimage.distance_transform_edt(mask)
        assert np.array_equal(widths, distances[morphology.skeletonize(mask)])


def test_a_line_three_pixels_wide_has_half_width_two():
    mask = np.zeros((9, 20), dtype=bool)
    mask[3:6, 2:18] = True
    assert geometry.half_widths(mask).max() == 2.0


def test_half_widths_along_a_known_centreline():
    mask = np.zeros((9, 20), dtype=bool)
    mask[3:6, 2:18] = True
    along = np.zeros_like(mask)
    along[4, 6:12] = True
    assert geometry.half_widths(mask, along=along).tolist() == [2.0] * 6


def test_half_widths_refuse_a_centreline_of_another_shape():
    mask = np.eye(4, dtype=bool)
    message = r"along has shape \(4, 3\), mask \(4, 4\); H and W must agree\."
    with pytest.raises(ShapeError, match=message):
        geometry.half_widths(mask, along=mask[:, :3])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (geometry.centreline, "mask"),
        (geometry.thin, "mask"),
        (geometry.half_widths, "mask"),
        (geometry.segment_pixels, "centreline"),
        (geometry.unbranched_segments, "centreline"),
        (geometry.longest_segment, "centreline"),
    ],
)
def test_only_two_dimensional_bool_is_taken(function, name):
    message = rf"{name} has shape \(3, 3\) and type uint8, expected \(H, W\) and bool\."
    with pytest.raises(ShapeError, match=message):
        function(np.ones((3, 3), dtype=np.uint8))
    with pytest.raises(ShapeError, match=rf"{name} has shape \(3, 3, 3\) and type bool"):
        function(np.ones((3, 3, 3), dtype=bool))


def test_a_mask_that_cannot_be_written_is_read():
    mask = np.zeros((9, 9), dtype=bool)
    mask[3:6, 1:8] = True
    mask.flags.writeable = False
    assert geometry.centreline(mask).any()
    assert geometry.thin(mask).any()
