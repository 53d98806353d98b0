from __future__ import annotations

import io
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from linerefine.errors import DataError
from linerefine.evaluation.effort import workload_reduction
from linerefine.geometry.widths import width_statistics
from linerefine.tracking import figures
from linerefine.tracking.overlays import CLASSES, busiest, painted, shares
from linerefine.tracking.rounds import session_frame
from linerefine.tracking.traces import crossing, gamma_density, mean_steps
from linerefine.types import Tile


def texts(figure):
    """Return every text of a figure."""
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(mpl.text.Text) if t.get_text()]


def pixels(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture
def rounds(keys, rounds_of):
    return pd.concat([session_frame(key, rounds_of(key), "pfm") for key in keys])


def test_gains_are_drawn_per_image_with_a_band_and_a_zero_line(rounds):
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


def test_a_repeat_that_stopped_earlier_carries_its_last_gain_forward(rounds):
    part = rounds[(rounds["image"] == "mirror 1") & (rounds["refiner"] == "unet")]
    short = part[(part["repeat"] == 0) | (part["round"] <= 3)]
    (axes,) = figures.gain_curve(short).axes
    line = next(line for line in axes.lines if line.get_label() == "mirror 1")
    assert line.get_ydata()[-1] == pytest.approx((0.08 + 0.04) / 2)


def test_refiners_that_change_nothing_are_drawn_if_there_is_no_other(rounds):
    figure = figures.gain_curve(rounds[rounds["refiner"] == "echo"])
    assert [axes.get_title() for axes in figure.axes] == ["echo"]


def test_workload_marks_the_saved_effort(rounds):
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


def test_workload_has_a_panel_per_refiner_and_image(rounds):
    other = rounds.assign(refiner="other")
    figure = figures.workload(pd.concat([rounds, other[other["image"] != "x"]]))
    titles = {axes.get_title() for axes in figure.axes if axes.get_visible()}
    assert {"mirror 1, unet", "mirror 2, unet", "mirror 1, other", "mirror 2, other"} <= titles
    assert pixels(figure).std() > 5


def test_workload_says_where_the_best_manual_score_is_never_reached(rounds):
    worse = rounds[rounds["refiner"] == "unet"].copy()
    worse["refined_pfm"] = worse["manual_pfm"] - 0.01
    figure = figures.workload(worse)
    assert "best manual score\nnot reached" in texts(figure)


def test_scores_that_are_nowhere_defined_are_drawn_as_nothing(rounds):
    figure = figures.workload(rounds.assign(manual_pfm=np.nan, refined_pfm=np.nan))
    assert "best manual score\nnot reached" in texts(figure)
    figures.gain_curve(rounds.assign(relative_gain=np.nan))


def test_widths_are_drawn_with_the_fitted_gamma():
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


def test_widths_that_are_all_equal_have_no_curve():
    widths = np.full(50, 2.0)
    figure = figures.width_histogram(widths, width_statistics(widths))
    assert not any("gamma" in text for text in texts(figure))


def test_a_training_shows_loss_scores_gain_and_the_epoch_kept():
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
    figure = figures.training_curve(history, title="unet")
    said = texts(figure)
    assert "Training unet" in said
    assert "kept: epoch 2" in said
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "loss",
        "score on validation patches",
        "relative gain on validation patches",
    ]
    assert "learning rate" not in said


@pytest.mark.parametrize("history", [[], [{"epoch": 1.0, "train/loss": 0.5}]])
def test_a_training_of_one_epoch_or_none_is_drawn(history):
    assert pixels(figures.training_curve(history)).shape[2] == 3


@pytest.fixture
def masks():
    """Return an image, a target, and three predictions: each better than the one before."""
    image = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
    target = np.zeros((60, 80), dtype=bool)
    target[30, 10:70] = True
    initial = np.zeros_like(target)
    initial[30, 10:30] = initial[10, 10:20] = True
    manual = initial.copy()
    manual[30, 30:50] = True
    refined = target.copy()
    return image, target, initial, manual, refined


