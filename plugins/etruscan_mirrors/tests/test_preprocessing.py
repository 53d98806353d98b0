"""High-pass, clipping and normalisation, against the authors' outputs and naive versions."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from linerefine.errors import ShapeError
from linerefine_etruscan_mirrors.preprocessing import (
    Moments,
    Statistics,
    gaussian_kernel,
    high_pass,
    low_pass,
    normalise,
    preprocess_depth,
    shrink,
    shrink_mask,
    standardise,
)

SHARED = Path(os.environ.get("LINEREFINE_SHARED", Path(__file__).parents[4] / "shared"))
REFERENCE = SHARED / "reference" / "reference.npz"

needs_reference = pytest.mark.skipif(
    not REFERENCE.is_file(), reason=f"reference values not found at {REFERENCE}"
)


def naive(depth: np.ndarray, sigma: float, clip: float, where: np.ndarray | None) -> np.ndarray:
    """The same in double precision and in as few words as possible."""
    depth = depth.astype(np.float64)
    relief = depth - gaussian_filter(depth, sigma, mode="nearest") + depth.mean()
    counted = relief[where] if where is not None else relief
    relief = np.clip((relief - counted.mean()) / counted.std(), -clip, clip)
    counted = relief[where] if where is not None else relief
    return np.clip((relief - counted.min()) / (counted.max() - counted.min()), 0, 1)


def height_map(shape: tuple[int, int] = (60, 83), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return (100 + 0.01 * (rows - 20) ** 2 + np.sin(cols) + rng.normal(0, 0.1, shape)).astype("f4")


@pytest.mark.data
@needs_reference
class TestReference:
    def test_whole_image_statistics_and_25_mm_inches_give_the_authors_output(self) -> None:
        with np.load(REFERENCE) as reference:
            depth, dpi = reference["prep_depth"], float(reference["prep_dpi"])
            expected = reference["prep_out"]
        found = preprocess_depth(depth, 1.0 * dpi / 25.0, clip=3.0)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=5e-7)

    def test_25_4_mm_inches_differ_on_purpose(self) -> None:
        with np.load(REFERENCE) as reference:
            depth, dpi = reference["prep_depth"], float(reference["prep_dpi"])
            expected = reference["prep_out"]
        assert np.abs(preprocess_depth(depth, dpi / 25.4) - expected).max() > 1e-4


class TestLowPass:
    @given(st.floats(0.4, 12.0), st.integers(1, 40), st.integers(1, 50))
    @settings(deadline=None, max_examples=30)
    def test_equals_scipy(self, sigma: float, rows: int, cols: int) -> None:
        image = np.random.default_rng(1).random((rows, cols), dtype=np.float32)
        expected = gaussian_filter(image.astype(np.float64), sigma, mode="nearest")
        np.testing.assert_allclose(low_pass(image, sigma), expected, atol=2e-6)

    def test_a_large_constant_height_keeps_its_digits(self) -> None:
        flat = np.full((20, 30), 4096.125, dtype=np.float32)
        np.testing.assert_allclose(low_pass(flat, 5.0), flat, rtol=2e-7)

    def test_kernel_sums_to_one_and_is_cut_at_four_deviations(self) -> None:
        kernel = gaussian_kernel(2.5)
        assert len(kernel) == 21
        assert kernel.sum() == pytest.approx(1.0)

    def test_strips_do_not_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = height_map()
        whole = low_pass(image, 3.0)
        monkeypatch.setattr("linerefine_etruscan_mirrors.preprocessing.STRIP_VALUES", 200)
        np.testing.assert_allclose(low_pass(image, 3.0), whole, atol=1e-5)


class TestPreprocessDepth:
    @pytest.mark.parametrize("is_masked", [False, True])
    def test_equals_the_naive_version(self, is_masked: bool) -> None:
        depth = height_map()
        where = None
        if is_masked:
            where = np.zeros(depth.shape, dtype=bool)
            where[10:50, 20:60] = True
        found = preprocess_depth(depth, 4.0, clip=2.0, where=where)
        np.testing.assert_allclose(found, naive(depth, 4.0, 2.0, where), atol=2e-5)

    def test_the_input_is_left_alone(self) -> None:
        depth = height_map()
        before = depth.copy()
        preprocess_depth(depth, 4.0)
        np.testing.assert_array_equal(depth, before)

    def test_a_bent_and_shifted_surface_gives_the_same_relief(self) -> None:
        groove = np.zeros((80, 80), dtype=np.float32)
        groove[:, 39:42] = -1
        slope = np.linspace(0, 30, 80, dtype=np.float32)[:, None]
        plain = preprocess_depth(groove, 4.0)[20:60, 20:60]
        bent = preprocess_depth(groove + slope + 500, 4.0)[20:60, 20:60]
        assert plain.argmin() == bent.argmin()
        assert np.corrcoef(plain.ravel(), bent.ravel())[0, 1] > 0.99

    def test_a_flat_surface_gives_zeros(self) -> None:
        assert not standardise(np.full((5, 5), 2.5, dtype=np.float32), 3.0).any()

    def test_mean_height_is_kept_by_the_high_pass(self) -> None:
        depth = height_map()
        assert high_pass(depth, 2.0).mean() == pytest.approx(depth.mean(), rel=1e-3)

    @pytest.mark.slow
    def test_a_big_scan_needs_few_copies(self) -> None:
        depth = np.random.default_rng(0).random((3000, 4000), dtype=np.float32)
        where = np.ones(depth.shape, dtype=bool)
        tracemalloc.start()
        preprocess_depth(depth, 40.0, where=where)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * depth.nbytes  # 6716 x 8964: under 1 GB


class TestShrink:
    @given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4))
    @settings(deadline=None, max_examples=40)
    def test_is_the_mean_of_each_block(self, rows: int, cols: int, scale: int) -> None:
        image = np.random.default_rng(2).random((rows, cols), dtype=np.float32)
        small = shrink(image, scale)
        assert small.shape == shrink_mask(image > 0.5, scale).shape
        full = image[: rows // scale * scale, : cols // scale * scale]
        blocks = full.reshape(rows // scale, scale, cols // scale, scale).mean(axis=(1, 3))
        np.testing.assert_allclose(small[: rows // scale, : cols // scale], blocks, atol=1e-6)

    def test_ragged_borders_repeat_their_last_pixel(self) -> None:
        image = np.array([[1, 2, 5]], dtype=np.float32)
        np.testing.assert_allclose(shrink(image, 2), [[1.5, 5.0]])

    def test_masks_keep_every_second_pixel(self) -> None:
        mask = np.zeros((4, 5), dtype=bool)
        mask[0, 2] = mask[1, 1] = True
        np.testing.assert_array_equal(shrink_mask(mask, 2), [[False, True, False], [False] * 3])


class TestMoments:
    @given(st.lists(st.integers(0, 9), max_size=30), st.lists(st.integers(0, 9), max_size=30))
    @settings(deadline=None)
    def test_of_parts_add_up_to_those_of_the_whole(self, left: list[int], right: list[int]) -> None:
        def of(values: list[int]) -> Moments:
            return Moments.of(np.array([values], dtype=np.float32))

        both, whole = of(left) + of(right), of(left + right)
        assert both.count == whole.count
        assert both.mean == pytest.approx(whole.mean)
        assert both.squares == pytest.approx(whole.squares, abs=1e-9)

    def test_count_only_where_told(self) -> None:
        image = np.array([[1, 2, 300]], dtype=np.float32)
        known = Moments.of(image, np.array([[True, True, False]])).statistics()
        assert known == Statistics(1.5, 0.5)

    def test_of_nothing_change_nothing(self) -> None:
        assert Moments().statistics() == Statistics(0.0, 1.0)


class TestNormalise:
    def test_gives_mean_zero_and_deviation_one(self) -> None:
        image = height_map()[None]
        known = Moments.of(image[0]).statistics()
        found = normalise(image, [known])
        assert found.mean() == pytest.approx(0, abs=1e-4)
        assert found.std() == pytest.approx(1, abs=1e-4)

    def test_a_channel_without_spread_is_only_centred(self) -> None:
        image = np.full((1, 3, 3), 7, dtype=np.float32)
        assert not normalise(image, [Statistics(7.0, 0.0)]).any()

    def test_refuses_another_number_of_statistics(self) -> None:
        with pytest.raises(ShapeError, match=r"2 statistics came, one per channel"):
            normalise(np.zeros((1, 3, 3), dtype=np.float32), [Statistics(0, 1)] * 2)
