"""Gain and workload, against hand-worked curves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.errors import ShapeError
from linerefine.evaluation.effort import (
    effort_to_reach,
    first_reaching,
    relative_gain,
    workload_reduction,
)


@pytest.mark.parametrize(
    ("refined", "manual", "gain"),
    [(0.6, 0.5, 0.2), (0.5, 0.5, 0.0), (0.4, 0.5, -0.2), (0.0, 0.5, -1.0)],
)
def test_relative_gain(refined: float, manual: float, gain: float) -> None:
    assert relative_gain(refined, manual) == pytest.approx(gain)


@pytest.mark.parametrize("pair", [(0.5, 0.0), (math.nan, 0.5), (0.5, math.nan)])
def test_relative_gain_is_undefined_without_a_manual_score(pair: tuple[float, float]) -> None:
    assert math.isnan(relative_gain(*pair))


def test_workload_is_read_where_the_manual_best_is_first_reached() -> None:
    manual = [0.5, 0.6, 0.8, 0.8, 0.7]  # best 0.8, first at effort 20
    refined = [0.5, 0.79, 0.81, 0.9, 0.9]  # reached at effort 24
    reduction = workload_reduction(manual, [0, 10, 20, 30, 40], refined, [0, 12, 24, 36, 48])
    assert reduction == pytest.approx(1 - 24 / 20)


def test_workload_that_is_never_reached_is_undefined_not_zero() -> None:
    assert math.isnan(workload_reduction([0.5, 0.8], [0, 10], [0.5, 0.7], [0, 10]))


def test_workload_without_any_manual_progress_is_undefined() -> None:
    assert math.isnan(workload_reduction([0.5, 0.4], [0, 10], [0.5, 0.7], [0, 10]))
    assert math.isnan(workload_reduction([], [], [], []))
    assert math.isnan(workload_reduction([math.nan], [0], [0.5], [0]))


def test_refined_first_prediction_at_the_mark_saves_everything() -> None:
    assert workload_reduction([0.5, 0.6], [0, 10], [0.7, 0.7], [0, 10]) == 1.0


def test_effort_to_reach_refuses_unequal_lengths() -> None:
    with pytest.raises(ShapeError, match="2 scores and 1 efforts"):
        effort_to_reach([0.1, 0.2], [0.0], 0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1))
def test_first_reaching_is_the_first(scores: list[float], mark: float) -> None:
    index = first_reaching(scores, mark)
    if index is None:
        assert max(scores) < mark
    else:
        assert scores[index] >= mark
        assert all(score < mark for score in scores[:index])
