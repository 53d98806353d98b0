"""The engine: constraints, locality, seams, borders, undo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.config import SessionConfig
from linerefine.errors import PluginError, ShapeError
from linerefine.geometry.hints import constrain, merge_hints
from linerefine.geometry.strokes import rasterise
from linerefine.refiners.base import Prompt
from linerefine.refiners.manual import Manual
from linerefine.session import RefinementSession
from linerefine.session.undo import UndoStore
from linerefine.types import Operation, Stroke

from .conftest import Blur, Constant, Hasty, scene

SMALL = SessionConfig(crop=64, margin=8)


def stroke(*path: tuple[int, int], width: float = 3.0, add: bool = True) -> Stroke:
    return Stroke(np.array(path), width, Operation.ADD if add else Operation.ERASE)


def strokes_in(shape: tuple[int, int]) -> st.SearchStrategy[Stroke]:
    point = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    return st.builds(
        lambda path, width, add: stroke(*path, width=width, add=add),
        st.lists(point, min_size=1, max_size=3),
        st.floats(0.6, 6),
        st.booleans(),
    )


def state(session: RefinementSession) -> tuple[bytes, ...]:
    arrays = (session.logits, session.hints, session.mask, session.manual_mask)
    return tuple(array.tobytes() for array in arrays)


@pytest.mark.parametrize("placement", ["stroke", "grid"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_state_depends_on_the_strokes_that_count_alone(placement: str, data: st.DataObject) -> None:
    image, initial = scene()
    config = SMALL.model_copy(update={"placement": placement})
    drawn = data.draw(st.lists(strokes_in((150, 170)), min_size=1, max_size=5))
    straight = RefinementSession(image, initial, Blur(), config)
    for one in drawn:
        straight.apply(one)
    winding = RefinementSession(image, initial, Blur(), config)
    for one in drawn:
        winding.preview([one, drawn[0], drawn[-1]])
        winding.apply(one)
        for _ in range(data.draw(st.integers(0, 2))):
            if winding.undo() is not None:
                winding.redo()
    steps = data.draw(st.integers(0, len(drawn)))
    for _ in range(steps):
        winding.undo()
    for _ in range(steps):
        winding.redo()
    assert state(winding) == state(straight)
    assert [s.to_dict() for s in winding.strokes] == [s.to_dict() for s in drawn]


@settings(deadline=None, max_examples=25)
@given(drawn=st.lists(strokes_in((150, 170)), min_size=1, max_size=6), latest=st.booleans())
def test_strokes_hold_in_the_mask(drawn: list[Stroke], latest: bool) -> None:
    image, initial = scene()
    config = SMALL.model_copy(update={"overlap": "latest" if latest else "first"})
    session = RefinementSession(image, initial, Blur(), config)
    hints = np.zeros((150, 170), np.int8)
    for one in drawn:
        session.apply(one)
        hints = merge_hints(hints, one, overwrite=latest)
    np.testing.assert_array_equal(session.hints, hints)
    assert session.mask[hints > 0].all()
    assert not session.mask[hints < 0].any()
    np.testing.assert_array_equal(session.mask, constrain(session.logits > 0, hints))
    np.testing.assert_array_equal(session.manual_mask, constrain(initial > 0, hints))


def test_undo_of_everything_restores_the_first_prediction(blur: Blur) -> None:
    image, initial = scene()
    session = RefinementSession(image, initial, blur, SMALL)
    fresh = state(session)
    for row in range(10, 140, 10):
        session.apply(stroke((row, 20), (row, 150), add=row % 20 == 0))
    assert state(session) != fresh
    while session.undo():
        pass
    assert state(session) == fresh
    assert session.undo() is None


@pytest.mark.parametrize("placement", ["stroke", "grid"])
@pytest.mark.parametrize("size", [(150, 170), (64, 64), (20, 150)])
def test_it_begins_with_what_the_refiner_makes_of_the_first_prediction(
    placement: str, size: tuple[int, int]
) -> None:
    image, initial = scene(*size)
    config = SMALL.model_copy(update={"placement": placement})
    session = RefinementSession(image, initial, Hasty(), config)
    # The same of every pixel in every crop it lies in, so no seam can hide a mistake.
    np.testing.assert_allclose(session.logits, 1 - 2 * initial, atol=1e-5)
    np.testing.assert_array_equal(session.mask, session.logits > 0)
    np.testing.assert_array_equal(session.manual_mask, initial > 0)
    np.testing.assert_array_equal(session.initial, initial)
    assert session.strokes == ()


def test_a_revision_takes_one_call_per_crop_and_its_time_counts() -> None:
    refiner = Hasty()
    session = RefinementSession(*scene(150, 170), refiner, SMALL)
    # Crops of 64 that overlap by two margins of 8: 0, 48, 86 and 0, 48, 96, 106.
    assert refiner.shown == [(1, 1, 64, 64)] * (3 * 4)
    assert session.calls == 12
    assert session.seconds > 0
    assert RefinementSession(*scene(), Blur(), SMALL).calls == 0


def test_how_much_of_the_image_is_looked_at_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    session = RefinementSession(
        *scene(150, 170), Hasty(), SMALL, progress=lambda *work: told.append(work)
    )
    crops = session.calls
    assert told == [("looking at the image", done, crops) for done in range(crops + 1)]
    told.clear()
    session.apply(Stroke(np.array([[20, 10], [20, 30]]), 2.0, Operation.ADD))
    RefinementSession(*scene(), Blur(), SMALL, progress=lambda *work: told.append(work))
    assert not told


def test_the_last_answer_is_the_revision_before_there_is_one() -> None:
    class Echo(Hasty):
        def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
            self.previous = prompt.previous
            return prompt.initial

    refiner = Echo()
    session = RefinementSession(*scene(), refiner, SMALL)
    begun = session.logits.copy()
    session.apply(stroke((64, 64), (64, 80)))
    assert refiner.previous is not None
    np.testing.assert_array_equal(refiner.previous[0, 0], begun[32:96, 32:128])


@pytest.mark.parametrize("kept", [2, 100])
def test_undo_of_everything_restores_the_revision(kept: int) -> None:
    session = RefinementSession(*scene(), Hasty(), SMALL)
    session._undo = UndoStore(kept=kept)
    fresh = state(session)
    for row in range(10, 140, 10):
        session.apply(stroke((row, 20), (row, 150), add=row % 20 == 0))
    while session.undo():
        pass
    assert state(session) == fresh


def test_a_revision_of_the_wrong_shape_is_named() -> None:
    class Crooked(Hasty):
        def revise(self, features: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
            return initial[:, 0]

    with pytest.raises(PluginError, match=r"Crooked\.revise returned shape \(1, 64, 64\)"):
        RefinementSession(*scene(), Crooked(), SMALL)


def test_undo_beyond_what_is_kept_draws_the_rest_anew(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    session._undo = UndoStore(kept=2)
    states = [state(session)]
    for row in range(10, 140, 10):
        session.apply(stroke((row, 20), (row, 90), add=row % 20 == 0))
        states.append(state(session))
    assert len(session._undo) in {2, 3, 4}
    for expected in reversed(states[:-1]):
        update = session.undo()
        assert update is not None
        assert state(session) == expected
        np.testing.assert_array_equal(update.mask, session.mask[update.box.index])
    assert session.undo() is None


def test_a_first_prediction_that_others_may_write_is_copied(tmp_path: Path) -> None:
    image, initial = scene()
    np.save(tmp_path / "initial.npy", initial)
    mapped = np.load(tmp_path / "initial.npy", mmap_mode="r")
    assert np.shares_memory(RefinementSession(image, mapped, Manual(), SMALL).initial, mapped)
    view = initial.view()
    view.flags.writeable = False
    session = RefinementSession(image, view, Manual(), SMALL)
    before = session.initial.copy()
    initial += 1
    np.testing.assert_array_equal(session.initial, before)


def test_drawing_after_undo_forgets_what_was_undone(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    session.apply(stroke((10, 10)))
    session.undo()
    session.apply(stroke((50, 50)))
    assert session.redo() is None
    assert len(session.strokes) == 1


def test_previews_change_nothing_and_are_reused(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    before = state(session)
    one, other = stroke((40, 40), (40, 60)), stroke((90, 90), add=False)
    previews = session.preview([one, other])
    assert state(session) == before
    assert len(blur.calls) == 2
    update = session.apply(one)
    assert len(blur.calls) == 2
    assert update is previews[0]


def test_one_stroke_costs_one_call_on_one_crop(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    session.apply(stroke((75, 80), (75, 90)))
    assert blur.calls == [(1, 4, 64, 64)]
    session.apply(stroke((5, 5), (140, 160)))
    assert blur.calls[1:] == [(1, 4, 192, 224)]  # larger than the image: padded, still one call


def test_the_image_is_encoded_once_per_place(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    for _ in range(3):
        session.apply(stroke((75, 80), (75, 90)))
    assert blur.encoded == 1


def test_far_pixels_are_untouched(blur: Blur) -> None:
    image, initial = scene()
    session = RefinementSession(image, initial, blur, SMALL)
    update = session.apply(stroke((75, 80), (75, 90)))
    outside = np.ones((150, 170), dtype=bool)
    outside[update.box.index] = False
    np.testing.assert_array_equal(session.logits[outside], initial[outside])
    assert update.box.shape == (64, 64)


def test_an_answer_fades_without_a_step_inside_and_fully_at_the_image_border() -> None:
    image = np.zeros((1, 150, 170), np.float32)
    session = RefinementSession(image, np.zeros((150, 170), np.float32), Constant(1.0), SMALL)
    session.apply(stroke((75, 80)))
    steps = np.abs(np.diff(session.logits, axis=0)).max(), np.abs(np.diff(session.logits)).max()
    assert max(steps) < 0.3
    assert session.logits.max() == 1.0
    corner = RefinementSession(image, np.zeros((150, 170), np.float32), Constant(1.0), SMALL)
    corner.apply(stroke((0, 0)))
    assert corner.logits[0, 0] == 1.0
    assert (corner.logits[:20, :20] == 1.0).all()


@pytest.mark.parametrize("placement", ["stroke", "grid"])
@pytest.mark.parametrize("shape", [(150, 170), (20, 30), (64, 64), (65, 200), (1, 40)])
def test_every_pixel_can_be_predicted(placement: str, shape: tuple[int, int]) -> None:
    config = SMALL.model_copy(update={"placement": placement, "margin": 16})
    zeros = np.zeros(shape, np.float32)
    session = RefinementSession(zeros[None], zeros, Constant(1.0), config)
    for row in range(shape[0]):
        for col in range(0, shape[1], 16):
            session.apply(stroke((row, col), width=1.0))
    assert session.logits.min() == 1.0


def test_the_stroke_lies_where_the_answer_counts_fully() -> None:
    zeros = np.zeros((150, 170), np.float32)
    for row, col in [(75, 80), (2, 80), (149, 169), (33, 64), (96, 31)]:
        session = RefinementSession(zeros[None], zeros, Constant(1.0), SMALL)
        session.apply(stroke((row, col), width=4.0))
        assert session.logits[max(0, row - 3) : row + 4, max(0, col - 3) : col + 4].min() == 1.0


def test_the_grid_replaces_whole_tiles_and_nothing_else() -> None:
    config = SMALL.model_copy(update={"placement": "grid"})
    zeros = np.zeros((150, 170), np.float32)
    session = RefinementSession(zeros[None], zeros, Constant(1.0), config)
    session.apply(stroke((70, 130), width=8.0))
    assert session.logits[64:128, 128:].min() == 1.0
    assert session.logits.sum() == 64 * 42
    assert session.hints[63, 130] == 1  # the mark itself may spill into the next tile


def test_manual_refiner_equals_pasting() -> None:
    image, initial = scene()
    session = RefinementSession(image, initial, Manual(), SMALL)
    for row in (10, 75, 140):
        session.apply(stroke((row, 5), (row, 165), add=row != 75))
    np.testing.assert_array_equal(session.mask, session.manual_mask)


def test_huge_and_partly_outside_strokes_are_clipped(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    session.apply(stroke((-20, -20), (20, 20)))
    assert session.hints[0, 0] == 1
    session.apply(stroke((75, 80), width=1e6, add=False))
    assert (session.hints == -1).all()
    assert not session.mask.any()


def test_a_stroke_outside_is_refused_and_changes_nothing(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    before = state(session)
    with pytest.raises(
        ShapeError, match=r"stroke from \(300, 300\) to \(300, 300\) marks no pixel"
    ):
        session.apply(stroke((300, 300)))
    assert state(session) == before
    assert session.strokes == ()


@pytest.mark.parametrize(
    ("path", "width", "message"),
    [
        (np.zeros((0, 2)), 2.0, r"shape \(0, 2\), expected \(K, 2\)"),
        (np.zeros((3, 3)), 2.0, r"shape \(3, 3\)"),
        (np.array([[0.0, np.nan]]), 2.0, "not finite"),
        (np.zeros((1, 2)), 0.0, "half_width is 0.0, expected a finite number > 0"),
        (np.zeros((1, 2)), float("inf"), "half_width is inf"),
    ],
)
def test_impossible_strokes_are_refused(path: np.ndarray, width: float, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Stroke(path, width, Operation.ADD)


def test_arrays_that_do_not_agree_are_refused(blur: Blur) -> None:
    image, initial = scene()
    with pytest.raises(ShapeError, match=r"initial prediction has shape \(149, 170\)"):
        RefinementSession(image, initial[1:], blur)
    initial[3, 3] = np.nan
    with pytest.raises(ShapeError, match="not finite"):
        RefinementSession(image, initial, blur)


def test_a_refiner_that_answers_nan_is_named() -> None:
    image, initial = scene()
    session = RefinementSession(image, initial, Constant(float("nan")), SMALL)
    with pytest.raises(PluginError, match=r"Constant\.refine returned values that are not finite"):
        session.apply(stroke((75, 80)))
    assert session.strokes == ()


def test_views_cannot_be_written(blur: Blur) -> None:
    session = RefinementSession(*scene(), blur, SMALL)
    for view in (session.mask, session.logits, session.hints, session.initial):
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 1


def test_threshold_decides_on_probability(blur: Blur) -> None:
    zeros = np.full((64, 64), 0.5, np.float32)  # probability .62
    low = RefinementSession(zeros[None], zeros, blur, SMALL.model_copy(update={"threshold": 0.6}))
    high = RefinementSession(zeros[None], zeros, blur, SMALL.model_copy(update={"threshold": 0.7}))
    assert low.mask.all()
    assert not high.mask.any()


def test_an_update_says_what_its_stroke_marks_and_an_undo_marks_nothing() -> None:
    image, initial = scene()
    session = RefinementSession(image, initial, Manual(), SMALL)
    for one in (stroke((20, 10), (24, 30)), stroke((0, 160), (3, 169), add=False)):
        update = session.apply(one)
        drawn = np.zeros(session.shape, dtype=bool)
        drawn[update.marked.index] = update.pixels
        np.testing.assert_array_equal(drawn, rasterise(one, session.shape))
    undone = session.undo()
    assert undone is not None
    assert undone.pixels is None
