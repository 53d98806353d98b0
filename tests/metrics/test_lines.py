"""Metrics of centrelines and topology: pictures one can read, slow references, laws."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from linerefine.errors import ShapeError
from linerefine.metrics import (
    Betti0Error,
    Betti1Error,
    CentrelineDistance,
    CentrelineDistance95,
    CentrelineF,
    ClDice,
    LengthBias,
    PathSimilarity,
    betti_numbers,
    length_bias,
)
from linerefine.metrics.centrelines import centreline_length, centrelines
from linerefine.metrics.distance import histogram, histogram_quantile
from linerefine.metrics.options import BettiOptions, CentrelineFOptions, PathOptions
from linerefine.samples import Target

from . import reference

METRICS = {
    "centreline_f": (CentrelineF(), reference.slow_centreline_f),
    "centreline_f, 0": (
        CentrelineF(CentrelineFOptions(tolerance=0)),
        lambda p, t: reference.slow_centreline_f(p, t, 0),
    ),
    "cldice": (ClDice(), reference.slow_cldice),
    "distance": (CentrelineDistance(), reference.slow_distance),
    "distance 95": (CentrelineDistance95(), reference.slow_distance_95),
    "betti0": (Betti0Error(), lambda p, t: reference.slow_betti_error(p, t, 0)),
    "betti1": (Betti1Error(), lambda p, t: reference.slow_betti_error(p, t, 1)),
    "betti0, windows": (
        Betti0Error(BettiOptions(window=5)),
        lambda p, t: reference.slow_betti_error(p, t, 0, 5),
    ),
    "betti1, windows": (
        Betti1Error(BettiOptions(window=5)),
        lambda p, t: reference.slow_betti_error(p, t, 1, 5),
    ),
    "length_bias": (LengthBias(), reference.slow_length_bias),
    "paths": (PathSimilarity(PathOptions(nodes=200)), reference.slow_path_similarity),
}
"""Each with its reference; at 200 nodes every pixel of these small images is one."""

every_metric = pytest.mark.parametrize(
    "metric", [metric for metric, _ in METRICS.values()], ids=METRICS
)


@st.composite
def triples(draw, edge=13):
    """Prediction, lines and ROI: strokes, noise, or one made from the other."""
    shape = draw(st.tuples(st.integers(1, edge), st.integers(1, edge)))
    lines = draw(arrays(np.bool_, shape) | strokes(shape))
    prediction = draw(st.one_of(arrays(np.bool_, shape), strokes(shape), st.just(lines.copy())))
    return prediction, lines, draw(st.just(np.ones(shape, dtype=bool)) | arrays(np.bool_, shape))


@st.composite
def strokes(draw, shape):
    """A few straight strokes, one to three pixels wide."""
    mask = np.zeros(shape, dtype=bool)
    for _ in range(draw(st.integers(0, 4))):
        ends = [draw(st.tuples(*(st.integers(0, size - 1) for size in shape))) for _ in range(2)]
        width = draw(st.integers(1, 3))
        for row, col in np.rint(np.linspace(*ends, 30)).astype(int):
            mask[row : row + width, col : col + width] = True
    return mask


def drawn(*rows):
    return np.array([[pixel != "." for pixel in row] for row in rows])


def everywhere(lines):
    return Target(lines, np.ones_like(lines))


def a_line():
    lines = np.zeros((9, 24), dtype=bool)
    lines[4, 2:22] = True
    return lines


def a_ring(hole=True):
    lines = np.zeros((11, 11), dtype=bool)
    lines[2:9, 2:9] = True
    lines[3:8, 3:8] = not hole
    return lines


# ---------------------------------------------------------------- against the references


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None, max_examples=60)
@given(masks=triples())
def test_scores_are_those_of_the_slow_reference(name, masks):
    prediction, lines, roi = masks
    metric, slow = METRICS[name]
    target = Target(lines, roi)
    score = metric.score(prediction, target)
    assert score == pytest.approx(slow(prediction, target), abs=1e-9, nan_ok=True)


# ---------------------------------------------------------------- laws


@every_metric
@settings(deadline=None, max_examples=40)
@given(masks=triples())
def test_nothing_beats_a_perfect_prediction(metric, masks):
    prediction, lines, roi = masks
    target = Target(lines, roi)
    best, score = metric.score(lines, target), metric.score(prediction, target)
    assert isnan(best) == isnan(score)
    assert isnan(best) or best == (1 if metric.higher_is_better else 0)
    assert isnan(best) or (score <= best if metric.higher_is_better else score >= best)


@every_metric
@settings(deadline=None, max_examples=40)
@given(masks=triples())
def test_what_lies_outside_the_roi_does_not_count(metric, masks):
    prediction, lines, roi = masks
    statistics = metric.measure(prediction, Target(lines, roi))
    for other in (prediction ^ ~roi, prediction & roi, prediction | ~roi):
        assert np.array_equal(metric.measure(other, Target(lines, roi)), statistics)
    assert np.array_equal(metric.measure(prediction, Target(lines ^ ~roi, roi)), statistics)


@every_metric
@settings(deadline=None, max_examples=40)
@given(masks=triples())
def test_statistics_are_finite_and_arguments_stay_as_they_are(metric, masks):
    prediction, lines, roi = masks
    before = [mask.copy() for mask in masks]
    statistics = metric.measure(prediction, Target(lines, roi))
    assert statistics.dtype == np.float64
    assert statistics.ndim == 1
    assert np.isfinite(statistics).all()
    assert isinstance(metric.reduce(statistics), float)
    assert statistics.shape == metric.measure(a_line(), everywhere(a_line())).shape
    assert all(np.array_equal(mask, old) for mask, old in zip(masks, before, strict=True))


@every_metric
@settings(deadline=None, max_examples=40)
@given(one=triples(), other=triples())
def test_pooled_scores_lie_between_those_of_the_parts(metric, one, other):
    # A harmonic mean of pooled shares may leave the range, so only what has one side is bounded.
    parts = [metric.measure(p, Target(lines, roi)) for p, lines, roi in (one, other)]
    scores = [metric.reduce(part) for part in parts]
    pooled = metric.reduce(parts[0] + parts[1])
    assert pooled == pytest.approx(metric.reduce(sum(reversed(parts))), nan_ok=True)
    assert isnan(pooled) == all(isnan(score) for score in scores)
    for part, score in zip(parts, scores, strict=True):
        assert metric.reduce(part + part + part) == pytest.approx(score, nan_ok=True)
    if isinstance(metric, (CentrelineDistance, CentrelineDistance95, Betti0Error, Betti1Error)):
        assert any(map(isnan, scores)) or min(scores) - 1e-9 <= pooled <= max(scores) + 1e-9


@settings(deadline=None, max_examples=40)
@given(one=triples(), other=triples())
def test_pooling_is_as_if_pixels_of_both_images_were_counted_together(one, other):
    pairs = [(p, Target(lines, roi)) for p, lines, roi in (one, other)]
    distances = [far for pair in pairs for far in reference.slow_distances(*pair)]
    if not any(reference.skeletons(*pair)[1] for pair in pairs):
        return
    expected = {
        CentrelineDistance(): np.mean(distances),
        CentrelineDistance95(): np.quantile(distances, 0.95, method="inverted_cdf"),
    }
    for metric, value in expected.items():
        statistics = sum(metric.measure(*pair) for pair in pairs)
        assert metric.reduce(statistics) == pytest.approx(value, abs=1e-9)


@every_metric
def test_they_are_not_additive_and_say_so(metric):
    assert not metric.is_additive


@every_metric
def test_statistics_of_another_metric_and_wrong_shapes_are_refused(metric):
    with pytest.raises(ShapeError, match=r"statistics have shape \(7,\), expected \(\d+,\)\."):
        metric.reduce(np.zeros(7))
    with pytest.raises(ShapeError, match=r"prediction has shape \(24, 9\) and type bool"):
        metric.score(a_line().T.copy(), everywhere(a_line()))


# ---------------------------------------------------------------- cases made by hand


@every_metric
def test_without_target_lines_the_score_is_undefined(metric):
    nothing, lines = np.zeros((9, 24), dtype=bool), a_line()
    assert isnan(metric.score(nothing, everywhere(nothing)))
    assert isnan(metric.score(lines, everywhere(nothing)))
    assert isnan(metric.score(lines, Target(lines, roi=nothing)))


@every_metric
def test_an_empty_prediction_is_the_worst_there_is(metric):
    lines, nothing = a_line(), np.zeros((9, 24), dtype=bool)
    score = metric.score(nothing, everywhere(lines))
    worst = {Betti0Error: 1, Betti1Error: 0, LengthBias: 1}
    if isinstance(metric, Betti0Error) and metric.measure(lines, everywhere(lines))[1] > 1:
        worst[Betti0Error] = 5 / 10  # five of ten windows hold a piece of the line
    if isinstance(metric, (CentrelineDistance, CentrelineDistance95)):
        assert score == pytest.approx(np.hypot(9, 24), rel=0.005)
    else:
        assert score == worst.get(type(metric), 0)


def scores(prediction, lines, roi=None):
    target = Target(lines, np.ones_like(lines) if roi is None else roi)
    return {
        name: metric.score(prediction, target)
        for name, (metric, _) in METRICS.items()
        if "," not in name
    }


def test_a_gap():
    lines = a_line()  # 20 pixels, 19 long
    broken = lines.copy()
    broken[4, 10:16] = False  # 8 pixels and 6; the middle two of the gap are farther than 2
    found = scores(broken, lines)
    assert found["centreline_f"] == pytest.approx(2 * 18 / 20 / (1 + 18 / 20))
    assert found["cldice"] == pytest.approx(2 * 14 / 20 / (1 + 14 / 20))
    assert found["distance"] == pytest.approx((1 + 2 + 3) * 2 / 34)
    assert found["distance 95"] == 3  # of 34 distances two are 3, and the 33rd is asked for
    assert (found["betti0"], found["betti1"]) == (1, 0)
    assert found["length_bias"] == pytest.approx(1 - (7 + 5) / 19)
    # Every way that crosses the gap is missed; the two pieces' own ways are all right.
    assert 0 < found["paths"] < 1


def test_a_spur():
    lines = a_line()
    spurred = lines.copy()
    spurred[5:9, 12] = True
    found = scores(spurred, lines)
    assert found["cldice"] < 1
    assert found["centreline_f"] < 1
    assert found["distance"] == pytest.approx((1 + 2 + 3 + 4) / 44)
    assert (found["betti0"], found["betti1"]) == (0, 0)
    assert found["length_bias"] == pytest.approx(4 / 19, abs=0.03)
    assert found["paths"] < 1


def test_a_ring_that_is_open():
    ring = a_ring()
    opened = ring.copy()
    opened[2, 5] = False
    found = scores(opened, ring)
    assert (found["betti0"], found["betti1"]) == (0, 1)
    assert found["centreline_f"] == 1  # a gap of one pixel is within the tolerance
    assert found["paths"] < 0.95  # but some ways now lead all around


def test_a_ring_that_is_filled():
    assert scores(a_ring(hole=False), a_ring())["betti1"] == 1


def test_a_shift_by_one_pixel():
    lines = a_line()
    found = scores(np.roll(lines, 1, axis=0), lines)
    assert found["centreline_f"] == 1
    assert found["cldice"] == 0
    assert found["distance"] == found["distance 95"] == 1
    assert found["paths"] == 1
    assert found["betti0"] == found["betti1"] == found["length_bias"] == 0
    exact = CentrelineF(CentrelineFOptions(tolerance=0.9))
    assert exact.score(np.roll(lines, 1, axis=0), everywhere(lines)) == 0


def test_errors_outside_the_roi_do_not_count():
    lines, roi = a_line(), np.ones((9, 24), dtype=bool)
    roi[:, 14:] = False
    wrong = lines.copy()
    wrong[:, 16] = True
    wrong[0, 18:] = True
    wrong[4, 20:] = False
    assert scores(wrong, lines, roi) == scores(lines, lines, roi)


def test_connectivity_of_pieces_and_holes():
    diagonal = drawn("#..", ".#.", "..#")
    assert betti_numbers(diagonal) == (1, 0)
    diamond = drawn(".#.", "#.#", ".#.")
    assert betti_numbers(diamond) == (1, 1)  # closed to a ground that goes in four directions
    assert betti_numbers(~diamond) == (1, 0)  # the corners touch the middle
    assert betti_numbers(np.ones((3, 3), dtype=bool)) == (1, 0)
    assert betti_numbers(np.zeros((3, 3), dtype=bool)) == (0, 0)


def test_windows_count_pieces_that_the_whole_image_joins():
    lines, apart = a_line(), a_line()
    apart[4, 11] = False
    apart[3, 2] = True  # no piece of its own
    whole, windows = Betti0Error(), Betti0Error(BettiOptions(window=12))
    assert whole.score(apart, everywhere(lines)) == 1
    # The gap lies where two windows meet: each holds one piece, as it should.
    assert windows.score(apart, everywhere(lines)) == 0


def test_windows_without_roi_are_left_out():
    lines, roi = a_line(), np.ones((9, 24), dtype=bool)
    roi[:, 12:] = False
    metric = Betti0Error(BettiOptions(window=12))
    assert metric.measure(lines, everywhere(lines))[1] == 2
    assert metric.measure(lines, Target(lines, roi))[1] == 1


def test_lengths_go_around_corners_and_along_diagonals():
    assert centreline_length(drawn("##", ".#")) == 2
    assert centreline_length(drawn("#.", ".#")) == sqrt(2)
    assert centreline_length(drawn("#..", ".##")) == 1 + sqrt(2)
    assert centreline_length(drawn("#")) == 0


def test_length_bias_has_a_sign_until_it_is_scored():
    assert length_bias(3.0, 4.0) == -0.25
    assert length_bias(5.0, 4.0) == 0.25
    assert isnan(length_bias(1.0, 0.0))


def test_the_shortest_of_two_ways_between_the_same_junctions_counts():
    # A lens: two junctions, joined by a straight way and by a longer one.
    lens = np.zeros((12, 24), dtype=bool)
    lens[8, 1:23] = True
    for step in range(6):
        lens[8 - step, 4 + step] = lens[8 - step, 19 - step] = True
    lens[3, 9:15] = True
    target = everywhere(lens)
    metric, slow = METRICS["paths"]
    flat = lens.copy()
    flat[:8] = False
    assert metric.score(lens, target) == 1
    assert metric.score(flat, target) == pytest.approx(slow(flat, target))
    assert metric.score(flat, target) < 1


@pytest.mark.parametrize("edge", [40, 150])
def test_control_nodes_are_few_and_the_same_every_time(edge):
    from linerefine.metrics.graphs import PixelGraph

    lines = np.zeros((edge, edge), dtype=bool)
    lines[::4, 1:-1] = True
    nodes = PixelGraph.of(lines).control_nodes(20)
    assert 20 <= len(nodes) <= 60
    assert np.array_equal(nodes, PixelGraph.of(lines.copy()).control_nodes(20))
    assert np.array_equal(nodes, np.unique(nodes))
    metric = PathSimilarity(PathOptions(nodes=20))
    assert metric.measure(lines, everywhere(lines))[1] >= 20 - 1


def test_ways_are_sought_between_fewer_nodes_on_noise():
    from linerefine.metrics.graphs import PixelGraph

    noise, other = np.random.default_rng(0).random((2, 512, 512)) < 0.6
    ours, theirs = (PixelGraph.of(lines) for lines in centrelines(noise, everywhere(other)))
    knots = ours.knots + theirs.knots
    assert knots > 100_000  # a net of lines over as many pixels has a few thousand
    metric = PathSimilarity(PathOptions(nodes=200))
    missed, expected, wrong, predicted = metric.measure(noise, everywhere(other))
    for error, ways in ((missed, expected), (wrong, predicted)):
        searches = (1 + sqrt(1 + 8 * ways)) / 2
        assert 4 <= searches <= 3 * 4_000_000 / knots
        assert 0 < error < ways
    assert metric.score(noise, everywhere(noise)) == 1


def test_knots_are_ends_and_crossings():
    from linerefine.metrics.graphs import PixelGraph

    cross = np.zeros((9, 9), dtype=bool)
    cross[4, 1:8] = cross[1:8, 4] = True
    ring = np.zeros((9, 9), dtype=bool)
    ring[2, 3:6] = ring[6, 3:6] = ring[3:6, 2] = ring[3:6, 6] = True
    assert [PixelGraph.of(lines).knots for lines in (cross, ring, ring & False)] == [5, 0, 0]


def test_many_tiny_lines_have_ways_too():
    dots = np.zeros((80, 80), dtype=bool)
    dots[::4, ::4] = dots[::4, 1::4] = True  # four hundred lines of two pixels
    dots[2::4, 2::4] = True  # and as many single ones
    missed, expected, _, _ = PathSimilarity(PathOptions(nodes=2)).measure(dots, everywhere(dots))
    assert (missed, expected) == (0, 2)


@given(st.lists(st.integers(0, 9_000_000), min_size=1, max_size=60), st.floats(0.01, 1))
def test_quantiles_of_the_histogram_are_those_of_the_distances(squares, share):
    distances = np.sqrt(np.array(squares, dtype=np.float64))
    quantile = histogram_quantile(histogram(distances), share)
    ordered = np.sort(distances)
    exact = ordered[int(np.ceil(share * len(ordered) * (1 - 1e-12))) - 1]
    assert quantile == pytest.approx(exact, rel=1e-12 if exact <= 32 else 0.0051)


def test_a_histogram_of_nothing_has_no_quantile():
    assert isnan(histogram_quantile(histogram(np.zeros(0)), 0.95))
