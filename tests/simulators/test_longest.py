"""The simulator `longest`: hand-worked cases, laws, and the authors' values."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from linerefine.errors import ShapeError
from linerefine.geometry.centreline import centreline, unbranched_segments
from linerefine.geometry.hints import merge_hints
from linerefine.geometry.strokes import rasterise
from linerefine.samples import Target
from linerefine.simulators.longest import WIDEST, Longest, LongestOptions
from linerefine.types import Operation

ADD, ERASE = frozenset({Operation.ADD}), frozenset({Operation.ERASE})
BOTH = ADD | ERASE


def drawing(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def target_of(mask: np.ndarray, roi: np.ndarray | None = None) -> Target:
    return Target(mask, np.ones_like(mask) if roi is None else roi)


def nothing(mask: np.ndarray, dtype: type = bool) -> np.ndarray:
    return np.zeros(mask.shape, dtype)


def stroke_on(prediction, target, operations, *, hints=None, seed=0, **options):
    hints = nothing(target.mask, np.int8) if hints is None else hints
    simulator = Longest(LongestOptions(**options))
    return simulator.next_stroke(
        prediction, target, hints, operations=operations, rng=np.random.default_rng(seed)
    )


LINE = drawing(
    ".........",
    ".........",
    ".#######.",
    ".........",
    ".........",
    "......#..",
    "......#..",
    "......#..",
    ".........",
)


def test_add_follows_the_longest_missing_segment_from_end_to_end():
    stroke = stroke_on(nothing(LINE), target_of(LINE), ADD)
    assert stroke.operation is Operation.ADD
    assert stroke.path.tolist() == [[2, col] for col in range(2, 7)]  # ends have one neighbour
    assert (stroke.half_width, stroke.tip) == (3.5, "disc")


def test_add_passes_over_what_is_predicted():
    prediction = nothing(LINE)
    prediction[2, 3] = True
    stroke = stroke_on(prediction, target_of(LINE), ADD)
    assert stroke.path.tolist() == [[2, 5], [2, 6]]


def test_erase_follows_what_lies_beyond_the_tolerance():
    prediction = LINE.copy()
    stroke = stroke_on(prediction, target_of(nothing(LINE)), ERASE)
    assert stroke.operation is Operation.ERASE
    assert stroke.path.tolist() == [[2, col] for col in range(2, 7)]


@pytest.mark.parametrize(
    ("tip", "expected"), [("disc", [1, 2, 3]), ("cross", [1, 2, 3, 4, 5])], ids=["disc", "cross"]
)
def test_tolerance_is_a_distance_up_to_which_erasing_spares(tip, expected):
    target = nothing(LINE)
    target[0, 8] = True
    prediction = nothing(LINE)
    prediction[4] = True  # cols 0 to 4 are farther than 5 as a disc, 0 to 6 as a cross
    stroke = stroke_on(prediction, target_of(target), ERASE, tolerance=5.0, tolerance_tip=tip)
    assert stroke.path[:, 1].tolist() == expected


def test_the_longer_of_two_operations_wins_and_add_if_equal():
    target, prediction = nothing(LINE), nothing(LINE)
    target[0, :7] = prediction[8, :8] = True
    options = {"tolerance": 2.0}
    assert stroke_on(prediction, target_of(target), BOTH, **options).operation is Operation.ERASE
    target[0, 7] = True
    assert stroke_on(prediction, target_of(target), BOTH, **options).operation is Operation.ADD


def test_only_allowed_operations_are_drawn():
    target, prediction = nothing(LINE), nothing(LINE)
    target[0, :5] = prediction[8] = True
    assert stroke_on(prediction, target_of(target), ADD, tolerance=2).operation is Operation.ADD
    assert stroke_on(prediction, target_of(target), frozenset(), tolerance=2) is None


def test_nothing_is_drawn_outside_the_roi():
    roi = nothing(LINE)
    roi[:, :4] = True
    stroke = stroke_on(nothing(LINE), target_of(LINE, roi), ADD)
    assert stroke.path.tolist() == [[2, 2]]
    assert stroke_on(nothing(LINE), target_of(LINE, nothing(LINE)), BOTH) is None


@pytest.mark.parametrize("operation", list(Operation))
def test_a_stroke_is_not_repeated_where_the_same_hint_lies(operation):
    prediction = nothing(LINE) if operation is Operation.ADD else LINE
    target = target_of(LINE if operation is Operation.ADD else nothing(LINE))
    hints = nothing(LINE, np.int8)
    hints[:4] = operation
    stroke = stroke_on(prediction, target, BOTH, hints=hints)
    assert stroke.path.tolist() == [[6, 6]]
    hints[:4] = -operation
    assert stroke_on(prediction, target, BOTH, hints=hints).path[0, 0] == 2


def test_pieces_of_two_pixels_are_left_alone():
    target = drawing("....", ".##.", "....")
    assert stroke_on(nothing(target), target_of(target), BOTH) is None


def test_nothing_is_left_of_a_perfect_an_empty_and_a_near_prediction():
    target = target_of(LINE)
    assert stroke_on(LINE, target, BOTH) is None
    assert stroke_on(nothing(LINE), target_of(nothing(LINE)), BOTH) is None
    assert stroke_on(LINE, target, ERASE) is None


def test_full_target_and_full_prediction_are_worked_on():
    full = np.ones((40, 64), dtype=bool)
    assert stroke_on(nothing(full), target_of(full), BOTH).operation is Operation.ADD
    assert stroke_on(full, target_of(nothing(full)), BOTH).operation is Operation.ERASE


def test_length_is_at_most_what_the_option_says_and_whole_if_shorter():
    target = np.zeros((9, 40), dtype=bool)
    target[4, 2:35] = True
    for length in (1, 10, 11, 12):
        path = stroke_on(nothing(target), target_of(target), ADD, max_length=length).path
        assert len(path) == length
        assert np.array_equal(np.diff(path[:, 1]), np.ones(length - 1))
    assert len(stroke_on(nothing(target), target_of(target), ADD, max_length=99).path) == 31


def test_the_random_centre_reaches_every_part_of_a_segment():
    target = np.zeros((9, 40), dtype=bool)
    target[4] = True
    first = {
        int(stroke_on(nothing(target), target_of(target), ADD, seed=seed).path[0, 1])
        for seed in range(200)
    }
    assert first == set(range(1, 29))


def test_ten_pixels_are_drawn_whole():
    # The authors' code keeps a single one.
    target = np.zeros((5, 14), dtype=bool)
    target[2, 1:13] = True
    assert len(stroke_on(nothing(target), target_of(target), ADD).path) == 10


def test_a_bend_is_drawn_in_one_piece():
    # The authors' code cuts a V in raster order, which yields two pieces.
    rows = np.abs(np.arange(-14, 15))
    target = np.zeros((20, 33), dtype=bool)
    target[18 - rows, np.arange(29) + 2] = True
    for seed in range(20):
        path = stroke_on(nothing(target), target_of(target), ADD, seed=seed).path
        assert np.abs(np.diff(path, axis=0)).max() == 1


def test_width_comes_from_the_hook():
    class Wide(Longest):
        def _half_width(self, rng: np.random.Generator) -> float:
            return float(rng.uniform(5, 6))

    rng = np.random.default_rng(0)
    hints = nothing(LINE, np.int8)
    stroke = Wide().next_stroke(nothing(LINE), target_of(LINE), hints, operations=ADD, rng=rng)
    assert 5 <= stroke.half_width <= 6


def thick(width: int) -> np.ndarray:
    """A line from left to right, so many pixels wide."""
    mask = np.zeros((60, 200), dtype=bool)
    mask[30 - width // 2 : 30 - width // 2 + width, 20:180] = True
    return mask


@pytest.mark.parametrize("width", [1, 3, 9])
def test_a_pen_that_fits_marks_the_line_and_nothing_beside_it(width):
    target = target_of(thick(width))
    added = stroke_on(nothing(target.mask), target, ADD, half_width="line")
    assert added.half_width == (width + 1) / 2
    assert not (rasterise(added, target.mask.shape) & ~target.mask).any()
    erased = stroke_on(target.mask, target_of(nothing(target.mask)), ERASE, half_width="line")
    assert erased.half_width == (width + 1) / 2


def test_a_pen_that_fits_is_as_wide_as_most_of_what_is_added_and_all_of_what_is_erased():
    swelling = thick(3)
    swelling[:, 140:] |= thick(5)[:, 140:]
    swelling[:, 160:] |= thick(7)[:, 160:]
    empty = nothing(swelling)
    whole = {"max_length": 200, "half_width": "line"}
    assert stroke_on(empty, target_of(swelling), ADD, **whole).half_width == 2
    assert stroke_on(swelling, target_of(empty), ERASE, **whole).half_width == 4


def test_a_pen_that_fits_has_a_limit():
    tall = np.ones((400, 400), dtype=bool)
    tall[0] = False
    stroke = stroke_on(tall, target_of(nothing(tall)), ERASE, half_width="line")
    assert stroke.half_width == WIDEST


def test_options_refuse_what_cannot_be_drawn():
    for wrong in (
        {"max_length": 0},
        {"half_width": 0},
        {"half_width": "thin"},
        {"tolerance": -1},
        {"tip": "square"},
    ):
        with pytest.raises(ValidationError):
            LongestOptions(**wrong)


def test_shapes_must_agree():
    with pytest.raises(ShapeError, match=r"prediction has shape \(8, 9\), target \(9, 9\)"):
        stroke_on(LINE[1:], target_of(LINE), BOTH)
    with pytest.raises(ShapeError, match=r"hints has shape \(9, 8\), target \(9, 9\)"):
        stroke_on(LINE, target_of(LINE), BOTH, hints=np.zeros((9, 8), np.int8))


def test_what_is_kept_of_a_target_changes_nothing_and_is_let_go():
    simulator = Longest(LongestOptions(tolerance=1))
    hints = nothing(LINE, np.int8)
    prediction = LINE[::-1].copy()
    target = target_of(LINE)
    first = simulator.longest_errors(prediction, target, hints)
    again = simulator.longest_errors(prediction, target, hints)
    assert first[Operation.ERASE].tolist() == again[Operation.ERASE].tolist()
    copy = pickle.loads(pickle.dumps(simulator))
    third = copy.longest_errors(prediction, target, hints)
    assert third[Operation.ERASE].tolist() == first[Operation.ERASE].tolist()
    del target
    assert len(simulator._near) == 0


@st.composite
def pairs(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    masks = rng.random((2, *shape)) < draw(st.sampled_from([0.05, 0.2, 0.5, 0.9]))
    roi = rng.random(shape) < 0.8
    hints = rng.integers(-1, 2, shape).astype(np.int8)
    return masks[0], Target(masks[1], roi), hints, seed


@settings(deadline=None, max_examples=60)
@given(pairs())
def test_every_stroke_lies_on_an_open_error_in_one_piece(case):
    prediction, target, hints, seed = case
    for operation in Operation:
        stroke = Longest(LongestOptions(tolerance=2)).next_stroke(
            prediction,
            target,
            hints,
            operations=frozenset({operation}),
            rng=np.random.default_rng(seed),
        )
        if stroke is None:
            continue
        rows, cols = stroke.path.T
        assert target.roi[rows, cols].all()
        assert (hints[rows, cols] != operation).all()
        source = target.centreline if operation is Operation.ADD else centreline(prediction)
        assert source[rows, cols].all()
        assert not (operation is Operation.ADD and prediction[rows, cols].any())
        assert len(stroke.path) <= 11
        assert len(np.unique(stroke.path, axis=0)) == len(stroke.path)
        assert len(stroke.path) == 1 or np.abs(np.diff(stroke.path, axis=0)).max() == 1


@settings(deadline=None, max_examples=30)
@given(pairs())
def test_the_drawn_segment_is_the_longest(case):
    prediction, target, hints, _ = case
    errors = Longest().longest_errors(prediction, target, hints)
    open_ = target.centreline & ~prediction & target.roi & (hints != Operation.ADD)
    longest = max((len(segment) for segment in unbranched_segments(open_)), default=0)
    assert len(errors.get(Operation.ADD, ())) == longest


@settings(deadline=None, max_examples=30)
@given(pairs())
def test_drawing_until_nothing_is_left_ends(case):
    prediction, target, _, seed = case
    hints = np.zeros(prediction.shape, np.int8)
    rng = np.random.default_rng(seed)
    for _ in range(prediction.size + 1):
        stroke = Longest().next_stroke(prediction, target, hints, operations=ADD, rng=rng)
        if stroke is None:
            return
        hints = merge_hints(hints, stroke)
    pytest.fail("a stroke was repeated in vain")


def test_a_call_is_quick():
    rng = np.random.default_rng(0)
    mask = np.zeros((256, 256), dtype=bool)
    for row in range(8, 256, 16):
        mask[row : row + 3] = True
    prediction = mask & (rng.random((8, 8)) < 0.6).repeat(32, 0).repeat(32, 1)
    prediction |= mask.T
    simulator, target = Longest(), target_of(mask)
    hints = nothing(mask, np.int8)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        simulator.next_stroke(prediction, target, hints, operations=BOTH, rng=rng)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.010  # 3 ms on an idle core


@pytest.mark.data
@pytest.mark.parametrize(("stack", "width"), [("tile", 256), ("big", 1024)])
def test_longest_errors_are_the_authors(shared, stack, width):
    with np.load(shared / "reference" / "reference.npz") as reference:
        masks = {
            part: np.unpackbits(reference[f"{stack}_{part}"], axis=-1)[..., :width].astype(bool)
            for part in ("gt", "pred", "add_longest", "erase_longest")
        }
    simulator = Longest(LongestOptions(tolerance=9, tolerance_tip="cross"))
    for truth, prediction, add, erase in zip(*masks.values(), strict=True):
        errors = simulator.longest_errors(prediction, target_of(truth), nothing(truth, np.int8))
        for operation, expected in ((Operation.ADD, add), (Operation.ERASE, erase)):
            mine = nothing(truth)
            if operation in errors:
                mine[tuple(errors[operation].T)] = True
            assert np.array_equal(mine, expected)
