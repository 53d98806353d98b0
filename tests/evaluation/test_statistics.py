"""Intervals and tests: by hand, against slow references, and the laws they obey."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from linerefine.errors import ShapeError
from linerefine.evaluation.statistics import estimate, paired_test

VALUES = st.lists(
    st.lists(st.floats(-1, 1).map(lambda x: round(x, 6)), min_size=1, max_size=5),
    min_size=1,
    max_size=4,
)


def slow_interval(groups: list[list[float]], resamples: int, seed: int) -> tuple[float, float]:
    """Return the interval as its definition says, one draw at a time."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        drawn = [groups[rng.integers(len(groups))] for _ in groups]
        means.append(np.mean([np.mean(rng.choice(each, len(each))) for each in drawn]))
    return tuple(np.percentile(means, [2.5, 97.5]))


def test_mean_and_spread_by_hand() -> None:
    """Means of the images are 2 and 6; of all values the mean is 3 and the variance 26 / 4."""
    found = estimate({"a": [1, 2, 3], "b": [6, math.nan]})
    assert (found.mean, found.images, found.repeats) == (4.0, 2, 3)
    assert found.sd == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 4))
    assert 1 <= found.low < found.mean < found.high <= 6


def test_the_median_is_of_all_values_and_not_moved_by_one_far_out() -> None:
    found = estimate({"a": [0.2, 0.3, math.nan], "b": [0.4], "c": [-50.0, 0.5]})
    assert found.median == 0.3
    assert found.mean < -8
    assert math.isnan(estimate({"a": [math.nan]}).median)


def test_the_interval_is_that_of_drawing_one_at_a_time() -> None:
    groups = [[0.1, 0.2, 0.4], [0.3, 0.35], [0.6, 0.9, 0.7, 0.65], [0.2, 0.5]]
    found = estimate(groups, resamples=20_000)
    low, high = slow_interval(groups, 20_000, seed=1)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_one_image_says_how_sure_its_repeats_are() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    found = estimate([values])
    half = 1.96 * 0.1 / 20
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_images_without_spread_between_repeats_still_differ() -> None:
    found = estimate({"a": [0.2, 0.2], "b": [0.6, 0.6]})
    assert (found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.6))


def test_what_holds_nothing_is_nan() -> None:
    for empty in ({}, {"a": []}, [[math.nan]], np.zeros((0, 3))):
        found = estimate(empty)
        assert math.isnan(found.mean)
        assert math.isnan(found.low)
        assert found.images == 0


def test_one_value_has_no_interval() -> None:
    found = estimate([[0.5]])
    assert (found.mean, found.sd) == (0.5, 0.0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_table_of_images_and_repeats_is_taken_as_it_is() -> None:
    sessions = pd.DataFrame(
        {"image": ["a", "a", "b"], "repeat": [0, 1, 0], "max_gain": [0.1, 0.2, 0.4]}
    )
    table = sessions.pivot(index="image", columns="repeat", values="max_gain")
    assert estimate(table) == estimate({"a": [0.1, 0.2], "b": [0.4]})


@settings(deadline=None, max_examples=40)
@given(VALUES, st.floats(0.1, 10), st.floats(-3, 3))
def test_intervals_scale_and_shift_with_the_values(
    groups: list[list[float]], scale: float, shift: float
) -> None:
    plain = estimate(groups, resamples=200)
    moved = estimate([[scale * x + shift for x in each] for each in groups], resamples=200)
    for name in ("mean", "low", "high"):
        expected = scale * getattr(plain, name) + shift
        assert getattr(moved, name) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert moved.sd == pytest.approx(scale * plain.sd, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(VALUES)
def test_undefined_values_change_nothing(groups: list[list[float]]) -> None:
    holed = [[*each, math.nan] for each in groups] + [[math.nan]]
    assert repr(estimate(groups, resamples=100)) == repr(estimate(holed, resamples=100))


def test_the_coverage_of_the_interval_is_near_what_it_says() -> None:
    """Twelve images that differ, four repeats each: about nineteen intervals of twenty hold."""
    rng, hits = np.random.default_rng(4), 0
    for _ in range(200):
        values = rng.normal(0, 1, (12, 1)) + rng.normal(0, 0.5, (12, 4))
        found = estimate(values, resamples=400)
        hits += found.low <= 0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_paired_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t = 3.4641 on two degrees."""
    found = paired_test([2, 4, 6], [1, 2, 3])
    assert found.mean_difference == 2
    assert found.p_t == pytest.approx(0.0741799, abs=1e-6)
    assert found.p_wilcoxon == pytest.approx(2 / 8)  # the most extreme of 2^3 signs, two-sided
    assert (found.pairs, found.note) == (3, "")


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=30).filter(
        lambda pairs: len({a - b for a, b in pairs}) > 1
    )
)
def test_the_p_value_is_scipys_and_turning_it_round_turns_the_sign(
    pairs: list[tuple[int, int]],
) -> None:
    one, other = (np.array(each, dtype=float) for each in zip(*pairs, strict=True))
    found, turned = paired_test(one, other), paired_test(other, one)
    assert found.p_t == pytest.approx(stats.ttest_rel(one, other).pvalue, abs=1e-9)
    assert found.p_wilcoxon == pytest.approx(turned.p_wilcoxon)
    assert found.p_t == pytest.approx(turned.p_t)
    assert found.mean_difference == pytest.approx(-turned.mean_difference)
    assert 0 <= found.p_wilcoxon <= 1


def test_pairs_that_lack_a_value_are_left_out() -> None:
    whole = paired_test([0.1, 0.5, 0.2, 0.4], [0.0, 0.1, 0.3, 0.2])
    holed = paired_test([0.1, math.nan, 0.5, 0.2, 1, 0.4], [0.0, 1, 0.1, 0.3, math.nan, 0.2])
    assert whole == holed
    assert holed.pairs == 4


def test_too_few_pairs_and_equal_ones_are_not_tested() -> None:
    few = paired_test([0.5, 0.6, math.nan], [0.4, 0.4, 0.1])
    assert math.isnan(few.p_t)
    assert math.isnan(few.p_wilcoxon)
    assert few.note == "2 pairs; a test needs 3"
    assert few.mean_difference == pytest.approx(0.15)
    for shift in (0.0, 0.1):
        one = np.array([0.3, 0.1, 0.7, 0.9])
        equal = paired_test(one + shift, one)
        assert math.isnan(equal.p_t)
        assert math.isnan(equal.p_wilcoxon)
        assert equal.note == "all pairs differ by the same"
        assert equal.mean_difference == pytest.approx(shift)
    assert math.isnan(paired_test([], []).mean_difference)


def test_series_of_unequal_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="equal lengths"):
        paired_test([0.1, 0.2], [0.1])
