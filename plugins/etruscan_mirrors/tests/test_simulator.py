"""Strokes as wide as the training drawings' lines."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from linerefine.errors import DataError
from linerefine.samples import Target
from linerefine.testing import check_simulator, drawn_sample
from linerefine.types import Operation
from linerefine_etruscan_mirrors.options import PROTOCOLS, GammaStrokeOptions
from linerefine_etruscan_mirrors.simulator import GammaStroke

SHARED = Path(os.environ.get("LINEREFINE_SHARED", Path(__file__).parents[4] / "shared"))
REFERENCE = SHARED / "reference" / "reference.npz"


def target_of(mask: np.ndarray) -> Target:
    return Target(mask, np.ones_like(mask))


def bars(*widths: int) -> Target:
    """Horizontal bars, far apart, of given widths."""
    mask = np.zeros((40 * len(widths), 200), dtype=bool)
    for index, width in enumerate(widths):
        mask[40 * index + 5 : 40 * index + 5 + width, 10:190] = True
    return target_of(mask)


def stroke_of(simulator: GammaStroke, target: Target, seed: int = 0):
    nothing = np.zeros_like(target.mask)
    stroke = simulator.next_stroke(
        nothing,
        target,
        nothing.astype(np.int8),
        operations=frozenset({Operation.ADD}),
        rng=np.random.default_rng(seed),
    )
    assert stroke is not None
    return stroke


@pytest.mark.parametrize("mode", ["sampled", "mean", "narrow"])
def test_keeps_its_promises(mode: str) -> None:
    check_simulator(GammaStroke(GammaStrokeOptions(mode=mode)))


class TestWidths:
    def test_mean_is_as_wide_as_the_lines(self) -> None:
        simulator = GammaStroke(GammaStrokeOptions(mode="mean"))
        target = bars(5, 5, 5)
        simulator.prepare([target])
        assert stroke_of(simulator, target).half_width == pytest.approx(3.0, abs=0.1)

    def test_narrow_is_two_deviations_less(self) -> None:
        simulator = GammaStroke(GammaStrokeOptions(mode="narrow"))
        target = bars(9, 11, 13)
        simulator.prepare([target])
        known = simulator.statistics
        assert known is not None
        expected = known.kept_mean - 2 * known.kept_sd
        assert 1 < expected < known.kept_mean
        assert stroke_of(simulator, target).half_width == pytest.approx(expected)

    def test_narrow_never_vanishes(self) -> None:
        simulator = GammaStroke(GammaStrokeOptions(mode="narrow"))
        target = bars(1, 9)
        simulator.prepare([target])
        assert stroke_of(simulator, target).half_width == 1.0

    def test_sampled_follows_the_statistics(self) -> None:
        simulator = GammaStroke(GammaStrokeOptions(mode="sampled"))
        target = bars(5, 6, 7, 8, 9)
        simulator.prepare([target])
        drawn = [stroke_of(simulator, target, seed).half_width for seed in range(200)]
        known = simulator.statistics
        assert known is not None
        assert np.mean(drawn) == pytest.approx(known.kept_mean, rel=0.1)
        assert len(set(drawn)) > 100
        again = GammaStroke(GammaStrokeOptions(mode="sampled"))
        again.prepare([target])
        assert stroke_of(again, target, 5).half_width == drawn[5]

    def test_measures_pool_all_drawings(self) -> None:
        pooled, joined = GammaStroke(), GammaStroke()
        pooled.prepare([bars(5), bars(9)])
        joined.prepare([bars(5, 9)])
        assert pooled.notes() == pytest.approx(joined.notes())

    def test_notes_tell_the_statistics(self) -> None:
        simulator = GammaStroke(GammaStrokeOptions(mode="mean"))
        assert simulator.notes() == {}
        simulator.prepare([bars(5, 7)])
        notes = simulator.notes()
        assert {"kept_mean", "kept_sd", "gamma_shape", "half_width"} <= set(notes)
        assert all(isinstance(value, float) for value in notes.values())

    def test_without_measurement_a_stroke_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"before any drawing was measured\. Call prepare"):
            stroke_of(GammaStroke(), bars(5))

    def test_empty_drawings_are_refused(self) -> None:
        empty = target_of(np.zeros((20, 20), dtype=bool))
        with pytest.raises(DataError, match=r"none of the 2 training drawings holds a line"):
            GammaStroke().prepare([empty, empty])
        GammaStroke(GammaStrokeOptions(fixed_half_width=3)).prepare([empty])

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"fixed_half_width": 4.0}, 4.0),
            ({"mode": "mean", "mean": 6.0, "sd": 1.5}, 6.0),
            ({"mode": "narrow", "mean": 6.0, "sd": 1.5}, 3.0),
            ({"mode": "narrow", "mean": 2.0, "sd": 1.5, "least": 1.5}, 1.5),
            ({"mode": "sampled", "mean": 2.5, "sd": 0.0}, 2.5),
        ],
    )
    def test_widths_given_need_no_drawings(self, options: dict, expected: float) -> None:
        simulator = GammaStroke(GammaStrokeOptions(**options))
        assert stroke_of(simulator, bars(5)).half_width == pytest.approx(expected)

    def test_sampled_from_given_numbers_has_their_mean_and_deviation(self) -> None:
        simulator = GammaStroke(GammaStrokeOptions(mode="sampled", mean=6.0, sd=1.5))
        rng = np.random.default_rng(0)
        drawn = [simulator._half_width(rng) for _ in range(5000)]
        assert np.mean(drawn) == pytest.approx(6.0, abs=0.1)
        assert np.std(drawn) == pytest.approx(1.5, abs=0.1)


def test_mean_without_sd_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mean and sd go together"):
        GammaStrokeOptions(mean=3.0)


def test_the_paper_protocol_draws_seven_pixels_by_the_cross() -> None:
    options = PROTOCOLS["paper"]["simulator"]["options"]
    simulator = GammaStroke(GammaStrokeOptions(**options))
    stroke = stroke_of(simulator, bars(5))
    from linerefine.geometry.strokes import rasterise

    marked = rasterise(stroke, (40, 200))
    middle = stroke.path[len(stroke.path) // 2][1]
    assert marked[:, middle].sum() == 7
    assert simulator.options.tolerance == 9.0
    assert simulator.options.tolerance_tip == "cross"


def test_options_reach_the_strokes() -> None:
    simulator = GammaStroke(GammaStrokeOptions(fixed_half_width=2, max_length=5, tip="cross"))
    sample = drawn_sample("cross")
    assert sample.target is not None
    stroke = stroke_of(simulator, sample.target)
    assert len(stroke.path) == 5
    assert stroke.tip == "cross"


@pytest.mark.data
@pytest.mark.skipif(not REFERENCE.is_file(), reason=f"reference values not found at {REFERENCE}")
def test_statistics_are_the_authors() -> None:
    with np.load(REFERENCE) as reference:
        packed = reference["tile_stroke_gt"]
        masks = np.unpackbits(packed, axis=-1)[..., :256].astype(bool)
        counts, expected = reference["tile_stroke_n"], reference["tile_stroke_stats"]
    simulator = GammaStroke()
    simulator.prepare(target_of(mask) for mask in masks)
    known = simulator.statistics
    assert known is not None
    assert [known.count, known.kept] == counts.tolist()
    found = [known.mean, known.sd, known.kept_mean, known.kept_sd]
    np.testing.assert_allclose(found, expected[:4], atol=1e-9)
