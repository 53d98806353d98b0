from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from linerefine.geometry.widths import width_statistics
from linerefine.tracking.traces import (
    crossing,
    gamma_density,
    helping,
    interval,
    mean_steps,
    spread_out,
)


def test_a_mean_of_step_curves_holds_last_values():
    curves = [
        (np.array([0.0, 10.0]), np.array([0.0, 1.0])),
        (np.array([0.0, 20.0]), np.array([np.nan, 3.0])),
    ]
    effort, score = mean_steps(curves)
    assert (effort[0], effort[-1]) == (0, 20)
    assert (score[0], score[-1]) == (0.0, 2.0)
    assert score[np.searchsorted(effort, 15)] == 1.0


def test_a_crossing_is_read_at_the_first_round_that_gets_there():
    effort = np.array([0.0, 10, 20, 30])
    assert crossing(effort, np.array([0.1, 0.3, 0.3, 0.2]), np.array([0.1, 0.2, 0.4, 0.5])) == (
        0.3,
        10.0,
        20.0,
    )


def test_the_density_integrates_to_one():
    statistics = width_statistics(np.random.default_rng(1).gamma(9, 0.5, 3000))
    grid = np.linspace(-20, 60, 100_001)
    density = gamma_density(grid, statistics)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)


def test_a_crossing_of_two_sessions_is_read_in_the_effort_of_each():
    hand = np.array([0.0, 10, 20]), np.array([0.1, 0.3, 0.2])
    refined = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 3, 6, 9])
    assert crossing(*hand, *refined) == (0.3, 10.0, 6.0)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.integers(0, 3))
def test_an_interval_is_students_whatever_is_missing(values, missing):
    known = np.array(values)
    mean, half = interval(np.concatenate([known, np.full(missing, np.nan)]))
    low, high = stats.t.interval(
        0.95, len(known) - 1, loc=known.mean(), scale=max(stats.sem(known), 1e-300)
    )
    assert mean == pytest.approx(known.mean(), abs=1e-12)
    assert half == pytest.approx((high - low) / 2, abs=1e-9)


def test_an_interval_of_less_than_two_draws_is_unknown():
    mean, half = interval(np.array([[np.nan, 1.0, 1.0], [np.nan, np.nan, 3.0]]))
    np.testing.assert_array_equal(mean, [np.nan, 1.0, 2.0])
    np.testing.assert_array_equal(np.isnan(half), [True, True, False])


@given(st.lists(st.floats(-10, 10), max_size=12), st.floats(0, 3))
def test_labels_are_spread_out_and_keep_their_order(values, gap):
    moved = spread_out(values, gap)
    order = np.argsort(values, kind="stable")
    assert (np.diff(moved[order]) >= gap - 1e-9).all()
    if len(values):
        assert moved.mean() == pytest.approx(np.mean(values), abs=1e-9)


def test_labels_that_are_apart_stay_where_they_are():
    np.testing.assert_array_equal(spread_out([3.0, 1.0, 2.0], 0.5), [3.0, 1.0, 2.0])


def test_refiners_that_change_nothing_do_not_help_unless_there_is_no_other(rounds):
    assert helping(rounds) == ["unet"]
    assert helping(rounds[rounds["refiner"] == "echo"]) == ["echo"]
