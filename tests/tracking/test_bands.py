from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from linerefine.tracking.bands import gain_bands, score_bands
from linerefine.tracking.traces import interval


@pytest.fixture
def several(rounds):
    """Return sessions of two refiners that help, and of one that does not."""
    other = rounds[rounds["refiner"] == "unet"].assign(refiner="other")
    other["refined_pfm"] = other["refined_pfm"] * (1 + 0.01 * other["repeat"])
    other["relative_gain"] = other["refined_pfm"] / other["manual_pfm"] - 1
    return pd.concat([rounds, other])


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_gains_are_means_over_images_and_repeats_with_a_band_per_refiner(several, texts):
    figure = gain_bands(several, label="phantoms")
    (axes,) = figure.axes
    lines = lines_of(axes)
    assert "echo" not in lines
    # By hand: images of 6 and of 4 rounds, the shorter carried on.
    first, second = 0.08 * np.arange(7) / 6, 0.08 * np.minimum(np.arange(7), 4) / 4
    np.testing.assert_allclose(lines["unet"].get_ydata(), (first + second) / 2, atol=1e-12)
    np.testing.assert_array_equal(lines["unet"].get_xdata(), np.arange(7))
    assert len(axes.collections) == 2
    said = texts(figure)
    assert "Relative gain after the same strokes (phantoms)" in said
    assert {"unet", "other", "interactions", "95 % interval over repeats"} <= set(said)
    assert "mean of 2 images, 2 repeats" in said


def test_the_band_is_the_interval_of_the_means_of_repeats(several):
    (axes,) = gain_bands(several[several["refiner"] == "other"]).axes
    part = several[several["refiner"] == "other"]
    last = part.sort_values("round").groupby(["repeat", "image"])["relative_gain"].last()
    mean, half = interval(last.groupby("repeat").mean().to_numpy())
    edges = axes.collections[0].get_paths()[0].vertices
    at_end = edges[edges[:, 0] == 6, 1]
    assert at_end.min() == pytest.approx(mean - half)
    assert at_end.max() == pytest.approx(mean + half)


def test_one_repeat_has_no_band_but_images_have(several, texts):
    once = several[several["repeat"] == 0]
    (axes,) = gain_bands(once).axes
    assert not axes.collections
    assert not any("95 %" in text for text in texts(gain_bands(once)))
    figure = gain_bands(once, over="images")
    assert len(figure.axes[0].collections) == 2
    assert "95 % interval over images" in texts(figure)
    assert "mean of 2 images, 1 repeat" in texts(figure)


def test_shared_scores_have_a_dashed_line_for_the_same_strokes_by_hand(several, texts):
    figure = score_bands(several, metric="pfm")
    left, right = figure.axes
    assert {"unet", "unet, by hand", "other", "other, by hand"} == set(lines_of(left))
    assert lines_of(left)["unet, by hand"].get_linestyle() == "--"
    assert lines_of(left)["unet"].get_color() == lines_of(left)["unet, by hand"].get_color()
    assert lines_of(left)["unet"].get_color() != lines_of(left)["other"].get_color()
    assert (left.get_xlabel(), right.get_xlabel()) == ("interactions", "hinted pixels")
    assert left.get_ylabel() == "pFM"
    assert {"same strokes, by hand", "pFM after the same strokes"} <= set(texts(figure))


def test_independent_scores_are_what_each_person_sees(several, texts):
    figure = score_bands(several, metric="pfm", loop="independent")
    lines = lines_of(figure.axes[0])
    assert set(lines) == {"unet", "echo", "other"}
    assert all(line.get_linestyle() == "-" for line in lines.values())
    assert lines["echo"].get_color() == "#000000"
    assert {"unet", "echo", "other", "pFM each person sees"} <= set(texts(figure))


def test_scores_over_effort_are_steps(rounds):
    one = rounds[
        (rounds["refiner"] == "unet") & (rounds["repeat"] == 0) & (rounds["image"] == "mirror 1")
    ]
    right = score_bands(one).axes[1]
    line = lines_of(right)["unet"]
    for effort, score in zip(line.get_xdata()[::37], line.get_ydata()[::37], strict=True):
        assert score == one["refined_pfm"][one["effort"] <= effort].iloc[-1]


def test_many_refiners_are_named_in_a_legend(rounds):
    part = rounds[rounds["refiner"] == "unet"]
    many = pd.concat([part.assign(refiner=f"variant {n}") for n in range(9)])
    (axes,) = gain_bands(many).axes
    assert [t.get_text() for t in axes.get_legend().get_texts()][:2] == ["variant 0", "variant 1"]
    assert not axes.texts


def test_names_beside_lines_do_not_overlap(rounds):
    part = rounds[rounds["refiner"] == "unet"]
    alike = pd.concat([part.assign(refiner=f"variant {n}") for n in range(8)])
    figure = gain_bands(alike)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 8
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    inside = figure.bbox
    assert all(box.x1 <= inside.x1 for box in boxes)


def test_scores_that_are_nowhere_defined_are_drawn_as_nothing(rounds, pixels):
    figure = score_bands(rounds.assign(manual_pfm=np.nan, refined_pfm=np.nan))
    assert pixels(figure).shape[2] == 3
