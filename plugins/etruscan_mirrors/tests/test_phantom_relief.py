"""How lines are cut: profiles, windows, widths, noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from linerefine_etruscan_mirrors.phantom.curves import resampled
from linerefine_etruscan_mirrors.phantom.noise import bumps, fractal
from linerefine_etruscan_mirrors.phantom.relief import (
    CHUNK,
    Cut,
    bowl,
    carve,
    groove,
    trace,
    trough,
)
from linerefine_etruscan_mirrors.phantom.strokes import WidthModel


def straight(start: tuple[float, float], stop: tuple[float, float], half_width: float) -> Cut:
    path = resampled(np.array([start, stop]), 1.0)
    return Cut(path, np.full(len(path), half_width), np.ones(len(path)))


class TestCarve:
    def test_groove_is_a_v_with_a_burr(self) -> None:
        relief = np.zeros((41, 200), dtype=np.float32)
        carve(relief, straight((20.0, 10.0), (20.0, 190.0), 6.0), groove)
        section = relief[:, 100]
        np.testing.assert_allclose(section[17:24], 1 - np.abs(np.arange(-3, 4)) / 6, atol=0.03)
        assert section.argmin() in {12, 28}
        assert -0.12 < section.min() < -0.08

    def test_pieces_of_a_long_line_join_without_seams(self) -> None:
        relief = np.zeros((21, 4 * CHUNK), dtype=np.float32)
        carve(relief, straight((10.3, 10.0), (10.3, 4.0 * CHUNK - 10), 4.0), groove)
        middle = relief[:, 20:-20]
        np.testing.assert_allclose(middle, np.repeat(middle[:, :1], middle.shape[1], 1), atol=1e-5)

    def test_deeper_line_stays_where_two_cross(self) -> None:
        relief = np.zeros((60, 60), dtype=np.float32)
        shallow, deep = straight((30, 5), (30, 55), 4.0), straight((5, 30), (55, 30), 4.0)
        carve(relief, Cut(deep.path, deep.half_width, 2 * deep.depth), groove)
        carve(relief, shallow, groove)
        np.testing.assert_allclose(relief[20:40, 30], 2.0, atol=1e-4)

    @pytest.mark.parametrize("profile", [groove, trough, bowl])
    def test_profiles_are_one_in_the_middle_and_nothing_far_out(self, profile: object) -> None:
        assert callable(profile)
        values = profile(np.array([0.0, 3.0], dtype=np.float32))
        np.testing.assert_allclose(values, [1.0, 0.0], atol=1e-3)

    def test_line_outside_the_image_leaves_nothing(self) -> None:
        relief = np.zeros((50, 50), dtype=np.float32)
        carve(relief, straight((-40, -40), (-40, 90), 4.0), groove)
        carve(relief, straight((70, 10), (90, 40), 4.0), groove)
        assert not relief.any()

    def test_line_across_the_border_is_cut_off_there(self) -> None:
        whole, part = np.zeros((60, 90), np.float32), np.zeros((60, 50), np.float32)
        cut = straight((12.0, 3.0), (47.0, 86.0), 4.0)
        carve(whole, cut, trough)
        carve(part, cut, trough)
        np.testing.assert_allclose(part[:, :40], whole[:, :40], atol=1e-6)


class TestTrace:
    @settings(deadline=None, max_examples=30)
    @given(
        angle=st.floats(0, np.pi),
        half_width=st.floats(1.0, 8.0),
        shift=st.floats(-0.5, 0.5),
    )
    def test_marks_all_pixels_closer_than_the_half_width(
        self, angle: float, half_width: float, shift: float
    ) -> None:
        middle, along = np.array([40 + shift, 40.0]), np.array([np.sin(angle), np.cos(angle)])
        start, stop = middle - 22 * along, middle + 22 * along
        mask = np.zeros((81, 81), dtype=bool)
        trace(mask, straight(tuple(start), tuple(stop), half_width))
        offset = np.moveaxis(np.mgrid[:81, :81], 0, -1) - middle
        across = np.abs(offset @ np.array([along[1], -along[0]]))
        beside = np.abs(offset @ along) < 18
        sure = np.abs(across - half_width) > 0.05
        np.testing.assert_array_equal(mask[beside & sure], (across < half_width)[beside & sure])

    def test_dot_is_a_disc(self) -> None:
        mask = np.zeros((21, 21), dtype=bool)
        trace(mask, Cut(np.array([[10.0, 10.0]]), np.array([4.2]), np.ones(1)))
        rows, cols = np.mgrid[:21, :21] - 10
        np.testing.assert_array_equal(mask, np.hypot(rows, cols) < 4.2)


class TestWidths:
    def test_quantiles_are_those_of_the_gamma_distribution(self) -> None:
        model = WidthModel()
        normal = np.linspace(-2.5, 2.5, 21)
        exact = stats.gamma.ppf(stats.norm.cdf(normal), model.shape, model.loc, model.scale)
        np.testing.assert_allclose(model.quantile(normal), exact, rtol=2e-3)

    def test_mean_and_deviation_are_the_authors(self) -> None:
        widths = WidthModel().quantile(np.random.default_rng(0).normal(size=200_000))
        assert widths.mean() == pytest.approx(6.194, abs=0.02)
        assert widths.std() == pytest.approx(1.494, abs=0.02)


class TestNoise:
    @pytest.mark.parametrize("sigma", [0.6, 1.5, 4.0, 11.0])
    def test_bumps_have_unit_variance_and_their_size(self, sigma: float) -> None:
        field = bumps((700, 900), sigma, np.random.default_rng(0))
        assert field.shape == (700, 900)
        assert field.std() == pytest.approx(1, rel=0.12)
        lag = max(round(2 * sigma), 1)
        expected = np.exp(-(lag**2) / (4 * sigma**2))
        for one, two in ((field[lag:], field[:-lag]), (field[:, lag:], field[:, :-lag])):
            correlation = np.corrcoef(one.ravel(), two.ravel())[0, 1]
            assert correlation == pytest.approx(expected, abs=0.1)

    def test_sizes_are_weighted(self) -> None:
        rng = np.random.default_rng(0)
        field = fractal((300, 300), (1.0, 3.0), (3.0, 4.0), rng)
        assert field.std() == pytest.approx(5, rel=0.15)
