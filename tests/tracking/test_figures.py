from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from linerefine.evaluation.effort import workload_reduction
from linerefine.geometry.widths import width_statistics
from linerefine.tracking import figures


def test_gains_are_drawn_per_image_with_a_band_and_a_zero_line(rounds, pixels, texts):
    figure = figures.gain_curve(rounds, label="phantoms")
    (axes,) = figure.axes  # the refiner that changes nothing has no panel
    lines = {line.get_label(): line for line in axes.lines}
    assert {"mirror 1", "mirror 2"} <= set(lines)
    np.testing.assert_allclose(lines["mirror 1"].get_ydata(), 0.08 * np.arange(7) / 6, atol=1e-12)
    np.testing.assert_array_equal(lines["mirror 1"].get_xdata(), np.arange(7))
    assert len(axes.collections) == 2
    said = texts(figure)
    assert "Relative gain after the same strokes (phantoms)" in said
    assert "unet" in said
    assert "mean of 2 repeats, band: 1 sd" in said
    assert "interactions" in said
    assert pixels(figure).std() > 5


def test_many_images_are_a_mean_with_its_band_and_thin_lines(rounds, texts):
    part = rounds[(rounds["image"] == "mirror 1") & (rounds["refiner"] == "unet")]

    def of(count):
        images = [
            part.assign(image=f"image {n:02}", relative_gain=part["relative_gain"] * n)
            for n in range(count)
        ]
        images[-1] = images[-1][images[-1]["round"] <= 3]
        return figures.gain_curve(pd.concat(images))

    few = of(figures.MOST_LINES)
    assert "image 05" in texts(few)
    assert "mean of 2 repeats, band: 1 sd" in texts(few)

    count = figures.MOST_LINES + 1
    many = of(count)
    assert not any(text.startswith("image ") for text in texts(many))
    labels = {"one image, mean of 2 repeats", "1 sd over images", f"mean of {count} images"}
    assert labels <= set(texts(many))
    (axes,) = many.axes
    assert sum(line.get_linewidth() < 0.8 for line in axes.lines) == count
    mean = next(line for line in axes.lines if line.get_label() == f"mean of {count} images")
    # The last image stopped half way and stays there.
    ends = [0.08 * n for n in range(count - 1)] + [0.08 * (count - 1) / 2]
    assert mean.get_ydata()[-1] == pytest.approx(np.mean(ends))
    (band,) = axes.collections
    assert band.get_datalim(axes.transData).ymax == pytest.approx(np.mean(ends) + np.std(ends))


def test_a_repeat_that_stopped_earlier_carries_its_last_gain_forward(rounds):
    part = rounds[(rounds["image"] == "mirror 1") & (rounds["refiner"] == "unet")]
    short = part[(part["repeat"] == 0) | (part["round"] <= 3)]
    (axes,) = figures.gain_curve(short).axes
    line = next(line for line in axes.lines if line.get_label() == "mirror 1")
    assert line.get_ydata()[-1] == pytest.approx((0.08 + 0.04) / 2)


def test_refiners_that_change_nothing_are_drawn_if_there_is_no_other(rounds):
    figure = figures.gain_curve(rounds[rounds["refiner"] == "echo"])
    assert [axes.get_title() for axes in figure.axes] == ["echo"]


def test_workload_marks_the_saved_effort(rounds, texts):
    chosen = rounds[(rounds["repeat"] == 0) & (rounds["image"] == "mirror 1")]
    figure = figures.workload(chosen, metric="pfm", label="phantoms")
    session = chosen[chosen["refiner"] == "unet"]
    reduction = workload_reduction(
        session["manual_pfm"], session["effort"], session["refined_pfm"], session["effort"]
    )
    assert 0 < reduction < 1
    said = texts(figure)
    assert f"{-100 * reduction:+.0f} %" in said
    assert "mirror 1, unet" in said
    assert "Effort to the best manual score (phantoms)" in said
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["manual"].get_ydata()[-1] == session["manual_pfm"].iloc[-1]
    assert lines["refined"].get_ydata()[-1] == session["refined_pfm"].iloc[-1]


def test_workload_has_a_panel_per_refiner_and_image(rounds, pixels):
    other = rounds.assign(refiner="other")
    figure = figures.workload(pd.concat([rounds, other[other["image"] != "x"]]))
    titles = {axes.get_title() for axes in figure.axes if axes.get_visible()}
    assert {"mirror 1, unet", "mirror 2, unet", "mirror 1, other", "mirror 2, other"} <= titles
    assert pixels(figure).std() > 5


def test_workload_says_where_the_best_manual_score_is_never_reached(rounds, texts):
    worse = rounds[rounds["refiner"] == "unet"].copy()
    worse["refined_pfm"] = worse["manual_pfm"] - 0.01
    figure = figures.workload(worse)
    assert "best manual score\nnot reached" in texts(figure)


def test_scores_that_are_nowhere_defined_are_drawn_as_nothing(rounds, texts):
    figure = figures.workload(rounds.assign(manual_pfm=np.nan, refined_pfm=np.nan))
    assert "best manual score\nnot reached" in texts(figure)
    figures.gain_curve(rounds.assign(relative_gain=np.nan))


def test_widths_are_drawn_with_the_fitted_gamma(texts):
    widths = np.random.default_rng(0).gamma(16, 0.25, 2000)
    statistics = width_statistics(widths)
    figure = figures.width_histogram(widths, statistics, label="phantoms")
    (axes,) = figure.axes
    assert len(axes.patches) > 5
    area = sum(bar.get_height() * bar.get_width() for bar in axes.patches)
    assert area == pytest.approx(statistics.count / statistics.kept, rel=0.01)
    said = " ".join(texts(figure))
    for words in ("2,000 line pixels", "gamma, shape", "mean - 2 sd =", "half-width (pixels"):
        assert words in said
    (curve,) = [line for line in axes.lines if line.get_label().startswith("gamma")]
    assert curve.get_xdata()[np.argmax(curve.get_ydata())] == pytest.approx(4, abs=0.5)


def test_widths_that_are_all_equal_have_no_curve(texts):
    widths = np.full(50, 2.0)
    figure = figures.width_histogram(widths, width_statistics(widths))
    assert not any("gamma" in text for text in texts(figure))


def test_a_training_shows_loss_scores_gain_and_the_epoch_kept(texts):
    history = [
        {
            "epoch": epoch,
            "train/loss": 1 / epoch,
            "val/refined_pfm": 0.5,
            "val/relative_gain": 0.1 if epoch == 2 else 0.01,
            "learning_rate": 3e-4,
        }
        for epoch in range(1, 6)
    ]
    figure = figures.training_curve(history, kept=5, title="unet")
    said = texts(figure)
    assert "Training unet" in said
    assert "kept: epoch 5" in said  # not the best one, by any score
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "loss",
        "score on validation patches",
        "relative gain on validation patches",
    ]
    assert "learning rate" not in said


@pytest.mark.parametrize("history", [[], [{"epoch": 1.0, "train/loss": 0.5}]])
def test_a_training_of_one_epoch_or_none_is_drawn(history, pixels):
    assert pixels(figures.training_curve(history, kept=len(history))).shape[2] == 3


def test_workload_of_many_images_shows_a_dozen_and_says_so(rounds, texts):
    image = rounds[rounds["image"] == rounds["image"].iloc[0]]
    many = pd.concat([image.assign(image=f"image {number:02}") for number in range(20)])
    figure = figures.workload(many)
    assert len([axes for axes in figure.axes if axes.get_visible()]) == figures.MOST_PANELS
    assert any(" 12 of 20" in " ".join(text.split()) for text in texts(figure))
