from __future__ import annotations

import math

import numpy as np
import pytest

from linerefine.errors import RunError
from linerefine.evaluation.effort import workload_reduction
from linerefine.tracking.bars import Estimate, comparison, effort_bars
from linerefine.tracking.traces import interval


def bars_of(axes, label):
    groups = [g for g in axes.containers if g.get_label() == label]
    return [group[0].get_height() for group in groups]


def session(rounds, repeat, image, refiner="unet"):
    return rounds[
        (rounds["refiner"] == refiner) & (rounds["repeat"] == repeat) & (rounds["image"] == image)
    ]


def reduction(one):
    return workload_reduction(one["manual_pfm"], one["effort"], one["refined_pfm"], one["effort"])


def test_bars_are_mean_efforts_and_carry_the_reduction(rounds, texts):
    figure = effort_bars(rounds, label="phantoms")
    (axes,) = figure.axes
    by_hand, saved = [], []
    for image in ("mirror 1", "mirror 2"):
        sessions = [session(rounds, repeat, image) for repeat in range(2)]
        # The manual curve rises to its last stroke.
        by_hand.append(float(np.mean([one["effort"].iloc[-1] for one in sessions])))
        saved.append(float(np.mean([reduction(one) for one in sessions])))
    assert bars_of(axes, "by hand") == pytest.approx(by_hand)
    assert len(bars_of(axes, "refined")) == 2
    said = texts(figure)
    assert {f"{-100 * share:+.0f} %" for share in saved} <= set(said)
    assert {"unet", "mirror 1", "mirror 2", "by hand", "refined", "hinted pixels"} <= set(said)
    # The title is broken: one panel of two images is narrow.
    assert "Effort to the best manual pFM (phantoms)" in {" ".join(t.split()) for t in said}


def test_error_bars_are_intervals_over_repeats_and_one_repeat_has_none(rounds):
    (axes,) = effort_bars(rounds).axes
    mean, half = interval(
        np.array([session(rounds, n, "mirror 1")["effort"].iloc[-1] for n in range(2)], dtype=float)
    )
    (drawn,) = axes.collections[0].get_segments()
    assert drawn[:, 1].tolist() == pytest.approx([mean - min(half, mean), mean + half])
    (once,) = effort_bars(rounds[rounds["repeat"] == 0]).axes
    assert not once.collections


def test_what_was_reached_in_some_repeats_only_is_said(rounds, texts):
    worse = rounds[rounds["refiner"] == "unet"].copy()
    never = (worse["repeat"] == 1) & (worse["image"] == "mirror 1")
    worse.loc[never, "refined_pfm"] = worse.loc[never, "manual_pfm"] - 0.01
    saved = reduction(session(worse, 0, "mirror 1"))
    assert f"{-100 * saved:+.0f} %\n1 of 2" in texts(effort_bars(worse))


def test_what_was_never_reached_is_said_and_effort_by_hand_is_shown(rounds, texts):
    worse = rounds[rounds["refiner"] == "unet"].copy()
    worse["refined_pfm"] = worse["manual_pfm"] - 0.01
    figure = effort_bars(worse)
    assert texts(figure).count("not\nreached") == 2
    (axes,) = figure.axes
    assert min(bars_of(axes, "by hand")) > 0
    assert max(bars_of(axes, "refined")) == 0


def test_independent_people_are_compared_by_repeat(rounds, texts):
    apart = rounds.copy()
    hand = apart["refiner"] == "echo"
    apart.loc[hand, "effort"] *= 10
    apart.loc[~hand, "manual_pfm"] = (
        0.0  # what the refiner's person would have by hand is not asked
    )
    figure = effort_bars(apart, loop="independent", by_hand="echo")
    (axes,) = figure.axes
    assert axes.get_title() == "unet"
    ends = [
        float(np.mean([session(apart, n, image, "echo")["effort"].iloc[-1] for n in range(2)]))
        for image in ("mirror 1", "mirror 2")
    ]
    assert bars_of(axes, "by hand") == pytest.approx(ends)
    assert max(bars_of(axes, "refined")) < min(ends) / 5


def test_independent_people_need_one_who_works_by_hand(rounds):
    with pytest.raises(RunError, match="no sessions of refiner 'manual' to compare with; run with"):
        effort_bars(rounds, loop="independent")


def test_a_person_alone_is_compared_with_oneself(rounds):
    alone = rounds[rounds["refiner"] == "echo"]
    (axes,) = effort_bars(alone, loop="independent", by_hand="echo").axes
    assert axes.get_title() == "echo"
    assert bars_of(axes, "by hand") == pytest.approx(bars_of(axes, "refined"))


def test_variants_are_points_with_their_intervals(texts):
    estimates = [
        Estimate("both", "pFM", 0.53, 0.52, 0.55),
        Estimate("prediction", "pFM", 0.49),
        Estimate("both", "IoU", 0.35, 0.34, 0.36),
    ]
    figure = comparison(estimates, title="Input options", label="phantoms")
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("pFM", "IoU")
    assert [line.get_xdata()[0] for line in left.lines] == [0.53, 0.49]
    assert [line.get_xdata()[0] for line in right.lines] == [0.35]
    (ends,) = left.collections[0].get_segments()
    assert ends[:, 0].tolist() == [0.52, 0.55]
    assert len(left.collections) == 1
    assert {"both", "prediction", "Input options (phantoms)"} <= set(texts(figure))
    assert left.yaxis_inverted()  # the first variant is on top


def test_numbers_that_are_no_shares_are_no_percent(texts):
    said = texts(comparison([Estimate("a", "epochs", 12.0, 8.0, math.nan)], is_share=False))
    assert not any("%" in text for text in said)
    assert "epochs" in said


def test_nothing_to_compare_is_an_empty_figure():
    assert len(comparison([]).axes) == 1
