from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from linerefine.errors import DataError
from linerefine.geometry.hints import merge_hints
from linerefine.testing import drawn_sample
from linerefine.tracking.overlays import CLASSES
from linerefine.tracking.strips import STROKES, Story, StoryState, animation, save_gif, strip
from linerefine.types import Operation, Stroke


@pytest.fixture
def story():
    """Return a cross that is found but for one arm, which twelve strokes bring in."""
    sample = drawn_sample("cross")
    mask = sample.lines.copy()
    mask[:, 32:] = False
    hints = np.zeros(mask.shape, dtype=np.int8)
    states = [StoryState(mask, hints)]
    for number in range(12):
        operation = Operation.ERASE if number == 5 else Operation.ADD
        stroke = Stroke(np.array([[8 + 4 * number, 36], [8 + 4 * number, 50]]), 2.0, operation)
        hints = merge_hints(hints, stroke)
        mask = mask | (sample.lines & (hints > 0))
        states.append(StoryState(mask, hints, stroke))
    roi = np.ones_like(mask)
    roi[:, :6] = False
    return Story(sample.image[0], sample.lines, tuple(states), roi)


def colours_in(picture):
    return {bytes(colour).hex() for colour in np.unique(np.asarray(picture).reshape(-1, 3), axis=0)}


def code(colour):
    return colour[1:].lower()


def test_a_strip_has_a_panel_for_the_image_and_for_every_state(story):
    picture = strip(story)
    assert picture.mode == "RGB"
    panel = 256
    assert picture.width == 7 * (panel + 8) - 8  # fourteen panels in two rows
    assert 2 * panel < picture.height < 3 * panel
    single = strip(dataclasses.replace(story, states=story.states[:3]))
    assert single.width == 4 * (panel + 8) - 8
    assert single.height < 2 * panel


def test_a_strip_shows_found_missed_and_strokes(story):
    found = colours_in(strip(story))
    assert {code(CLASSES["found"]), code(CLASSES["missed"])} <= found
    assert {code(colour) for colour in STROKES.values()} <= found


def test_the_roi_is_lighter_than_the_rest(story):
    dark = np.asarray(strip(story)).astype(int)
    light = np.asarray(strip(dataclasses.replace(story, roi=None))).astype(int)
    assert dark[60:200, :15].mean() < light[60:200, :15].mean() - 20


def test_only_the_panel_of_a_stroke_shows_it_as_the_latest(story):
    erased = code(STROKES[Operation.ERASE])
    frames = [frame.crop((0, 0, 560, 590)) for frame in animation(story)]
    shows = [
        sum(bytes(pixel).hex() == erased for pixel in np.asarray(frame).reshape(-1, 3))
        for frame in frames
    ]
    assert shows[:6] == [0] * 6  # stroke 6 erases
    assert shows[6] > max(shows[7:]) > 0  # later on only its border is left


def test_without_a_target_all_that_is_drawn_has_one_colour(story):
    found = colours_in(strip(dataclasses.replace(story, target=None)))
    assert code(CLASSES["found"]) in found
    assert not {code(CLASSES["missed"]), code(CLASSES["false"])} & found


def test_an_animation_has_a_frame_per_state_and_loops(story, tmp_path):
    frames = animation(story)
    path = save_gif(frames, tmp_path / "tile.gif")
    assert path.stat().st_size < 2_000_000
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == len(frames) == 13
        assert gif.info["loop"] == 0
        shown = []
        for number in range(gif.n_frames):
            gif.seek(number)
            shown.append(gif.info["duration"])
            assert gif.size == frames[number].size
        assert shown == [1000] * 12 + [3000]
        gif.seek(1)
        apart = np.abs(np.asarray(gif.convert("RGB"), int) - np.asarray(frames[1], int))
        assert apart.max() <= 40  # the palette holds every colour that means something
        assert np.median(apart) <= 3


def test_an_animation_that_is_too_large_is_scaled_down(story, tmp_path):
    frames = animation(story)
    small = save_gif(frames, tmp_path / "small.gif", limit=40_000)
    assert small.stat().st_size <= 40_000
    with Image.open(small) as gif:
        assert gif.width < frames[0].width
        assert gif.n_frames == 13
    with pytest.raises(DataError, match="would take .* bytes, expected at most 100. Raise it."):
        save_gif(frames, tmp_path / "tiny.gif", limit=100)
    assert not (tmp_path / "tiny.gif").exists()


@pytest.mark.parametrize("shape", [(40, 100), (700, 300)])
def test_tiles_that_are_cut_off_or_large_keep_their_shape(shape):
    sample = drawn_sample("vee", size=shape)
    empty = StoryState(np.zeros(shape, bool), np.zeros(shape, np.int8))
    (frame,) = animation(Story(sample.image[0], sample.lines, (empty,)))
    assert frame.width == round(560 * shape[1] / max(shape))


def test_a_dot_is_drawn(story):
    dot = Stroke(np.array([[40, 40]]), 2.0, Operation.ADD)
    states = (story.states[0], dataclasses.replace(story.states[0], stroke=dot))
    assert code(STROKES[Operation.ADD]) in colours_in(
        animation(dataclasses.replace(story, states=states))[1].crop((0, 0, 560, 590))
    )
