import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.config import AugmentationConfig
from linerefine.samples import Sample
from linerefine.training.augmentation import Change, cut, draw_change
from linerefine.types import Tile


def ramp(shape=(40, 50)):
    """Return a sample whose pixel at (row, col) holds (row, col)."""
    rows, cols = np.indices(shape).astype(np.float32)
    lines = np.zeros(shape, bool)
    lines[10:13, 5:45] = True
    return Sample("ramp", np.stack([rows, cols]), np.ones(shape, bool), lines)


def test_a_plain_patch_is_the_window_itself():
    sample, tile = ramp(), Tile(4, 6, 36, 38)
    patch = cut(sample, tile)
    np.testing.assert_array_equal(patch.image, sample.image[:, 4:36, 6:38])
    np.testing.assert_array_equal(patch.lines, sample.lines[4:36, 6:38])
    assert patch.roi.all()


def test_past_the_image_a_patch_is_reflected_and_does_not_count():
    sample = ramp()
    patch = cut(sample, Tile(-4, 30, 28, 62))
    assert not patch.roi[:4].any()
    assert not patch.roi[:, 20:].any()
    assert patch.roi[4:, :20].all()
    np.testing.assert_array_equal(patch.image[0, :4, 0], [4, 3, 2, 1])


@given(st.booleans(), st.booleans(), st.integers(0, 3))
def test_flips_and_turns_move_whole_pixels_of_all_three_alike(flip_rows, flip_cols, turns):
    patch = cut(ramp(), Tile(4, 6, 36, 38), Change(flip_rows, flip_cols, turns))
    rows, cols = patch.image.astype(int)
    np.testing.assert_array_equal(patch.lines, ramp().lines[rows, cols])
    assert sorted(rows.ravel() * 50 + cols.ravel()) == sorted(
        (np.arange(4, 36)[:, None] * 50 + np.arange(6, 38)).ravel()
    )


def test_four_quarter_turns_and_two_flips_are_none():
    assert np.array_equal(
        cut(ramp(), Tile(4, 6, 36, 38), Change(flip_rows=True, flip_cols=True)).image,
        cut(ramp(), Tile(4, 6, 36, 38), Change(turns=2)).image,
    )


def affine(**settings):
    """Return the affine map drawn when only the given change is allowed."""
    off = {"flip": 0, "rotate90": 0, "affine": 1, "shift": 0, "scale": 0, "rotate": 0}
    config = AugmentationConfig(**(off | settings))
    return draw_change(config, 33, np.random.default_rng(3))


def test_an_affine_map_that_changes_nothing_is_the_identity():
    patch = cut(ramp(), Tile(4, 6, 37, 39), affine())
    np.testing.assert_allclose(patch.image, ramp().image[:, 4:37, 6:39], atol=1e-4)
    np.testing.assert_array_equal(patch.lines, ramp().lines[4:37, 6:39])


@pytest.mark.parametrize("settings", [{"rotate": 45}, {"scale": 0.3}, {"shift": 0.1}])
def test_a_warped_patch_holds_what_its_map_points_at(settings):
    sample, tile = ramp((200, 200)), Tile(80, 90, 113, 123)
    change = affine(**settings)
    patch = cut(sample, tile, change)
    x, y = np.meshgrid(np.arange(33) - 16, np.arange(33) - 16)
    expected = np.einsum("ij,jhw->ihw", change.affine, np.stack([x, y, np.ones_like(x)]))
    assert np.abs(change.affine - np.eye(2, 3)).max() > 0.01
    # OpenCV interpolates on a grid of 1/32 pixel.
    np.testing.assert_allclose(patch.image[1], expected[0] + 106, atol=0.05)
    np.testing.assert_allclose(patch.image[0], expected[1] + 96, atol=0.05)


def test_a_rotated_patch_shows_the_image_around_it_not_reflections_of_itself():
    sample = ramp((200, 200))
    patch = cut(sample, Tile(80, 90, 113, 123), affine(rotate=45))
    assert patch.roi.all()
    assert patch.image[0].min() < 79


def test_what_a_warp_fetches_from_past_the_image_does_not_count():
    sample = ramp((40, 40))
    patch = cut(sample, Tile(0, 0, 33, 33), affine(rotate=45))
    assert 0.5 < patch.roi.mean() < 1


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(-40, 60), st.integers(-40, 60))
def test_any_change_anywhere_gives_a_patch_of_the_right_shape(seed, top, left):
    sample = ramp()
    before = sample.image.copy()
    change = draw_change(AugmentationConfig(), 32, np.random.default_rng(seed))
    patch = cut(sample, Tile(top, left, top + 32, left + 32), change)
    assert patch.image.shape == (2, 32, 32)
    assert patch.image.dtype == np.float32
    assert patch.lines.shape == patch.roi.shape == (32, 32)
    assert patch.lines.dtype == patch.roi.dtype == bool
    assert np.isfinite(patch.image).all()
    np.testing.assert_array_equal(sample.image, before)


