"""Channels, grids and normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.loaders.pixels import normalised, resized, resized_mask, selected


def test_channels_are_picked_by_name():
    pixels = np.stack([np.full((2, 3), value, np.float32) for value in (0.1, 0.5, 0.9)], axis=-1)
    assert selected(pixels, ("red", "green", "blue"))[:, 0, 0].tolist() == pytest.approx(
        [0.1, 0.5, 0.9]
    )
    assert selected(pixels, ("green",)).shape == (1, 2, 3)
    grey = 0.299 * 0.1 + 0.587 * 0.5 + 0.114 * 0.9
    assert selected(pixels, ("grey",))[0, 0, 0] == pytest.approx(grey)


def test_a_grey_image_is_all_channels():
    pixels = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    assert np.array_equal(selected(pixels, ("red", "green", "blue")), [pixels[..., 0]] * 3)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(-1e3, 1e3), st.floats(1e-2, 1e3))
def test_inside_the_roi_mean_is_0_and_deviation_1(seed, offset, gain):
    rng = np.random.default_rng(seed)
    image = (rng.normal(size=(2, 9, 11)) * gain + offset).astype(np.float32)
    roi = rng.random((9, 11)) < 0.5
    roi[0, :2] = True
    result = normalised(image, roi)
    assert result.dtype == np.float32
    assert np.abs(result[:, roi].mean(axis=1)).max() < 1e-3
    assert np.abs(result[:, roi].std(axis=1) - 1).max() < 1e-3


@pytest.mark.parametrize("value", [0.0, 0.3, -1e4])
def test_a_flat_image_becomes_0(value):
    result = normalised(np.full((1, 4, 5), value, np.float32), np.ones((4, 5), dtype=bool))
    assert np.abs(result).max() < 1e-3


def test_half_size_is_the_mean_of_two_by_two():
    image = np.random.default_rng(0).random((2, 8, 10)).astype(np.float32)
    expected = image.reshape(2, 4, 2, 5, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(resized(image, 0.5), expected, atol=1e-6)
    assert resized(image, 1.0) is image
    assert resized(image, 1.5).shape == (2, 12, 15)


def test_a_coarse_mask_is_set_where_half_is():
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, :2] = mask[2, 2] = True
    assert resized_mask(mask, 0.5).tolist() == [[True, False], [False, False]]
    assert resized_mask(mask, 2.0).shape == (8, 8)
    assert resized_mask(mask, 1.0) is mask
