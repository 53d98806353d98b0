"""What must equal the authors' code does, on every stored case."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from linerefine import geometry, metrics
from linerefine.samples import Target

pytestmark = pytest.mark.data

every_size = pytest.mark.parametrize("size", ["tile", "big"])


def everywhere(lines):
    return Target(lines, np.ones_like(lines))


def cases(reference, size):
    names = reference[f"{size}_name"]
    assert len(names) == {"tile": 21, "big": 3}[size]
    return enumerate(names)


@every_size
@pytest.mark.parametrize(
    ("stored", "function", "argument"),
    [
        ("gt_thin", geometry.thin, "gt"),
        ("gt_skel", geometry.centreline, "gt"),
        ("pred_skel", geometry.centreline, "pred"),
        ("add_edges", geometry.segment_pixels, "fn_skel"),
        ("erase_edges", geometry.segment_pixels, "fp_skel"),
    ],
)
def test_skeletons_and_segment_pixels(reference, size, stored, function, argument):
    for number, name in cases(reference, size):
        ours = function(reference[f"{size}_{argument}"][number])
        assert np.array_equal(ours, reference[f"{size}_{stored}"][number]), name


@every_size
def test_missing_lines_are_the_targets_centreline_without_the_prediction(reference, size):
    for number, name in cases(reference, size):
        target, prediction = (reference[f"{size}_{kind}"][number] for kind in ("gt", "pred"))
        ours = everywhere(target).centreline & ~prediction
        assert np.array_equal(ours, reference[f"{size}_fn_skel"][number]), name


@every_size
def test_superfluous_lines_are_farther_than_nine_crosses_from_the_targets_centreline(
    reference, size
):
    nine_dilations = partial(geometry.dilate, half_width=10, tip="cross")
    for number, name in cases(reference, size):
        target, prediction = (reference[f"{size}_{kind}"][number] for kind in ("gt", "pred"))
        ours = geometry.centreline(prediction) & ~nine_dilations(geometry.centreline(target))
        assert np.array_equal(ours, reference[f"{size}_fp_skel"][number]), name


@every_size
@pytest.mark.parametrize(("operation", "errors"), [("add", "fn_skel"), ("erase", "fp_skel")])
def test_longest_pieces(reference, size, operation, errors):
    for number, name in cases(reference, size):
        expected = reference[f"{size}_{operation}_longest"][number]
        assert expected.sum() == reference[f"{size}_{operation}_longest_len"][number], name
        ours = np.zeros_like(expected)
        segment = geometry.longest_segment(reference[f"{size}_{errors}"][number])
        if segment is not None:
            ours[tuple(segment.T)] = True
            assert np.all(np.abs(np.diff(segment, axis=0)).max(axis=1) == 1), name
        assert np.array_equal(ours, expected), name


@every_size
def test_counters(reference, size):
    for number, name in cases(reference, size):
        target, prediction = (reference[f"{size}_{kind}"][number] for kind in ("gt", "pred"))
        ours = metrics.confusion(prediction, everywhere(target))
        ours += metrics.pseudo_counts(prediction, everywhere(target))
        keys = ("tp", "fp", "fn", "tn", "ptp", "nskel")
        assert ours == tuple(reference[f"{size}_{key}"][number] for key in keys), name


@every_size
@pytest.mark.parametrize(
    ("stored", "metric"), [("pfm", metrics.PseudoFMeasure()), ("fm", metrics.FMeasure())]
)
def test_scores_are_theirs_where_defined_and_theirs_are_zero_where_ours_are_nan(
    reference, size, stored, metric
):
    for number, name in cases(reference, size):
        target, prediction = (reference[f"{size}_{kind}"][number] for kind in ("gt", "pred"))
        score = metric.score(prediction, everywhere(target))
        double, single = (reference[f"{size}_{stored}{bits}"][number] for bits in ("64", ""))
        if target.any():
            assert abs(score - double) <= 1e-12, name
            assert score == pytest.approx(single, abs=1e-6), name
        else:
            assert np.isnan(score), name
            assert double == single == 0, name


@every_size
def test_scores_with_zero_division_zero_are_theirs_everywhere(reference, size):
    for number, name in cases(reference, size):
        tp, fp, fn, ptp, nskel = (
            int(reference[f"{size}_{key}"][number]) for key in ("tp", "fp", "fn", "ptp", "nskel")
        )
        pfm = metrics.pseudo_f_measure(tp, fp, ptp, nskel, zero_division=0)
        assert abs(pfm - reference[f"{size}_pfm64"][number]) <= 1e-12, name
        fm = metrics.f_measure(tp, fp, fn, zero_division=0)
        assert abs(fm - reference[f"{size}_fm64"][number]) <= 1e-12, name


def test_half_widths(reference):
    widths = [geometry.half_widths(drawing) for drawing in reference["tile_stroke_gt"]]
    assert len(widths) == 19
    squares = np.square(np.concatenate(widths))
    assert np.array_equal(np.rint(squares), reference["tile_stroke_d2"])
    assert np.abs(squares - np.rint(squares)).max() < 1e-9


def test_stroke_statistics(reference):
    widths = np.concatenate([geometry.half_widths(line) for line in reference["tile_stroke_gt"]])
    ours = geometry.width_statistics(widths)
    assert [ours.count, ours.kept] == reference["tile_stroke_n"].tolist()
    moments = [ours.mean, ours.sd, ours.kept_mean, ours.kept_sd]
    theirs = reference["tile_stroke_stats"]
    assert np.abs(moments - theirs[:4]).max() <= 1e-9
    # The fit is ill-conditioned: parameters loosely, the curve's mean and deviation tightly.
    fitted = np.array([ours.gamma_shape, ours.gamma_loc, ours.gamma_scale])
    assert fitted == pytest.approx(theirs[4:], rel=0.02)
    shape, loc, scale = theirs[4:]
    assert loc + shape * scale == pytest.approx(fitted[1] + fitted[0] * fitted[2], rel=1e-4)
    assert np.sqrt(shape) * scale == pytest.approx(np.sqrt(fitted[0]) * fitted[2], rel=1e-3)


def test_the_authors_blend_weights(reference):
    weights = geometry.paper_weights(256, 64)
    assert np.array_equal(weights[128], reference["weight_map_row0_128"])
    assert np.array_equal(np.diag(weights), reference["weight_map_diag"])
