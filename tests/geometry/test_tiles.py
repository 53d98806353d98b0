"""Grids of tiles, crops and blending."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.errors import ShapeError
from linerefine.geometry import blend, crop, paper_weights, shown, taper, tile_grid
from linerefine.geometry.tiles import covering_paper_weights
from linerefine.types import Tile

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def grids(draw):
    size = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    stride = tuple(draw(st.integers(1, edge)) for edge in size)
    return size, stride


def coverage(tiles, shape):
    count = np.zeros(shape, dtype=int)
    for tile in tiles:
        count[tile.clipped(shape).index] += 1
    return count


@settings(deadline=None)
@given(shapes, grids(), st.booleans())
def test_tiles_have_one_size_cover_everything_and_come_row_by_row(shape, grid, inside):
    size, stride = grid
    tiles = tile_grid(shape, size, stride, inside=inside)
    assert {tile.shape for tile in tiles} == {size}
    assert coverage(tiles, shape).min() >= 1
    corners = [(tile.top, tile.left) for tile in tiles]
    assert corners == sorted(set(corners))


@settings(deadline=None)
@given(shapes, grids())
def test_tiles_stay_inside_where_the_image_is_large_enough(shape, grid):
    size, stride = grid
    for tile in tile_grid(shape, size, stride):
        assert tile.top >= 0
        assert tile.left >= 0
        assert tile.bottom <= max(shape[0], size[0])
        assert tile.right <= max(shape[1], size[1])


@settings(deadline=None)
@given(shapes, grids())
def test_a_regular_grid_is_disjoint_and_has_no_superfluous_tile(shape, grid):
    size, _ = grid
    tiles = tile_grid(shape, size, inside=False)
    assert np.all(coverage(tiles, shape) == 1)
    assert all(tile.top % size[0] == 0 and tile.left % size[1] == 0 for tile in tiles)
    assert len(tiles) == -(-shape[0] // size[0]) * -(-shape[1] // size[1])


def test_an_exact_fit_is_not_shifted():
    assert [tile.left for tile in tile_grid((4, 12), 4)] == [0, 4, 8]
    assert [tile.left for tile in tile_grid((4, 12), 4, inside=False)] == [0, 4, 8]


def test_half_overlapping_tiles_of_a_scan():
    # The paper's tiles: 2988 x 2240 with half overlap on 8964 x 6720.
    tiles = tile_grid((8964, 6720), (2988, 2240), (1494, 1120))
    assert len(tiles) == 25
    assert tiles[-1] == Tile(5976, 4480, 8964, 6720)


def test_an_image_without_pixels_has_no_tiles():
    assert tile_grid((0, 5), 4) == []


@pytest.mark.parametrize(("size", "stride"), [(4, 5), (4, 0), (0, 0), ((4, 4), (4, 5))])
def test_strides_must_leave_no_gap(size, stride):
    with pytest.raises(ShapeError, match=r"tiles of size \d with stride \d: expected 1 <= stride"):
        tile_grid((10, 10), size, stride)


@settings(deadline=None)
@given(shapes, st.tuples(*[st.integers(-30, 40)] * 2), st.tuples(*[st.integers(1, 40)] * 2))
def test_a_crop_reads_the_image_where_there_is_one(shape, corner, size):
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    tile = Tile(*corner, corner[0] + size[0], corner[1] + size[1])
    part = crop(np.stack([image, -image]), tile)
    assert part.shape == (2, *size)
    assert np.array_equal(part[1], -part[0])
    inside = tile.clipped(shape)
    rows, cols = inside.top - tile.top, inside.left - tile.left
    window = part[0, rows : rows + inside.shape[0], cols : cols + inside.shape[1]]
    assert np.array_equal(window, image[inside.index])


@settings(deadline=None)
@given(st.integers(2, 9), st.integers(0, 8), st.integers(0, 8))
def test_a_crop_reflects_as_far_as_the_image_goes_and_then_repeats_the_border(length, left, right):
    image = np.arange(length)[None]
    part = crop(image, Tile(0, -left, 1, length + right))
    mode = "reflect" if max(left, right) < length else "edge"
    assert np.array_equal(part, np.pad(image, ((0, 0), (left, right)), mode=mode))


def test_a_crop_beside_the_image_is_its_mirror_image():
    image = np.arange(5)[None]
    assert crop(image, Tile(0, 5, 1, 7)).tolist() == [[3, 2]]
    assert crop(image, Tile(0, -2, 1, 0)).tolist() == [[2, 1]]
    assert crop(image, Tile(0, 50, 1, 52)).tolist() == [[4, 4]]


@pytest.mark.parametrize("tile", [Tile(1, 1, 3, 3), Tile(-1, 0, 2, 3)])
def test_a_crop_is_a_new_array_of_the_same_type(tile):
    image = np.arange(9, dtype=np.float32).reshape(3, 3)
    part = crop(image, tile)
    part[:] = -1
    assert part.dtype == np.float32
    assert part.flags.c_contiguous
    assert image.min() == 0


def test_a_crop_of_a_memory_map_is_an_ordinary_array(tmp_path):
    stored = np.memmap(tmp_path / "image", dtype=np.float32, mode="w+", shape=(2, 9, 9))
    stored[:] = np.arange(9)
    part = crop(stored, Tile(3, 6, 5, 11))
    assert part[0, 0].tolist() == [6, 7, 8, 7, 6]


def test_crops_of_nothing_are_refused():
    with pytest.raises(ShapeError, match=r"array to crop has shape \(0, 3\), expected"):
        crop(np.zeros((0, 3)), Tile(0, 0, 1, 1))
    with pytest.raises(ShapeError, match=r"array to crop has shape \(3,\), expected"):
        crop(np.zeros(3), Tile(0, 0, 1, 1))
    with pytest.raises(ShapeError, match=r"tile to crop has shape \(0, 2\), expected at least"):
        crop(np.zeros((3, 3)), Tile(1, 0, 1, 2))


@settings(deadline=None)
@given(shapes, st.integers(0, 30), st.tuples(*[st.booleans()] * 4))
def test_a_taper_is_one_off_the_margin_and_falls_towards_faded_sides_only(shape, margin, fade):
    weights = taper(shape, margin, fade=fade)
    assert weights.shape == shape
    assert weights.dtype == np.float32
    assert weights.max() <= 1
    assert weights.min() > 0
    top, bottom, left, right = fade
    height, width = shape
    rows = slice(margin * top, max(height - margin * bottom, 0))
    inner = weights[rows, margin * left : max(width - margin * right, 0)]
    assert np.all(inner == 1)
    if margin and top and shape[0] > 1:
        assert np.all(weights[0] < 1)
    if not (top or bottom):
        assert np.all(weights == weights[0])
    if not (left or right):
        assert np.all(weights == weights[:, :1])


def test_a_taper_is_smooth():
    slope = taper((64, 1), 32, fade=(True, False, True, True))[:, 0]
    slope = slope / slope.max()
    assert np.all(np.diff(slope) >= 0)
    assert np.abs(np.diff(slope)).max() < 0.05
    assert np.abs(np.diff(slope, 2)).max() < 0.006
    assert slope[0] < 1e-3


def test_without_a_margin_nothing_fades():
    assert np.all(taper((3, 4), 0) == 1)
    with pytest.raises(ShapeError, match=r"margin of a taper is -1, expected at least 0\."):
        taper((3, 4), -1)


@settings(deadline=None)
@given(shapes, grids(), st.booleans(), st.integers(0, 20), st.floats(-30, 30, width=32))
def test_blending_constant_tiles_is_exact(shape, grid, inside, margin, value):
    tiles = tile_grid(shape, *grid, inside=inside)
    filled = ((tile, np.full(tile.shape, value, dtype=np.float32)) for tile in tiles)
    image = blend(filled, shape, margin)
    assert image.shape == shape
    assert image.dtype == np.float32
    assert np.all(image == np.float32(value))


@settings(deadline=None)
@given(shapes, grids(), st.booleans(), st.integers(0, 20))
def test_blending_the_crops_of_an_image_gives_the_image(shape, grid, inside, margin):
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    tiles = tile_grid(shape, *grid, inside=inside)
    again = blend([(tile, crop(image, tile)) for tile in tiles], shape, margin)
    assert np.array_equal(again, image)


@settings(deadline=None)
@given(shapes, grids(), st.integers(0, 20))
def test_blending_is_the_weighted_mean_of_what_covers_a_pixel(shape, grid, margin):
    rng = np.random.default_rng(0)
    tiles = [
        (tile, rng.standard_normal(tile.shape).astype(np.float32))
        for tile in tile_grid(shape, *grid, inside=False)
    ]
    above, below = np.zeros(shape), np.zeros(shape)
    for tile, values in tiles:
        weights = taper(tile.shape, margin)
        for row, col in np.ndindex(tile.shape):
            if tile.top + row < shape[0] and tile.left + col < shape[1]:
                above[tile.top + row, tile.left + col] += weights[row, col] * values[row, col]
                below[tile.top + row, tile.left + col] += weights[row, col]
    assert np.allclose(blend(tiles, shape, margin), above / below, atol=1e-5)


def test_neighbouring_tiles_that_disagree_blend_without_a_seam():
    tiles = tile_grid((64, 160), 64, 32)
    levels = [
        (tile, np.full(tile.shape, 10.0 * number, np.float32)) for number, tile in enumerate(tiles)
    ]
    image = blend(levels, (64, 160), 32)
    # Between levels ten apart and 32 pixels wide no step is larger than 1.5 times the slope.
    assert np.abs(np.diff(image, axis=1)).max() < 1.5 * 10 / 32 * 1.05
    assert np.abs(np.diff(image, axis=0)).max() < 1e-5


def test_tiles_beside_the_image_have_no_effect():
    ones = np.ones((4, 4), dtype=np.float32)
    image = blend([(Tile(0, 0, 4, 4), ones), (Tile(8, 8, 12, 12), 5 * ones)], (4, 4), 2)
    assert np.array_equal(image, ones)


def test_uncovered_pixels_are_an_error():
    ones = np.ones((4, 4), dtype=np.float32)
    message = r"tiles leave 8 pixels of \(4, 6\) uncovered, first \(0, 4\)\."
    with pytest.raises(ShapeError, match=message):
        blend([(Tile(0, 0, 4, 4), ones)], (4, 6), 2)


def test_arrays_must_fit_their_tiles():
    ones = np.ones((4, 5), dtype=np.float32)
    with pytest.raises(ShapeError, match=r"has shape \(4, 4\), its array \(4, 5\); they must"):
        blend([(Tile(0, 0, 4, 4), ones)], (4, 4), 2)


def test_the_authors_weights_vanish_on_the_border_ring():
    weights = paper_weights(256, 64)
    ring = np.ones((256, 256), dtype=bool)
    ring[1:-1, 1:-1] = False
    assert np.all(weights[ring] == 0)
    assert np.all(weights[64:-64, 64:-64] == 1)
    assert np.all(weights[~ring] > 0)


@pytest.mark.parametrize(("size", "border"), [(0, 4), (4, 0)])
def test_weights_of_no_size_are_refused(size, border):
    message = rf"paper weights of size {size} and border {border}: both must be at least 1\."
    with pytest.raises(ShapeError, match=message):
        paper_weights(size, border)


def test_importing_geometry_and_metrics_imports_nothing_slow():
    slow = "{'cv2', 'matplotlib', 'pandas', 'scipy', 'skimage', 'torch'}"
    code = (
        "import sys, linerefine.geometry.tiles, linerefine.metrics;"
        f"print(sorted({slow} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(deadline=None)
@given(shapes, st.data())
def test_what_a_crop_shows_is_all_it_needs(shape, data):
    rng = np.random.default_rng(0)
    image = rng.random(shape)
    top, left = data.draw(st.integers(-30, shape[0] - 1)), data.draw(st.integers(-30, shape[1] - 1))
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    tile = Tile(top, left, top + height, left + width)
    part = shown(tile, shape)
    assert part.clipped(shape) == part
    np.testing.assert_array_equal(crop(image[part.index], tile.within(part)), crop(image, tile))


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(-25, 25), st.integers(-25, 25)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_a_crop_is_looked_up_pixel_by_pixel(shape, corner, size):
    def stands_for(index, length):
        """Return which pixel of the image stands at an index of its axis."""
        last = length - 1
        return last - abs(last - abs(index)) if length > 1 else 0

    tile = Tile(*corner, corner[0] + size[0], corner[1] + size[1])
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    rows, cols = (
        [stands_for(i, n) for i in range(start, start + count)]
        if start >= 1 - n and start + count <= 2 * n - 1
        else np.clip(range(start, start + count), 0, n - 1)
        for start, count, n in zip(corner, size, shape, strict=True)
    )
    np.testing.assert_array_equal(crop(image, tile), image[np.ix_(rows, cols)])


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(1, 20), st.data())
def test_the_authors_blending_is_theirs_wherever_it_says_anything(shape, size, data):
    tiles = tile_grid(shape, size, data.draw(st.integers(1, size)))
    rng = np.random.default_rng(0)
    answers = [(tile, rng.standard_normal(tile.shape).astype(np.float32)) for tile in tiles]
    expected = np.full(shape, np.nan)
    for row, col in np.ndindex(shape):
        found = []
        for tile, values in answers:
            y, x = row - tile.top, col - tile.left
            if 0 <= y < size and 0 <= x < size:
                off = min(y, x, size - 1 - y, size - 1 - x)
                found.append(((min(off, 64) / 64) ** 2, values[y, x]))
        weights, numbers = np.array(found, dtype=float).T
        # Where only border rings lie the authors have nothing, and we the plain mean.
        expected[row, col] = np.average(numbers, weights=weights if weights.any() else None)
    image = blend(answers, shape, 0, covering_paper_weights)
    assert np.allclose(image, expected, atol=1e-5)


@settings(deadline=None)
@given(shapes, st.integers(1, 20), st.floats(-30, 30, width=32))
def test_constant_tiles_stay_exact_with_the_authors_weights(shape, size, value):
    tiles = tile_grid(shape, size, max(size // 2, 1))
    filled = ((tile, np.full(tile.shape, value, dtype=np.float32)) for tile in tiles)
    assert np.all(blend(filled, shape, 0, covering_paper_weights) == np.float32(value))


def test_the_authors_weights_are_kept_but_for_the_border_ring():
    theirs, ours = paper_weights(192, 64), covering_paper_weights((192, 192))
    assert np.all(ours > 0)
    np.testing.assert_allclose(ours, theirs, atol=1e-11)
    with pytest.raises(ShapeError, match=r"tile has shape \(4, 5\), expected a square"):
        covering_paper_weights((4, 5))