def test_before_and_after_say_what_is_missed_and_false(masks):
    figure = figures.overlay(*masks, title="mirror 1, unet (phantoms)")
    said = texts(figure)
    assert "first prediction\n67 % missed, 33 % of the drawn false" in said
    assert "strokes pasted\n33 % missed, 20 % of the drawn false" in said
    assert "refined\n0 % missed, 0 % of the drawn false" in said
    assert "mirror 1, unet (phantoms)" in said
    assert {"found", "missed", "false"} <= set(said)


def test_large_images_get_a_window_at_full_resolution(masks):
    large = [np.tile(part, (10, 10)) for part in masks]
    figure = figures.overlay(*large, roi=np.ones((600, 800), dtype=bool))
    assert len(figure.axes) == 6
    assert all(len(axes.patches) == 1 for axes in figure.axes[:3])
    shown = figure.axes[3].images[0]
    assert shown.get_array().shape == (384, 384, 3)
    found = {
        bytes(colour).hex() for colour in np.unique(pixels(figure)[::3, ::3].reshape(-1, 3), axis=0)
    }
    assert {colour[1:].lower() for colour in CLASSES.values()} <= found


def test_without_a_target_nothing_is_called_false(masks):
    image, _, initial, manual, refined = masks
    figure = figures.overlay(image, None, initial, manual, refined)
    assert not any("missed" in text for text in texts(figure))


def test_colours_follow_target_and_mask_inside_the_roi(masks):
    image, target, initial, *_ = masks
    roi = np.ones_like(target)
    roi[:, 60:] = False
    picture = painted(image, target, initial, roi, Tile(0, 0, 60, 80))
    colours = {name: tuple(bytes.fromhex(code[1:])) for name, code in CLASSES.items()}
    assert tuple(picture[30, 15]) == colours["found"]
    assert tuple(picture[30, 45]) == colours["missed"]
    assert tuple(picture[10, 15]) == colours["false"]
    assert tuple(picture[30, 65]) not in colours.values()
    assert picture[:, 60:].mean() < picture[:, :60].mean()


def test_a_thin_line_survives_scaling_down():
    target = np.zeros((4000, 3000), dtype=bool)
    target[2000, 100:2900] = True
    image = np.zeros(target.shape, dtype=np.float32)
    picture = painted(image, target, target, None, Tile(0, 0, 4000, 3000))
    assert max(picture.shape) <= 900
    assert (picture == bytes.fromhex(CLASSES["found"][1:])[0]).any()
    row = picture[2000 // 5]
    assert len(np.unique(row[100:500], axis=0)) == 1


def test_an_image_with_gaps_is_painted_all_the_same(masks):
    image, target, *_ = masks
    image = image.copy()
    image[5:10] = np.nan
    assert painted(image, target, target, None, Tile(0, 0, 60, 80)).dtype == np.uint8


def test_the_window_is_where_most_changed():
    before = np.zeros((1000, 1200), dtype=bool)
    after = before.copy()
    after[700:720, 900:960] = True
    window = busiest(before, after)
    assert window.shape == (384, 384)
    assert window.top <= 700
    assert window.bottom >= 720
    assert window.left <= 900
    assert window.right >= 960
    assert busiest(before[:50, :60], after[:50, :60]) == Tile(0, 0, 50, 60)


def test_shares_of_empty_masks_are_zero():
    empty = np.zeros((4, 4), dtype=bool)
    assert shares(empty, empty, None) == (0.0, 0.0)


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


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, rounds):
    path = figures.save_png(figures.gain_curve(rounds), tmp_path / "figures" / "gain.png")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        figures.save_png(figures.gain_curve(rounds), tmp_path / "file" / "gain.png")


def test_drawing_leaves_no_global_state(rounds):
    before = dict(mpl.rcParams)
    figures.gain_curve(rounds)
    figures.workload(rounds)
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules
