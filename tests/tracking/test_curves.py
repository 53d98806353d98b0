from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.evaluation import effort
from linerefine.events import SessionKey
from linerefine.tracking.curves import (
    SessionCurves,
    best_numbers,
    mean_of,
    relative_gain,
    round_numbers,
)

KEY = SessionKey("unet", 0, "mirror 1")
NAN = float("nan")


def test_what_is_plotted_of_a_round(rounds_of):
    last = rounds_of(KEY)[-1]
    numbers = round_numbers(last, "pfm")
    assert numbers == {
        "pfm_manual": last.manual["pfm"],
        "pfm_refined": last.refined["pfm"],
        "iou_manual": last.manual["iou"],
        "iou_refined": last.refined["iou"],
        "relative_gain": last.refined["pfm"] / last.manual["pfm"] - 1,
        "hinted_pixels": last.effort,
        "stroke_length": last.stroke_length,
    }


def test_gain_of_a_metric_that_was_not_measured_is_undefined(rounds_of):
    assert math.isnan(round_numbers(rounds_of(KEY)[-1], "dice")["relative_gain"])


@given(st.floats(0, 1) | st.just(NAN), st.floats(0, 1) | st.just(NAN))
def test_gain_is_what_evaluation_says(refined, manual):
    ours, theirs = relative_gain(refined, manual), effort.relative_gain(refined, manual)
    assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def test_an_image_that_stopped_carries_its_last_value_forward():
    curves = SessionCurves()
    for value in (1.0, 2.0, 3.0):
        curves.add("long", {"a": value})
    curves.add("short", {"a": 5.0})
    assert [point["a"] for point in curves.mean()] == [3.0, 3.5, 4.0]


def test_what_is_scored_at_both_ends_has_a_mean_where_all_images_have_it():
    curves = SessionCurves()
    for image, last in (("long", 3), ("short", 1)):
        for step in range(last + 1):
            ends = {"b": NAN if image == "long" else 2.0} if step in (0, last) else {}
            curves.add(image, {"a": float(step), **ends})
    # At 1 and 2 the short session has ended, the long one has no score yet.
    assert [set(point) for point in curves.mean()] == [{"a", "b"}, {"a"}, {"a"}, {"a", "b"}]
    assert curves.mean()[0] == {"a": 0.0, "b": 2.0}


def test_undefined_values_are_left_out_of_the_mean():
    curves = SessionCurves()
    curves.add("one", {"a": NAN, "b": NAN})
    curves.add("two", {"a": 4.0, "b": NAN})
    (point,) = curves.mean()
    assert point["a"] == 4.0
    assert math.isnan(point["b"])


def test_no_images_have_no_mean():
    assert SessionCurves().mean() == []
    assert mean_of([]) == {}


def test_a_session_that_starts_again_is_not_counted_twice():
    curves = SessionCurves()
    curves.add("one", {"a": 1.0})
    curves.finish("one", {"n": 1.0})
    curves.begin("one")
    assert curves.finished == frozenset()
    curves.add("one", {"a": 3.0})
    curves.finish("one", {"n": 3.0})
    assert curves.mean() == [{"a": 3.0}]
    assert curves.mean_numbers() == {"n": 3.0}


def test_the_highest_points_of_a_session(rounds_of):
    rounds = rounds_of(KEY)
    curve = [round_numbers(round_, "pfm") for round_ in rounds]
    numbers = best_numbers(curve, "pfm")
    assert numbers["initial"] == rounds[0].manual["pfm"]
    assert numbers["manual_best"] == max(r.manual["pfm"] for r in rounds)
    assert numbers["refined_best"] == max(r.refined["pfm"] for r in rounds)
    assert numbers["max_gain"] == pytest.approx(0.08)
    assert numbers["rounds"] == 6


def test_a_session_without_strokes_gained_nothing_known(rounds_of):
    numbers = best_numbers([round_numbers(rounds_of(KEY)[0], "pfm")], "pfm")
    assert math.isnan(numbers["max_gain"])
    assert numbers["rounds"] == 0
