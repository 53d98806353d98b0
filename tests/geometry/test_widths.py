"""Statistics of half-widths and widths drawn from them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from linerefine.errors import DataError
from linerefine.geometry import WidthStatistics, width_statistics, widths

drawn = st.lists(
    st.integers(1, 60).map(lambda squared: float(np.sqrt(squared))), min_size=1, max_size=60
)


def measured(count, seed=0, shape=49.0, loc=-4.3, scale=0.213):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.gamma(shape, scale, count) + loc, 1.0)


@settings(deadline=None, max_examples=40)
@given(drawn)
def test_statistics_are_those_of_all_widths_and_of_those_within_two_deviations(values):
    statistics = width_statistics(np.array(values))
    mean = sum(values) / len(values)
    sd = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    # A value two deviations off, to the last bit, may fall on either side.
    assume(sd == 0 or all(abs(abs(value - mean) - 2 * sd) > 1e-9 for value in values))
    kept = [value for value in values if abs(value - mean) <= 2 * sd + 1e-9]
    assert statistics.count == len(values)
    assert statistics.kept == len(kept)
    assert statistics.mean == pytest.approx(mean)
    assert statistics.sd == pytest.approx(sd, abs=1e-12)
    assert statistics.kept_mean == pytest.approx(np.mean(kept))
    assert statistics.kept_sd == pytest.approx(np.std(kept), abs=1e-12)
    assert (statistics.kept_min, statistics.kept_max) == (min(kept), max(kept))


@settings(deadline=None, max_examples=40)
@given(drawn, st.integers(0, 99))
def test_drawn_widths_lie_in_the_range_of_kept_ones(values, seed):
    statistics = width_statistics(np.array(values))
    width = statistics.sample(np.random.default_rng(seed))
    assert isinstance(width, float)
    assert statistics.kept_min <= width <= statistics.kept_max


def test_the_fit_is_scipys_with_three_free_parameters():
    values = measured(5000)
    statistics = width_statistics(values)
    kept = values[np.abs(values - values.mean()) <= 2 * values.std()]
    fitted = stats.gamma.fit(kept)
    ours = statistics.gamma_shape, statistics.gamma_loc, statistics.gamma_scale
    assert ours == pytest.approx(fitted, rel=1e-6)


def test_drawn_widths_follow_the_fitted_gamma_cut_to_the_kept_range():
    statistics = width_statistics(measured(5000))
    rng = np.random.default_rng(3)
    samples = np.array([statistics.sample(rng) for _ in range(3000)])
    gamma = stats.gamma(statistics.gamma_shape, statistics.gamma_loc, statistics.gamma_scale)
    low, high = gamma.cdf([statistics.kept_min, statistics.kept_max])
    ranked = stats.kstest(samples, lambda width: (gamma.cdf(width) - low) / (high - low))
    assert ranked.pvalue > 0.01
    assert samples.mean() == pytest.approx(statistics.kept_mean, abs=0.1)


def test_the_same_generator_draws_the_same_widths():
    statistics = width_statistics(measured(500))
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert statistics.sample(first) == statistics.sample(second)
    assert statistics.sample(first) != statistics.sample(np.random.default_rng(7))


def test_equal_widths_are_always_drawn_again():
    # 0.1 has no exact binary form, so neither mean nor deviation need be exact.
    statistics = width_statistics(np.full(1001, 0.1))
    assert statistics.kept == 1001
    assert (statistics.gamma_shape, statistics.gamma_loc, statistics.gamma_scale) == (1, 0.1, 0)
    assert statistics.sample(np.random.default_rng(0)) == 0.1


def test_of_very_many_widths_a_fixed_choice_is_fitted(monkeypatch):
    values = measured(6000)
    whole = width_statistics(values)
    monkeypatch.setattr(widths, "_MOST_FITTED", 3000)
    part, again = width_statistics(values), width_statistics(values)
    assert part == again
    assert part.gamma_shape != whole.gamma_shape
    assert (part.count, part.kept, part.mean, part.kept_sd, part.kept_max) == (
        (whole.count, whole.kept, whole.mean, whole.kept_sd, whole.kept_max)
    )
    fitted = stats.gamma(part.gamma_shape, part.gamma_loc, part.gamma_scale)
    assert fitted.mean() == pytest.approx(whole.kept_mean, rel=0.01)


def test_a_failed_fit_is_replaced_by_mean_and_deviation_and_said(monkeypatch, caplog):
    def fail(values):
        raise stats.FitError

    monkeypatch.setattr(stats.gamma, "fit", fail)
    with caplog.at_level(logging.WARNING):
        statistics = width_statistics(measured(500))
    assert "no gamma distribution fits the line widths" in caplog.text
    fitted = stats.gamma(statistics.gamma_shape, statistics.gamma_loc, statistics.gamma_scale)
    assert fitted.mean() == pytest.approx(statistics.kept_mean)
    assert fitted.std() == pytest.approx(statistics.kept_sd)
    assert statistics.kept_min <= statistics.sample(np.random.default_rng(0))


def test_no_widths_are_refused():
    message = r"there are no line widths: the drawings hold no line pixels to measure\."
    with pytest.raises(DataError, match=message):
        width_statistics(np.zeros(0))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_impossible_widths_are_refused(bad):
    with pytest.raises(DataError, match="a line width is not a finite number > 0"):
        width_statistics(np.array([1.0, bad]))


def test_statistics_hold_plain_numbers():
    statistics = width_statistics(measured(200))
    kinds = {type(value) for value in vars(statistics).values()}
    assert isinstance(statistics, WidthStatistics)
    assert kinds == {int, float}
