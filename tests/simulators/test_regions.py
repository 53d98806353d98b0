"""The simulators `clicks` and `scribbles`: hand-worked cases and laws."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import distance_transform_edt, label

from linerefine.errors import ShapeError
from linerefine.geometry.centreline import centreline
from linerefine.geometry.hints import merge_hints
from linerefine.samples import Target
from linerefine.simulators.clicks import Clicks, ClicksOptions
from linerefine.simulators.scribbles import Scribbles, ScribblesOptions
from linerefine.types import Operation

ADD, ERASE = frozenset({Operation.ADD}), frozenset({Operation.ERASE})
BOTH = ADD | ERASE
KINDS = {"clicks": (Clicks, ClicksOptions), "scribbles": (Scribbles, ScribblesOptions)}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def drawing(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def target_of(mask: np.ndarray, roi: np.ndarray | None = None) -> Target:
    return Target(mask, np.ones_like(mask) if roi is None else roi)


def nothing(mask: np.ndarray, dtype: type = bool) -> np.ndarray:
    return np.zeros(mask.shape, dtype)


def stroke_on(kind, prediction, target, operations, *, hints=None, seed=0, **options):
    simulator, model = KINDS[kind]
    hints = nothing(target.mask, np.int8) if hints is None else hints
    return simulator(model(**{"least_pixels": 1} | options)).next_stroke(
        prediction, target, hints, operations=operations, rng=np.random.default_rng(seed)
    )


BLOBS = drawing(
    "##.......",
    "##.......",
    "....#####",
    "....#####",
    "....#####",
    "....#####",
    "....#####",
    ".........",
    ".........",
)
LINE = drawing(
    ".........",
    ".########",
    ".########",
    ".########",
    ".........",
    ".........",
    "......#..",
    "......#..",
    ".........",
)


class TestClicks:
    @pytest.mark.parametrize("operation", list(Operation))
    def test_the_dot_lies_where_the_largest_region_is_deepest(self, operation):
        is_add = operation is Operation.ADD
        prediction, mask = (nothing(BLOBS), BLOBS) if is_add else (BLOBS, nothing(BLOBS))
        stroke = stroke_on("clicks", prediction, target_of(mask), BOTH)
        assert stroke.operation is operation
        assert stroke.path.tolist() == [[4, 6]]
        assert (stroke.half_width, stroke.tip) == (3.5, "disc")

    def test_the_edge_of_the_image_is_a_border(self):
        full = np.ones((9, 9), dtype=bool)
        path = stroke_on("clicks", full, target_of(nothing(full)), ERASE).path
        assert path.tolist() == [[4, 4]]

    def test_of_equally_deep_pixels_any_may_be_drawn(self):
        mask = np.zeros((9, 9), dtype=bool)
        mask[4, 1:8] = True
        drawn = {
            tuple(stroke_on("clicks", nothing(mask), target_of(mask), ADD, seed=seed).path[0])
            for seed in range(100)
        }
        assert drawn == {(4, col) for col in range(1, 8)}

    def test_what_is_hinted_already_is_no_error(self):
        hints = nothing(BLOBS, np.int8)
        hints[2:7, 4:9] = Operation.ADD
        target = target_of(BLOBS)
        assert stroke_on("clicks", nothing(BLOBS), target, ADD, hints=hints).path.max() <= 1
        hints[2:7, 4:9] = Operation.ERASE
        path = stroke_on("clicks", nothing(BLOBS), target, ADD, hints=hints).path
        assert path.tolist() == [[4, 6]]


class TestScribbles:
    def test_the_middle_of_the_region_is_drawn_from_end_to_end(self):
        stroke = stroke_on("scribbles", nothing(LINE), target_of(LINE), ADD)
        assert stroke.path.tolist() == [[2, col] for col in range(2, 7)]

    def test_what_is_superfluous_is_drawn_too(self):
        stroke = stroke_on("scribbles", LINE, target_of(nothing(LINE)), BOTH)
        assert stroke.operation is Operation.ERASE
        assert set(stroke.path[:, 0]) == {2}

    def test_a_region_without_a_segment_gets_a_dot(self):
        mask = drawing(".........", "...##....", "...##....", ".........")
        path = stroke_on("scribbles", nothing(mask), target_of(mask), ADD).path
        assert len(path) == 1
        assert mask[tuple(path[0])]

    @pytest.mark.parametrize(("longest", "expected"), [(5, 5), (40, 40), (1000, 198)])
    def test_a_scribble_is_no_longer_than_the_option_says(self, longest, expected):
        mask = np.zeros((9, 200), dtype=bool)
        mask[4] = True
        path = stroke_on("scribbles", ~(~mask), target_of(nothing(mask)), ERASE).path
        assert len(path) == 100
        options = {"max_length": longest}
        path = stroke_on("scribbles", nothing(mask), target_of(mask), ADD, **options).path
        assert len(path) == expected
        assert (np.diff(path[:, 1]) == 1).all()

    def test_every_part_of_a_long_line_is_drawn_some_time(self):
        mask = np.zeros((5, 40), dtype=bool)
        mask[2] = True
        starts = {
            int(stroke_on("scribbles", nothing(mask), target_of(mask), ADD, **o).path[0, 1])
            for o in ({"max_length": 10, "seed": seed} for seed in range(200))
        }
        assert starts == set(range(1, 30))


def test_a_rim_along_a_line_that_is_predicted_too_thin_is_no_missing_line(kind):
    thin = centreline(LINE)
    assert stroke_on(kind, thin, target_of(LINE), ADD, least_pixels=3) is None
    gap = LINE.copy()
    gap[:, 5] = False
    path = stroke_on(kind, gap, target_of(LINE), ADD, least_pixels=3).path
    assert set(path[:, 1]) == {5}


def test_erasing_spares_what_is_near_the_target_or_on_it(kind):
    mask = np.zeros((30, 30), dtype=bool)
    mask[2:23] = True  # its centreline is ten pixels from its edges
    prediction = mask.copy()
    prediction[23:25] = True
    target = target_of(mask)
    assert stroke_on(kind, mask, target, ERASE, tolerance=2) is None
    assert stroke_on(kind, prediction, target, ERASE, tolerance=20) is None
    assert stroke_on(kind, prediction, target, ERASE, tolerance=2).path[:, 0].min() >= 23


def test_the_larger_of_two_operations_wins_and_add_if_equal(kind):
    mask, prediction = nothing(LINE), nothing(LINE)
    mask[0, :7] = prediction[8, :8] = True
    options = {"tolerance": 2.0}
    target = target_of(mask)
    assert stroke_on(kind, prediction, target, BOTH, **options).operation is Operation.ERASE
    assert stroke_on(kind, prediction, target, ADD, **options).operation is Operation.ADD
    mask[0, 7] = True
    target = target_of(mask)
    assert stroke_on(kind, prediction, target, BOTH, **options).operation is Operation.ADD
    assert stroke_on(kind, prediction, target, frozenset(), **options) is None


def test_small_regions_are_left_alone(kind):
    assert stroke_on(kind, nothing(BLOBS), target_of(BLOBS), ADD, least_pixels=25) is not None
    assert stroke_on(kind, nothing(BLOBS), target_of(BLOBS), ADD, least_pixels=26) is None
    hints = nothing(BLOBS, np.int8)
    hints[2:7, 4:9] = Operation.ADD  # leaves the one of four
    given = {"hints": hints, "least_pixels": 5}
    assert stroke_on(kind, nothing(BLOBS), target_of(BLOBS), ADD, **given) is None


def test_nothing_is_drawn_outside_the_roi(kind):
    roi = nothing(LINE)
    roi[:, :4] = True
    path = stroke_on(kind, nothing(LINE), target_of(LINE, roi), ADD).path
    assert roi[tuple(path.T)].all()
    assert stroke_on(kind, nothing(LINE), target_of(LINE, nothing(LINE)), BOTH) is None


def test_shapes_must_agree(kind):
    with pytest.raises(ShapeError, match=r"prediction has shape \(8, 9\), target \(9, 9\)"):
        stroke_on(kind, LINE[1:], target_of(LINE), BOTH)
    with pytest.raises(ShapeError, match=r"hints has shape \(9, 8\), target \(9, 9\)"):
        stroke_on(kind, LINE, target_of(LINE), BOTH, hints=np.zeros((9, 8), np.int8))


def test_options_refuse_what_cannot_be_drawn():
    wrong = {"half_width": 0}, {"tolerance": -1}, {"tip": "square"}, {"least_pixels": 0}
    for options in wrong:
        for _, model in KINDS.values():
            with pytest.raises(ValidationError):
                model(**options)
    with pytest.raises(ValidationError):
        ScribblesOptions(max_length=0)


def test_a_copy_from_another_process_draws_the_same(kind):
    simulator = KINDS[kind][0]()
    target, hints = target_of(nothing(LINE)), nothing(LINE, np.int8)
    wide = np.ones_like(LINE)
    strokes = [
        each.next_stroke(wide, target, hints, operations=BOTH, rng=np.random.default_rng(3))
        for each in (simulator, simulator, pickle.loads(pickle.dumps(simulator)))
    ]
    assert len({str(stroke.to_dict()) for stroke in strokes}) == 1


@st.composite
def pairs(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    masks = rng.random((2, *shape)) < draw(st.sampled_from([0.05, 0.2, 0.5, 0.9]))
    roi = rng.random(shape) < 0.8
    hints = rng.integers(-1, 2, shape).astype(np.int8)
    return masks[0], Target(masks[1], roi), hints, seed


def open_regions(prediction, target, hints, operation, tolerance):
    """Return the regions that count, the slow way, as masks in raster order."""
    if operation is Operation.ADD:
        wrong, counted = target.mask & ~prediction, target.centreline
    else:
        near = nothing(prediction)
        if target.centreline.any():
            near = distance_transform_edt(~target.centreline) <= tolerance
        wrong = counted = prediction & ~target.mask & ~near
    labels, count = label(wrong & target.roi & (hints != operation), np.ones((3, 3)))
    regions = [labels == number for number in range(1, count + 1)]
    return [region for region in regions if (region & counted).any()]


@settings(deadline=None, max_examples=80)
@given(pairs(), st.sampled_from(sorted(KINDS)), st.sampled_from([1, 4]))
def test_every_stroke_lies_in_the_largest_region(case, kind, least):
    prediction, target, hints, seed = case
    for operation in Operation:
        regions = open_regions(prediction, target, hints, operation, 2)
        sizes = [int(region.sum()) for region in regions]
        given = {"hints": hints, "seed": seed, "tolerance": 2, "least_pixels": least}
        stroke = stroke_on(kind, prediction, target, frozenset({operation}), **given)
        if max(sizes, default=0) < least:
            assert stroke is None
            continue
        rows, cols = stroke.path.T
        (region,) = [region for region in regions if region[rows[0], cols[0]]]
        assert region.sum() == max(sizes)
        assert region[rows, cols].all()
        assert len(np.unique(stroke.path, axis=0)) == len(stroke.path)
        assert len(stroke.path) == 1 or np.abs(np.diff(stroke.path, axis=0)).max() == 1
        if kind == "clicks":
            depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
            assert len(stroke.path) == 1
            assert depth[rows[0], cols[0]] == depth.max()


@settings(deadline=None, max_examples=30)
@given(pairs(), st.sampled_from(sorted(KINDS)))
def test_drawing_until_nothing_is_left_ends(case, kind):
    prediction, target, hints, seed = case
    hints = nothing(prediction, np.int8)
    for step in range(prediction.size + 1):
        given = {"hints": hints, "seed": seed + step, "half_width": 1}
        stroke = stroke_on(kind, prediction, target, ADD, **given)
        if stroke is None:
            return
        hints = merge_hints(hints, stroke)
    pytest.fail("a stroke was repeated in vain")


def test_a_call_is_quick(kind):
    rng = np.random.default_rng(0)
    mask = np.zeros((256, 256), dtype=bool)
    for row in range(8, 256, 16):
        mask[row : row + 3] = True
    prediction = mask & (rng.random((8, 8)) < 0.6).repeat(32, 0).repeat(32, 1)
    prediction[:, 100:104] = True
    simulator, target = KINDS[kind][0](), target_of(mask)
    hints = nothing(mask, np.int8)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        simulator.next_stroke(prediction, target, hints, operations=BOTH, rng=rng)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.002  # a fifth of a millisecond on an idle core
