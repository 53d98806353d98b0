"""Counts against a slow, obvious loop; formulas at their edges."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from linerefine.errors import ShapeError
from linerefine.metrics import (
    confusion,
    dice,
    f_measure,
    iou,
    pseudo_counts,
    pseudo_f_measure,
)
from linerefine.samples import Target

counts = st.integers(0, 1000)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@st.composite
def triples(draw):
    shape = draw(shapes)
    return tuple(draw(arrays(np.bool_, shape)) for _ in range(3))


@settings(deadline=None)
@given(triples())
def test_confusion_counts_every_pixel_of_the_roi_once(masks):
    prediction, lines, roi = masks
    expected = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for predicted, line, inside in zip(*(mask.ravel() for mask in masks), strict=True):
        if inside:
            key = ("t" if predicted == line else "f") + ("p" if predicted else "n")
            expected[key] += 1
    found = confusion(prediction, Target(lines, roi))
    assert found == tuple(expected.values())
    assert {type(count) for count in found} == {int}
    assert sum(found) == roi.sum()


@settings(deadline=None)
@given(triples())
def test_pseudo_counts_are_of_the_thinned_target(masks):
    prediction, lines, roi = masks
    target = Target(lines, roi)
    expected = [0, 0]
    for row, col in np.argwhere(target.thinned):
        if roi[row, col]:
            expected = [expected[0] + int(prediction[row, col]), expected[1] + 1]
    found = pseudo_counts(prediction, target)
    assert list(found) == expected
    assert {type(count) for count in found} == {int}


@settings(deadline=None)
@given(triples(), st.sampled_from([np.flipud, np.fliplr, np.transpose]))
def test_turning_both_masks_leaves_pixel_counts_unchanged(masks, turned):
    # Not so pseudo-counts: thinning does not commute with flips.
    prediction, lines, roi = masks
    straight = confusion(prediction, Target(lines, roi))
    assert straight == confusion(turned(prediction), Target(turned(lines), turned(roi)))


@pytest.mark.parametrize("count", [confusion, pseudo_counts])
def test_predictions_must_fit_the_target(count):
    mask = np.ones((3, 4), dtype=bool)
    target = Target(mask, mask)
    message = r"prediction has shape \(4, 3\) and type bool, expected \(3, 4\) and bool as the"
    with pytest.raises(ShapeError, match=message):
        count(mask.T, target)
    with pytest.raises(ShapeError, match=r"prediction has shape \(3, 4\) and type float64"):
        count(mask.astype(float), target)


@given(counts, counts, counts)
def test_overlap_formulas_are_their_definitions(tp, fp, fn):
    if tp + fn == 0:
        assert all(isnan(formula(tp, fp, fn)) for formula in (iou, dice, f_measure))
        return
    assert iou(tp, fp, fn) == tp / (tp + fp + fn)
    assert dice(tp, fp, fn) == 2 * tp / (2 * tp + fp + fn)
    assert f_measure(tp, fp, fn) == pytest.approx(dice(tp, fp, fn))
    assert dice(tp, fp, fn) == pytest.approx(2 * iou(tp, fp, fn) / (1 + iou(tp, fp, fn)))


@given(counts, counts, st.integers(0, 50), st.integers(0, 50))
def test_pseudo_f_measure_is_the_harmonic_mean_of_precision_and_pseudo_recall(tp, fp, ptp, missed):
    score = pseudo_f_measure(tp, fp, ptp, ptp + missed)
    if ptp + missed == 0:
        assert isnan(score)
    elif tp == 0 or ptp == 0:
        assert score == 0
    else:
        precision, recall = tp / (tp + fp), ptp / (ptp + missed)
        assert score == pytest.approx(2 / (1 / precision + 1 / recall))
        assert 0 < score <= 1


@pytest.mark.parametrize("formula", [iou, dice, f_measure])
def test_overlap_at_the_edges(formula):
    assert isnan(formula(0, 0, 0))  # both masks empty
    assert isnan(formula(0, 5, 0))  # empty target
    assert formula(0, 0, 5) == 0  # empty prediction
    assert formula(0, 3, 5) == 0  # disjoint masks
    assert formula(5, 0, 0) == 1
    assert formula(0, 5, 0, zero_division=0.0) == 0


def test_pseudo_f_measure_at_the_edges():
    assert isnan(pseudo_f_measure(0, 0, 0, 0))  # both masks empty
    assert isnan(pseudo_f_measure(0, 5, 0, 0))  # empty target
    assert pseudo_f_measure(0, 0, 0, 5) == 0  # empty prediction
    assert pseudo_f_measure(0, 3, 0, 5) == 0  # disjoint masks
    assert pseudo_f_measure(9, 0, 5, 5) == 1
    assert pseudo_f_measure(0, 0, 0, 0, zero_division=0.0) == 0


@pytest.mark.parametrize("formula", [iou, dice, f_measure])
@pytest.mark.parametrize("value", [0.0, 1.0, nan])
def test_zero_division_is_used_only_where_undefined(formula, value):
    assert formula(0, 3, 0, zero_division=value) == pytest.approx(value, nan_ok=True)
    assert formula(0, 0, 4, zero_division=value) == 0
    assert pseudo_f_measure(0, 0, 0, 4, zero_division=value) == 0
