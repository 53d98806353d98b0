"""The ridge filter as a yardstick, and that drawn mirrors are beyond it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.filters import sato
from skimage.morphology import thin

from linerefine.errors import ShapeError
from linerefine.metrics import PseudoFMeasure
from linerefine.samples import Target
from linerefine_etruscan_mirrors.phantom import SETS, TEST_OBJECTS, draw_mirror
from linerefine_etruscan_mirrors.preprocessing import high_pass
from linerefine_etruscan_mirrors.ridge import RidgeScore, best_ridge_pfm


def valleys(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth with a few straight V-shaped valleys, what they cover, and everywhere."""
    rows = np.mgrid[:120, :160][0]
    away = np.min([np.abs(rows - row) for row in (20, 50, 90)], axis=0)
    depth = -np.maximum(1 - away / 4, 0).astype(np.float32)
    depth += noise * np.random.default_rng(0).standard_normal(depth.shape, dtype=np.float32)
    return depth, away < 3, np.ones(depth.shape, dtype=bool)


def test_plain_valleys_are_found() -> None:
    score = best_ridge_pfm(*valleys(0.02))
    assert score.pfm > 0.95
    assert score.pseudo_recall > 0.95


def test_ridges_are_not_taken_for_valleys() -> None:
    depth, target, roi = valleys(0.0)
    roi &= np.abs(np.mgrid[:120, :160][0] - 50) < 12
    assert best_ridge_pfm(-depth, target, roi, filters=("sato",)).pfm < 0.6


def test_score_is_that_of_the_metric_at_the_stated_threshold() -> None:
    depth, target, roi = valleys(0.5)
    roi[:, :30] = False
    score = best_ridge_pfm(depth, target, roi, filters=("sato",), scale_sets=((2.0,),))
    mean, sd = depth[roi].mean(), depth[roi].std()
    image = (np.clip(depth, mean - 3 * sd, mean + 3 * sd) - mean) / sd
    prediction = sato(image, sigmas=[2.0], black_ridges=True) >= score.threshold
    metric = PseudoFMeasure()
    assert score.pfm == pytest.approx(
        metric.reduce(metric.measure(prediction, Target(target, roi))), abs=1e-3
    )
    assert score.pseudo_recall == pytest.approx(
        (prediction & thin(target))[roi].sum() / thin(target)[roi].sum(), abs=1e-3
    )


def test_more_scales_and_filters_never_score_less() -> None:
    given = valleys(0.6)
    one = best_ridge_pfm(*given, filters=("sato",), scale_sets=((1.0,),))
    more = best_ridge_pfm(*given, filters=("sato",), scale_sets=((1.0,), (2.0,), (1.0, 2.0)))
    assert more.pfm >= one.pfm
    assert best_ridge_pfm(*given).pfm >= more.pfm


def test_undefined_without_target() -> None:
    depth, target, roi = valleys(0.1)
    assert np.isnan(best_ridge_pfm(depth, np.zeros_like(target), roi).pfm)


def test_shapes_must_agree() -> None:
    depth, target, roi = valleys(0.1)
    with pytest.raises(ShapeError, match=r"depth has shape \(120, 160\), target \(119, 160\)"):
        best_ridge_pfm(depth, target[1:], roi)


def ridge_of(name: str, **choice: object) -> RidgeScore:
    """Score of the ridge filter on a quick phantom, cut to the mirror."""
    (spec,) = (spec for spec in SETS["quick"] if spec.object_name == name)
    drawn = draw_mirror(
        spec.seed, spec.shape, spec.pixels_per_mm,
        engraving=spec.engraving, condition=spec.condition,
    )  # fmt: skip
    relief = high_pass(drawn.depth, spec.pixels_per_mm)
    left, top, width, height = cv2.boundingRect(drawn.mask.view(np.uint8))
    box = slice(top, top + height), slice(left, left + width)
    return best_ridge_pfm(relief[box], drawn.lines[box], drawn.mask[box], **choice)  # type: ignore[arg-type]


def test_ridge_filter_stays_below_a_half_on_a_test_phantom() -> None:
    assert 0.25 < ridge_of("PHANTOM-GOOD", filters=("sato",), scale_sets=((1.5,), (2.0,))).pfm < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", TEST_OBJECTS)
def test_no_ridge_filter_reaches_a_half_on_any_test_phantom(name: str) -> None:
    assert 0.25 < ridge_of(name).pfm < 0.5
