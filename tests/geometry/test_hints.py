"""Merging strokes into hint maps, and what hints do to predictions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.errors import ShapeError
from linerefine.geometry import HINT_LOGIT, apply_hints, constrain, merge_hints, rasterise
from linerefine.types import Operation, Stroke

SHAPE = (16, 20)

points = st.tuples(st.integers(-6, 22), st.integers(-6, 26))
strokes = st.builds(
    Stroke,
    st.lists(points, min_size=1, max_size=3).map(np.array),
    st.floats(0.5, 6),
    st.sampled_from(Operation),
    st.sampled_from(["disc", "cross"]),
)
histories = st.lists(strokes, max_size=5)


def merged(history, overwrite=True):
    hints = np.zeros(SHAPE, dtype=np.int8)
    for stroke in history:
        hints = merge_hints(hints, stroke, overwrite=overwrite)
    return hints


@settings(deadline=None)
@given(histories, strokes)
def test_the_latest_stroke_holds_where_it_lies(history, stroke):
    before = merged(history)
    after = merge_hints(before, stroke)
    marked = rasterise(stroke, SHAPE)
    assert np.all(after[marked] == stroke.operation)
    assert np.array_equal(after[~marked], before[~marked])


@settings(deadline=None)
@given(histories, strokes)
def test_without_overwriting_a_set_hint_never_changes(history, stroke):
    before = merged(history, overwrite=False)
    after = merge_hints(before, stroke, overwrite=False)
    free = rasterise(stroke, SHAPE) & (before == 0)
    assert np.all(after[free] == stroke.operation)
    assert np.array_equal(after[~free], before[~free])


@settings(deadline=None)
@given(histories, strokes, st.booleans())
def test_merging_a_stroke_twice_equals_once(history, stroke, overwrite):
    once = merge_hints(merged(history), stroke, overwrite=overwrite)
    assert np.array_equal(merge_hints(once, stroke, overwrite=overwrite), once)


@settings(deadline=None)
@given(histories)
def test_first_word_of_a_history_is_last_word_of_the_reversed_one(history):
    assert np.array_equal(merged(history, overwrite=False), merged(history[::-1]))


def test_merging_leaves_the_given_hints_alone():
    hints = np.zeros(SHAPE, dtype=np.int8)
    after = merge_hints(hints, Stroke(np.array([(5, 5)]), 3, Operation.ERASE))
    assert not hints.any()
    assert after.dtype == np.int8
    assert set(np.unique(after)) == {-1, 0}


def test_a_stroke_outside_changes_nothing():
    after = merged([Stroke(np.array([(500, 5)]), 3, Operation.ADD)])
    assert not after.any()


@settings(deadline=None)
@given(histories)
def test_hints_bind_logits_and_masks_alike(history):
    hints = merged(history)
    logits = np.random.default_rng(0).normal(0, 40, SHAPE).astype(np.float32)
    given_logits = logits.copy()
    agreed = apply_hints(logits, hints)
    assert agreed.dtype == np.float32
    assert np.all(agreed[hints == 1] == HINT_LOGIT)
    assert np.all(agreed[hints == -1] == -HINT_LOGIT)
    assert np.array_equal(agreed[hints == 0], logits[hints == 0])
    assert np.array_equal(agreed > 0, constrain(logits > 0, hints))
    assert np.array_equal(logits, given_logits)


def test_applying_no_hints_gives_a_copy():
    logits = np.ones(SHAPE, dtype=np.float32)
    agreed = apply_hints(logits, np.zeros(SHAPE, dtype=np.int8))
    assert np.array_equal(agreed, logits)
    assert not np.shares_memory(agreed, logits)
    mask = np.ones(SHAPE, dtype=bool)
    assert not np.shares_memory(constrain(mask, np.zeros(SHAPE, dtype=np.int8)), mask)


def test_shapes_and_types_must_agree():
    hints = np.zeros(SHAPE, dtype=np.int8)
    narrow = r"has shape \(16, 19\), hints \(16, 20\); H and W must agree\."
    with pytest.raises(ShapeError, match=f"logits {narrow}"):
        apply_hints(np.zeros((16, 19), dtype=np.float32), hints)
    with pytest.raises(ShapeError, match=f"mask {narrow}"):
        constrain(np.zeros((16, 19), dtype=bool), hints)
    with pytest.raises(ShapeError, match=r"mask has shape .* type float32, expected .* bool\."):
        constrain(np.zeros(SHAPE, dtype=np.float32), hints)
    wrong = r"hints has shape \(16, 20\) and type float32, expected \(H, W\) and int8\."
    for function in (
        lambda bad: merge_hints(bad, Stroke(np.array([(5, 5)]), 3, Operation.ADD)),
        lambda bad: apply_hints(bad, bad),
        lambda bad: constrain(bad > 0, bad),
    ):
        with pytest.raises(ShapeError, match=wrong):
            function(hints.astype(np.float32))
