from __future__ import annotations

import numpy as np

from linerefine.tracking.before_after import Shown, extremes, overlay
from linerefine.tracking.overlays import CLASSES


def test_before_and_after_say_what_is_missed_and_false(masks, texts):
    figure = overlay(*masks, title="mirror 1, unet (phantoms)")
    said = texts(figure)
    assert "first prediction\n67 % missed, 33 % of the drawn false" in said
    assert "strokes pasted\n33 % missed, 20 % of the drawn false" in said
    assert "refined\n0 % missed, 0 % of the drawn false" in said
    assert "mirror 1, unet (phantoms)" in said
    assert {"found", "missed", "false"} <= set(said)


def test_large_images_get_a_window_at_full_resolution(masks, pixels):
    large = [np.tile(part, (10, 10)) for part in masks]
    figure = overlay(*large, roi=np.ones((600, 800), dtype=bool))
    assert len(figure.axes) == 6
    assert all(len(axes.patches) == 1 for axes in figure.axes[:3])
    shown = figure.axes[3].images[0]
    assert shown.get_array().shape == (384, 384, 3)
    found = {
        bytes(colour).hex() for colour in np.unique(pixels(figure)[::3, ::3].reshape(-1, 3), axis=0)
    }
    assert {colour[1:].lower() for colour in CLASSES.values()} <= found


def test_without_a_target_nothing_is_called_false(masks, texts):
    image, _, initial, manual, refined = masks
    figure = overlay(image, None, initial, manual, refined)
    assert not any("missed" in text for text in texts(figure))


def test_extremes_have_a_row_per_image_and_say_which(masks, texts):
    image, target, initial, manual, refined = masks
    best = Shown(image, target, initial, manual, refined, title="largest gain: a")
    worst = Shown(image, target, initial, manual, initial, title="smallest gain: b")
    figure = extremes([best, worst], title="unet (phantoms)")
    assert len(figure.axes) == 6
    said = texts(figure)
    assert {"largest gain: a", "smallest gain: b", "unet (phantoms)", "false"} <= set(said)
    assert "refined\n0 % missed, 0 % of the drawn false" in said
    assert "refined\n67 % missed, 33 % of the drawn false" in said


def test_extremes_show_the_window_that_changed_most(masks):
    large = [np.zeros((900, 1000), dtype=part.dtype) for part in masks]
    large[4][600:620, 700:760] = True
    figure = extremes([Shown(*large)])
    left, right, bottom, top = figure.axes[2].images[0].get_extent()
    assert left <= 700 <= 760 <= right
    assert top <= 600 <= 620 <= bottom
    assert figure.axes[2].images[0].get_array().shape == (384, 384, 3)


def test_extremes_without_a_target_call_nothing_false(masks, texts):
    image, _, *others = masks
    said = texts(extremes([Shown(image, None, *others)]))
    assert "refined" in said
    assert not any("false" in text for text in said)
