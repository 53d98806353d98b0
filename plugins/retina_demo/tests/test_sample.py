"""The drawn photographs: repeatable, plausible, written whole."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from linerefine.errors import DataError
from linerefine.geometry.centreline import half_widths
from linerefine_retina_demo import sample
from linerefine_retina_demo.fundus import draw_fundus
from linerefine_retina_demo.sample import drawn_folder


def silent(what, done, total):
    pass


def drawn(number=0, size=192, seed=0):
    return draw_fundus(size, is_right=number % 2 == 1, rng=np.random.default_rng([seed, number]))


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path))
    return tmp_path


def test_a_drawing_repeats_and_another_seed_differs():
    first, again, other = drawn(), drawn(), drawn(seed=1)
    for part in ("image", "lines", "other_lines", "field"):
        assert np.array_equal(getattr(first, part), getattr(again, part))
        assert not np.array_equal(getattr(first, part), getattr(other, part))


def test_a_drawing_has_the_forms_it_names():
    fundus = drawn(size=130)
    assert fundus.image.shape == (130, 130, 3)
    assert fundus.image.dtype == np.uint8
    for mask in (fundus.lines, fundus.other_lines, fundus.field):
        assert mask.shape == (130, 130)
        assert mask.dtype == np.bool_


@pytest.mark.parametrize("number", range(4))
def test_drawn_vessels_resemble_real_ones(number):
    fundus = drawn(number, size=512)
    inside, lines = fundus.field, fundus.lines
    assert not (lines & ~inside).any()
    assert 0.6 < inside.mean() < 0.75  # CHASE_DB1: 0.65 to 0.70
    assert 0.07 < lines.sum() / inside.sum() < 0.14  # 0.10 to 0.12
    widths = 2 * half_widths(lines)
    assert 2.5 < np.median(widths) < 4.5  # 4.0 at this size
    assert 5 < np.percentile(widths, 90) < 8  # 6.0


def test_vessels_are_dark_in_green_and_some_hardly():
    fundus = drawn(size=512)
    green = cv2.GaussianBlur(fundus.image[..., 1].astype(np.float32), (0, 0), 1)
    ring = cv2.dilate(fundus.lines.astype(np.uint8), np.ones((9, 9))).astype(bool)
    ground = green[ring & ~fundus.lines & fundus.field]
    contrast = (np.median(ground) - green[fundus.lines]) / np.median(ground)
    assert 0.08 < np.median(contrast) < 0.4
    assert np.mean(contrast < 0.03) > 0.03


def test_the_second_reader_agrees_as_people_do():
    fundus = drawn(2, size=512)
    both = (fundus.lines & fundus.other_lines).sum()
    dice = 2 * both / (fundus.lines.sum() + fundus.other_lines.sum())
    assert 0.75 < dice < 0.95


def test_right_eyes_have_the_disc_on_the_right():
    for number, is_right in ((0, False), (1, True)):
        blue = cv2.GaussianBlur(drawn(number, size=256).image[..., 2], (0, 0), 5)
        assert (np.unravel_index(np.argmax(blue), blue.shape)[1] > 128) == is_right


def test_the_folder_is_drawn_once_in_the_real_layout(cache):
    calls = []
    root = drawn_folder(6, 64, 0, lambda *call: calls.append(call))
    assert root.parent == cache / "retina_demo"
    assert calls[-1] == ("drawing sample images", 6, 6)
    assert sorted(path.name for path in root.iterdir()) == ["fov", "images", "masks", "masks2"]
    names = [f"Drawn_{child:02}{eye}.png" for child in (1, 2, 3) for eye in "LR"]
    for part in root.iterdir():
        assert sorted(path.name for path in part.iterdir()) == names
    calls.clear()
    assert drawn_folder(6, 64, 0, lambda *call: calls.append(call)) == root
    assert calls == []


def test_what_decides_the_content_decides_the_name(cache, monkeypatch):
    roots = {drawn_folder(*given, silent) for given in ((6, 64, 0), (6, 64, 1), (6, 65, 0))}
    assert len(roots) == 3
    monkeypatch.setattr(sample.inspect, "getsource", lambda module: "changed")
    assert drawn_folder(6, 64, 0, silent) not in roots


def test_an_image_does_not_depend_on_how_many_there_are(cache):
    few, many = drawn_folder(6, 64, 0, silent), drawn_folder(8, 64, 0, silent)
    for path in few.rglob("*.png"):
        assert path.read_bytes() == (many / path.relative_to(few)).read_bytes()


def test_a_killed_drawing_leaves_nothing_that_looks_whole(cache):
    def stop(what, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drawn_folder(6, 64, 0, stop)
    assert list((cache / "retina_demo").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(cache, monkeypatch):
    (cache / "file").write_text("")
    monkeypatch.setenv("LINEREFINE_CACHE", str(cache / "file"))
    with pytest.raises(DataError, match=rf"file{os.sep}retina_demo.* cannot be written"):
        drawn_folder(6, 64, 0, silent)
