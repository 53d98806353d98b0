"""One row per session, by hand, for either loop; and the tables made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.config import ExperimentConfig, RefinerConfig
from linerefine.evaluation.numbers import GAIN_STROKES
from linerefine.evaluation.seconds import MouseOptions, simulated_seconds
from linerefine.evaluation.sessions import by_hand, image_gains, session_summary, sessions_of
from linerefine.evaluation.summary import summarise_sessions
from linerefine.evaluation.tables import session_tables

COMPARED = (
    *("interactions_to_best", "pixels_to_best"),
    *("manual_best", "max_gain", "mean_gain", "positive_share", "reached"),
    *("reduction_interactions", "reduction_length", "workload_reduction", "reduction_seconds"),
)


def session(
    refiner: str,
    refined: list[float],
    manual: list[float] | None = None,
    *,
    pixels: int = 10,
    length: float = 5.0,
    image: str = "a",
    repeat: int = 0,
) -> pd.DataFrame:
    """Return rounds with strokes of equal length, in pixels and as hinted pixels."""
    count = len(refined)
    by_hand_ = np.array(refined if manual is None else manual, dtype=float)
    cols = [None, *(np.array([0, int(length)]) for _ in range(count - 1))]
    return pd.DataFrame(
        {
            "refiner": refiner,
            "repeat": repeat,
            "image": image,
            "round": range(count),
            "half_width": [np.nan] + [2.0] * (count - 1),
            "effort": pixels * np.arange(count),
            "stroke_length": length * np.arange(count),
            "stroke_rows": [None, *(np.array([i, i]) for i in range(1, count))],
            "stroke_cols": cols,
            "regret": [np.nan, *range(count - 1)],
            "repaired": [np.nan] + [4.0] * (count - 1),
            "compliance": [np.nan, np.nan, *([0.5] * (count - 2))][:count],
            "manual_pfm": by_hand_,
            "refined_pfm": refined,
            "relative_gain": np.array(refined) / by_hand_ - 1,
        }
    )


def row(frame: pd.DataFrame, refiner: str = "unet", **options: Any) -> pd.Series:
    sessions = session_summary(frame, "pfm", **({"loop": "shared", "budget": 100} | options))
    return sessions[sessions["refiner"] == refiner].iloc[0]


def test_a_shared_session_by_hand() -> None:
    """The mark, .8, is first reached by hand at round 3 and refined at round 1."""
    frame = session("unet", [0.4, 0.8, 0.7, 0.9, 0.9], [0.4, 0.5, 0.6, 0.8, 0.75])
    numbers = row(frame)
    assert (numbers["initial"], numbers["manual_best"]) == (0.4, 0.8)
    assert (numbers["refined_best"], numbers["refined_last"]) == (0.9, 0.9)
    assert (numbers["rounds"], numbers["hinted_pixels"], numbers["stroke_length"]) == (4, 40, 20)
    assert numbers["regret"] == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert (numbers["repaired"], numbers["compliance"]) == (4.0, 0.5)
    assert numbers["worse_share"] == 1 / 4
    for name in ("reduction_interactions", "reduction_length", "workload_reduction"):
        assert numbers[name] == pytest.approx(1 - 1 / 3)
    seconds = simulated_seconds(frame)
    assert numbers["reduction_seconds"] == pytest.approx(1 - seconds[1] / seconds[3])
    assert (numbers["interactions_to_best"], numbers["pixels_to_best"]) == (1, 10)
    assert numbers["simulated_seconds"] == pytest.approx(seconds[4])
    assert numbers["reached"] == 1
    assert numbers["max_gain"] == pytest.approx(0.6)
    assert numbers["positive_share"] == 1


def test_what_was_done_before_the_first_stroke_is_shared_among_all() -> None:
    frame = session("unet", [0.5, 0.8, 0.7], [0.4, 0.5, 0.6])
    frame["regret"], frame["repaired"] = [30.0, 2.0, 4.0], [50.0, np.nan, 6.0]
    numbers = row(frame)
    assert (numbers["initial"], numbers["revised"]) == (0.4, 0.5)
    assert (numbers["regret"], numbers["repaired"]) == ((30 + 2 + 4) / 2, 50 + 6)
    assert math.isnan(row(frame[:1])["regret"])


def test_a_mark_that_a_shared_session_never_reaches_is_undefined() -> None:
    numbers = row(session("unet", [0.4, 0.5, 0.6], [0.4, 0.5, 0.8]))
    assert numbers["reached"] == 0
    assert math.isnan(numbers["workload_reduction"])
    assert math.isnan(numbers["reduction_interactions"])
    assert math.isnan(numbers["interactions_to_best"])
    assert math.isnan(numbers["pixels_to_best"])


def test_an_independent_session_by_hand() -> None:
    """By hand .7 at interaction 4 with 40 pixels and 20 of length; assisted .75 at 2."""
    manual = session("manual", [0.4, 0.5, 0.6, 0.6, 0.7, 0.7])
    assisted = session("unet", [0.4, 0.6, 0.75, 0.72], [0.4, 0.41, 0.42, 0.43], pixels=30, length=4)
    frame = pd.concat([assisted, manual])
    numbers = row(frame, loop="independent")
    assert numbers["manual_best"] == 0.7
    assert numbers["reached"] == 1
    assert numbers["reduction_interactions"] == pytest.approx(1 - 2 / 4)
    assert numbers["reduction_length"] == pytest.approx(1 - 8 / 20)
    assert numbers["workload_reduction"] == pytest.approx(1 - 60 / 40)
    assert (numbers["interactions_to_best"], numbers["pixels_to_best"]) == (2, 60)
    own, other = simulated_seconds(assisted), simulated_seconds(manual)
    assert numbers["reduction_seconds"] == pytest.approx(1 - own[2] / other[4])
    # Interactions 1 to 100; both curves stay where they ended.
    gains = [0.6 / 0.5 - 1, 0.75 / 0.6 - 1, 0.72 / 0.6 - 1, *[0.72 / 0.7 - 1] * 97]
    assert numbers["max_gain"] == pytest.approx(0.25)
    assert numbers["mean_gain"] == pytest.approx(np.mean(gains))
    assert numbers["positive_share"] == 1
    assert numbers["worse_share"] == pytest.approx(1 / 3)


def test_never_reached_costs_the_full_budget() -> None:
    """Budget 100 at 30 pixels and 4 of length per stroke, against 40 and 20."""
    manual = session("manual", [0.4, 0.5, 0.6, 0.6, 0.7, 0.7])
    assisted = session("unet", [0.4, 0.6, 0.65, 0.62], pixels=30, length=4)
    numbers = row(pd.concat([assisted, manual]), loop="independent")
    assert numbers["reached"] == 0
    assert numbers["reduction_interactions"] == pytest.approx(1 - 100 / 4)
    assert numbers["workload_reduction"] == pytest.approx(1 - 3000 / 40)
    assert (numbers["interactions_to_best"], numbers["pixels_to_best"]) == (100, 3000)
    assert numbers["reduction_length"] == pytest.approx(1 - 400 / 20)
    own, other = simulated_seconds(assisted), simulated_seconds(manual)
    assert numbers["reduction_seconds"] == pytest.approx(1 - 100 * own[3] / 3 / other[4])


def test_a_session_without_strokes_costs_the_full_budget_of_interactions() -> None:
    manual = session("manual", [0.4, 0.5])
    numbers = row(pd.concat([session("unet", [0.3])[:1], manual]), loop="independent")
    assert numbers["reduction_interactions"] == 1 - 100
    assert math.isnan(numbers["workload_reduction"])
    assert math.isnan(numbers["worse_share"])


def test_gains_are_looked_at_over_the_first_strokes_only() -> None:
    late = [0.5] * (GAIN_STROKES + 1) + [0.9] * 50
    frame = pd.concat([session("unet", late), session("manual", [0.5] * 10)])
    assert row(frame, loop="independent", budget=3000)["max_gain"] == 0
    early = [0.5, 0.9, *[0.5] * 300]
    frame = pd.concat([session("unet", early), session("manual", [0.5] * 10)])
    numbers = row(frame, loop="independent", budget=3000)
    assert numbers["positive_share"] == pytest.approx(1 / GAIN_STROKES)
    assert row(frame, loop="independent", budget=2)["positive_share"] == 1 / 2


def test_how_far_gains_are_looked_at_and_who_holds_the_mouse_can_be_said() -> None:
    assisted = session("unet", [0.5, 0.9, 0.5, 0.5, 0.5])
    frame = pd.concat([assisted, session("manual", [0.5, 0.6])])
    assert row(frame, loop="independent")["max_gain"] == pytest.approx(0.5)
    assert row(frame, loop="independent", gain_strokes=4)["positive_share"] == 1 / 4
    slow = MouseOptions(preparation_seconds=10)
    seconds = simulated_seconds(assisted, slow)[-1]
    assert row(frame, loop="independent", mouse=slow)["simulated_seconds"] == seconds
    assert row(assisted, mouse=slow)["simulated_seconds"] == seconds


def test_nothing_is_compared_without_a_manual_person() -> None:
    numbers = row(session("unet", [0.4, 0.6]), loop="independent")
    assert all(math.isnan(numbers[name]) for name in COMPARED)
    assert numbers["refined_best"] == 0.6


def test_people_are_compared_on_the_same_image_and_repeat() -> None:
    frame = pd.concat(
        [
            *(session("unet", [0.4, 0.9], repeat=r, image=i) for r in (0, 1) for i in "ab"),
            session("manual", [0.4, 0.5], repeat=0, image="a"),
            session("manual", [0.4, 0.6], repeat=1, image="a"),
        ]
    )
    sessions = session_summary(frame, "pfm", loop="independent", budget=100)
    found = sessions[sessions["refiner"] == "unet"].set_index(["image", "repeat"])["manual_best"]
    assert found["a", 0] == 0.5
    assert found["a", 1] == 0.6
    assert found["b"].isna().all()


def test_the_manual_person_may_have_a_label() -> None:
    frame = pd.concat([session("unet", [0.4, 0.9]), session("pen", [0.4, 0.5])])
    refiners = (RefinerConfig(name="unet"), RefinerConfig(name="manual", label="pen"))
    assert by_hand(refiners) == "pen"
    assert by_hand(refiners[:1]) == "manual"
    assert row(frame, loop="independent", manual=by_hand(refiners))["manual_best"] == 0.5


def config(loop: str, *refiners: dict[str, str]) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "loader": {"name": "folder"},
            "metrics": [{"name": "pfm"}],
            "refiners": refiners,
            "evaluation": {"loop": loop, "budget": 100},
        }
    )


@pytest.mark.parametrize("loop", ["shared", "independent"])
def test_sessions_of_a_run_go_by_its_own_rules(loop: str) -> None:
    frame = pd.concat([session("unet", [0.4, 0.9]), session("pen", [0.4, 0.5, 0.6])])
    run = config(loop, {"name": "unet"}, {"name": "manual", "label": "pen"})
    expected = session_summary(frame, "pfm", loop=loop, budget=100, manual="pen")
    pd.testing.assert_frame_equal(sessions_of(frame, run), expected)


def test_gains_of_images_are_those_of_the_loop_largest_first() -> None:
    """Image a gains much in one stroke and ends; the person catches up: b gains more."""
    frame = pd.concat(
        [
            session("unet", [0.4, 0.8], image="a"),
            session("manual", [0.4, 0.5, 0.8], image="a"),
            session("unet", [0.4, 0.6, 0.9], image="b"),
            session("manual", [0.4, 0.5, 0.8], image="b"),
            session("unet", [0.4, 0.6], image="nobody drew by hand"),
        ]
    )
    run = config("independent", {"name": "unet"}, {"name": "manual"})
    gains = image_gains(sessions_of(frame, run), "unet")
    assert list(gains) == ["b", "a"]
    expected = [(0.6 / 0.5 - 1 + 99 * (0.9 / 0.8 - 1)) / 100, (0.8 / 0.5 - 1) / 100]
    assert list(gains.values()) == pytest.approx(expected)


def test_gains_of_images_are_means_over_repeats() -> None:
    frame = pd.concat(
        [session("unet", [0.4, end], [0.4, 0.5], repeat=r) for r, end in enumerate((0.6, 0.7))]
    )
    sessions = session_summary(frame, "pfm", loop="shared", budget=100)
    assert image_gains(sessions, "unet") == pytest.approx({"a": (0.2 + 0.4) / 2})
    assert image_gains(sessions[:0], "unet") == {}


CURVES = st.lists(st.integers(1, 9).map(lambda x: x / 10), min_size=1, max_size=12)


@given(CURVES, st.integers(1, 400))
def test_a_manual_person_saves_nothing_over_themselves(curve: list[float], budget: int) -> None:
    numbers = row(session("manual", curve), "manual", loop="independent", budget=budget)
    assert numbers["reached"] == 1
    assert numbers["max_gain"] == numbers["mean_gain"] == numbers["positive_share"] == 0
    for name in ("reduction_interactions", "workload_reduction", "reduction_seconds"):
        assert numbers[name] == 0 or (math.isnan(numbers[name]) and max(curve) == curve[0])


@given(CURVES, CURVES)
def test_reductions_are_at_most_one_and_reached_says_where_the_budget_counts(
    assisted: list[float], manual: list[float]
) -> None:
    frame = pd.concat([session("unet", assisted), session("manual", manual)])
    numbers = row(frame, loop="independent")
    assert numbers["reached"] == (max(assisted) >= max(manual))
    reduction = numbers["reduction_interactions"]
    if manual[0] == max(manual):
        assert math.isnan(reduction)
    else:
        mark = int(np.argmax(manual))
        spent = next((i for i, x in enumerate(assisted) if x >= max(manual)), 100)
        assert reduction == pytest.approx(1 - spent / mark)
        assert reduction <= 1


def test_tables_of_old_runs_lack_what_was_not_counted() -> None:
    frame = session("unet", [0.4, 0.8], [0.4, 0.5])
    old = frame.drop(columns=["regret", "repaired", "compliance", "stroke_rows", "stroke_cols"])
    numbers = row(old)
    assert numbers["workload_reduction"] == 0
    for name in ("regret", "repaired", "compliance", "simulated_seconds", "reduction_seconds"):
        assert math.isnan(numbers[name])


def test_no_rounds_make_no_rows() -> None:
    empty = pd.DataFrame(columns=["refiner", "repeat", "image", "round"])
    assert session_summary(empty, "pfm", loop="shared", budget=10).empty
    assert summarise_sessions(empty, "pfm", loop="shared", budget=10) == {}


def test_summaries_are_means_over_repeats_then_images() -> None:
    frame = pd.concat(
        [
            session("unet", [0.4, 0.8], [0.4, 0.5], repeat=0),
            session("unet", [0.4, 0.6], [0.4, 0.7], repeat=1),
            session("unet", [0.2, 0.3], image="b"),
        ]
    )
    summary = summarise_sessions(frame, "pfm", loop="shared", budget=10)["unet"]
    of_image = summary["images"]["a"]
    assert (of_image["refined_best"], of_image["repeats"], of_image["reached"]) == (0.7, 2, 1)
    assert of_image["refined_best_sd"] == pytest.approx(0.1)
    assert of_image["workload_reduction"] == 0  # of the session that reached the mark
    assert summary["mean"]["refined_best"] == pytest.approx((0.7 + 0.3) / 2)
    assert "reached" not in summary["mean"]


@pytest.mark.parametrize("loop", ["shared", "independent"])
def test_every_cell_of_the_tables_has_a_column(loop: str) -> None:
    frame = pd.concat([session("unet", [0.4, 0.8], [0.4, 0.5]), session("manual", [0.4, 0.6])])
    summary = summarise_sessions(frame, "pfm", loop=loop, budget=10)
    for table in session_tables("unet", summary["unet"], "pfm", loop=loop):
        assert [set(cells) for cells in table.rows] == [set(table.columns)] * 2
        assert table.percent <= set(table.columns)
    assert "1 of 1 sessions" in session_tables("unet", summary["unet"], "pfm", loop=loop)[0].note


def test_what_a_refiner_made_of_the_first_prediction_has_a_column_if_it_made_anything() -> None:
    for refined, has in ([0.4, 0.8], False), ([0.5, 0.8], True):
        frame = session("unet", refined, [0.4, 0.5])
        summary = summarise_sessions(frame, "pfm", loop="shared", budget=10)
        table, _ = session_tables("unet", summary["unet"], "pfm", loop="shared")
        assert ("revised" in table.columns) == has
        assert table.rows[0]["initial pfm"] == 0.4
        assert table.rows[0].get("revised") == (0.5 if has else None)


def test_the_table_says_that_nobody_worked_by_hand() -> None:
    frame = session("unet", [0.4, 0.8])
    summary = summarise_sessions(frame, "pfm", loop="independent", budget=10)
    table, _ = session_tables("unet", summary["unet"], "pfm", loop="independent")
    assert "nobody to compare with" in table.note
    assert math.isnan(table.rows[0]["max gain"])
