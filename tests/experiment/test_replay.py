"""A stored session played again is the session that was."""

from __future__ import annotations

import numpy as np
import pytest

from linerefine.errors import RunError
from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.replay import busiest_tile, replay, story
from linerefine.experiment.sessions import masks_path
from linerefine.report import RunResult
from linerefine.tracking.rounds import load_session
from linerefine.types import Round, Tile

from .conftest import CONFIG, registry


@pytest.fixture
def bench(alone: RunResult) -> Bench:
    return Bench.build(CONFIG, registry(), RunFolder(alone.output), Notifier([]))


@pytest.mark.parametrize("refiner", ["unet", "manual"])
def test_scores_are_those_that_were_stored(bench: Bench, refiner: str) -> None:
    strokes = 0
    for image in bench.loader.names("test"):
        sample = bench.loaded(image)
        for round_, session in replay(bench, SessionKey(refiner, 1, image)):
            for name, metric in bench.metrics.items():
                for side, mask in (("manual", session.manual_mask), ("refined", session.mask)):
                    expected = getattr(round_, side)[name]
                    assert metric.score(mask, sample.target) == pytest.approx(expected, nan_ok=True)
            assert np.count_nonzero(session.hints) == round_.effort
            strokes += round_.stroke is not None
    assert strokes > 0


def test_the_end_is_the_masks_that_were_kept(bench: Bench) -> None:
    image = bench.loader.names("test")[0]
    *_, (_, session) = replay(bench, SessionKey("unet", 0, image))
    with np.load(masks_path(bench, "unet", image)) as kept:
        np.testing.assert_array_equal(session.mask, kept["refined"])
        np.testing.assert_array_equal(session.manual_mask, kept["manual"])


def test_a_replay_can_stop_early(bench: Bench) -> None:
    key = SessionKey("manual", 0, bench.loader.names("test")[0])
    assert [round_.index for round_, _ in replay(bench, key, rounds=1)] == [0, 1]


def test_a_story_is_what_the_person_saw_in_the_tile_with_most_strokes(bench: Bench) -> None:
    key = SessionKey("unet", 0, bench.loader.names("test")[0])
    rounds = load_session(bench.folder.rounds, key)
    assert rounds is not None
    tile = busiest_tile(rounds)
    assert tile is not None
    inside = [round_ for round_ in rounds if round_.tile == tile]
    told = story(bench, key)
    assert told is not None
    sample = bench.loaded(key.image)
    box = tile.clipped(sample.shape)
    np.testing.assert_array_equal(told.image, sample.image[0][box.index])
    np.testing.assert_array_equal(told.target, sample.lines[box.index])
    assert len(told.states) == 1 + len(inside)
    assert told.states[0].stroke is None
    assert not told.states[0].hints.any()
    for state, round_ in zip(told.states[1:], inside, strict=True):
        np.testing.assert_array_equal(state.stroke.path, round_.stroke.path - (box.top, box.left))
        assert state.mask[state.hints == 1].all()
        assert not state.mask[state.hints == -1].any()
    efforts = [np.count_nonzero(state.hints) for state in told.states]
    assert efforts == sorted(efforts)
    assert len(story(bench, key, strokes=1).states) == 2


def test_the_busiest_tile_is_the_first_of_equals() -> None:
    one, two = Tile(0, 0, 8, 8), Tile(0, 8, 8, 16)
    tiles = [None, two, one, one, two]
    rounds = [Round(n, tile, None, 0, 0.0, {}, {}, {}) for n, tile in enumerate(tiles)]
    assert busiest_tile(rounds) == two
    assert busiest_tile(rounds[:4]) == one
    assert busiest_tile(rounds[:1]) is None


def test_a_session_that_is_not_there_is_named(bench: Bench) -> None:
    with pytest.raises(RunError, match="no session of refiner 'unet', repeat 7, image 'x'. Resume"):
        next(replay(bench, SessionKey("unet", 7, "x")))
