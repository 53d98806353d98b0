from __future__ import annotations

import numpy as np

from linerefine.tracking.overlays import CLASSES, busiest, painted, shares
from linerefine.types import Tile


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