def test_probabilities_hold():
    rng = np.random.default_rng(0)
    config = AugmentationConfig(flip=0.3, rotate90=0.5, affine=0.2)
    drawn = [draw_change(config, 32, rng) for _ in range(4000)]
    assert np.mean([c.flip_rows for c in drawn]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([c.flip_cols for c in drawn]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([c.affine is not None for c in drawn]) == pytest.approx(0.2, abs=0.03)
    # A quarter turn drawn from four, as the authors' library draws it, may be none.
    assert np.mean([c.turns != 0 for c in drawn]) == pytest.approx(0.5 * 3 / 4, abs=0.03)


def test_drawn_maps_stay_within_the_configured_bounds():
    rng = np.random.default_rng(0)
    config = AugmentationConfig(affine=1, shift=0.1, scale=0.2, rotate=30)
    maps = np.stack([draw_change(config, 100, rng).affine for _ in range(1000)])
    scale = 1 / np.hypot(maps[:, 0, 0], maps[:, 1, 0])
    angle = np.degrees(np.arctan2(maps[:, 0, 1], maps[:, 0, 0]))
    assert scale.min() > 0.799
    assert scale.max() < 1.201
    assert 25 < np.abs(angle).max() < 30.001
    forward = -np.linalg.solve(maps[:, :, :2], maps[:, :, 2:])[..., 0]
    assert 8 < np.abs(forward).max() < 10.001


def test_the_same_numbers_are_drawn_whatever_is_switched_off():
    on, off = np.random.default_rng(5), np.random.default_rng(5)
    draw_change(AugmentationConfig(flip=1, rotate90=1, affine=1), 32, on)
    draw_change(AugmentationConfig(flip=0, rotate90=0, affine=0), 32, off)
    assert on.random() == off.random()


def plainly(sample, tile, change):
    """Return what `cut` does, by the book: pad everything, warp, flip, turn; copies everywhere."""
    far = 3 * max(tile.shape)
    image, lines = (
        np.pad(a, [(0, 0)] * (a.ndim - 2) + [(far, far)] * 2, mode="reflect")
        for a in (sample.image, sample.lines)
    )
    roi = np.pad(sample.roi, far)
    size = tile.shape[0]
    half = (size - 1) / 2
    found = []
    for array in (*image, lines, roi):
        if change.affine is None:
            top, left = tile.top + far, tile.left + far
            part = array[top : top + size, left : left + size]
        else:
            corners = np.array([[x, y, 1.0] for x in (-half, half) for y in (-half, half)])
            reach = math.ceil(np.abs(corners @ change.affine.T).max() - half) + 2
            top, left = tile.top - reach + far, tile.left - reach + far
            edge = size + 2 * reach
            around = np.ascontiguousarray(array[top : top + edge, left : left + edge])
            linear, offset = change.affine[:, :2], change.affine[:, 2]
            matrix = np.column_stack([linear, offset + half + reach - linear @ (half, half)])
            mode = cv2.INTER_LINEAR if array.dtype == np.float32 else cv2.INTER_NEAREST
            part = cv2.warpAffine(
                around if array.dtype == np.float32 else around.view(np.uint8),
                matrix,
                (size, size),
                flags=mode | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )
        part = part[::-1] if change.flip_rows else part
        part = part[:, ::-1] if change.flip_cols else part
        found.append(np.rot90(part, change.turns))
    return np.stack(found[:-2]), found[-2].astype(bool), found[-1].astype(bool)


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(-10, 70), st.integers(-10, 60), st.booleans())
def test_a_patch_is_bit_for_bit_what_padding_and_copying_everything_gives(seed, top, left, full):
    rng = np.random.default_rng(seed)
    shape = (90, 80)
    roi = np.ones(shape, bool) if full else rng.random(shape) < 0.7
    sample = Sample("any", rng.random((2, *shape), np.float32), roi, rng.random(shape) < 0.3)
    before = [array.copy() for array in (sample.image, sample.lines, sample.roi)]
    change = draw_change(AugmentationConfig(affine=0.7), 24, rng)
    tile = Tile(top, left, top + 24, left + 24)
    patch = cut(sample, tile, change)
    found = patch.image, patch.lines, patch.roi
    for ours, theirs in zip(found, plainly(sample, tile, change), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
        assert ours.flags.c_contiguous
        ours[...] = 1  # and shares no memory with the sample
    for array, kept in zip((sample.image, sample.lines, sample.roi), before, strict=True):
        np.testing.assert_array_equal(array, kept)
