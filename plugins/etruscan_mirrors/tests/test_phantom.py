"""Drawn mirrors: what a whole scan looks like."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import disk, skeletonize

from linerefine.errors import ConfigError
from linerefine_etruscan_mirrors.phantom import (
    CONDITIONS,
    FULL_PIXELS_PER_MM,
    Condition,
    Engraving,
    Phantom,
    WidthModel,
    draw_mirror,
)
from linerefine_etruscan_mirrors.phantom.placement import place, silhouette
from linerefine_etruscan_mirrors.phantom.surroundings import rule

SHAPE, RESOLUTION = (400, 500), 10.0

PRISTINE = Condition(
    wear=0, gaps=0, scratches=0, nicks=0, creases=0, cracks=0, pits=0, abrasion=0, corrosion=0,
    chips=0, grain=0, noise=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return draw_mirror(3, SHAPE, RESOLUTION)


@pytest.fixture(scope="module")
def pristine() -> Phantom:
    return draw_mirror(3, SHAPE, RESOLUTION, condition=PRISTINE)


def without_drift(channel: np.ndarray) -> np.ndarray:
    return channel - cv2.GaussianBlur(channel, (0, 0), RESOLUTION, borderType=cv2.BORDER_REPLICATE)


def high_pass(phantom: Phantom) -> np.ndarray:
    return without_drift(phantom.depth)


def inside(phantom: Phantom, margin_mm: float) -> np.ndarray:
    """The mirror without its rim."""
    distance = cv2.distanceTransform(phantom.mask.view(np.uint8), cv2.DIST_L2, 5)
    return distance > margin_mm * phantom.pixels_per_mm


def arrays(phantom: Phantom) -> list[np.ndarray]:
    return [phantom.depth, phantom.normals, phantom.albedo, phantom.lines, phantom.mask]


class TestChannels:
    def test_shapes_and_types(self, phantom: Phantom) -> None:
        assert phantom.depth.shape == phantom.albedo.shape == SHAPE
        assert phantom.normals.shape == (3, *SHAPE)
        assert phantom.lines.shape == phantom.mask.shape == SHAPE
        assert {array.dtype.name for array in arrays(phantom)} == {"float32", "bool"}
        assert all(np.isfinite(array).all() for array in arrays(phantom))

    def test_albedo_is_a_share(self, phantom: Phantom) -> None:
        assert phantom.albedo.min() >= 0
        assert phantom.albedo.max() <= 1

    def test_normals_have_unit_length_and_face_the_camera(self, phantom: Phantom) -> None:
        length = np.sqrt(np.square(phantom.normals).sum(axis=0))
        np.testing.assert_allclose(length, 1, atol=1e-3)
        assert phantom.normals[2].min() > 0

    @pytest.mark.parametrize(("component", "axis", "sign"), [(0, 1, -1), (1, 0, 1)])
    def test_normals_are_those_of_the_depth(
        self, pristine: Phantom, component: int, axis: int, sign: int
    ) -> None:
        # Without what bends the depth alone.
        slope = without_drift(sign * np.gradient(pristine.depth, axis=axis))
        from_normals = without_drift(pristine.normals[component] / pristine.normals[2])
        near = inside(pristine, 2.0) & cv2.dilate(pristine.lines.view(np.uint8), disk(4)).view(bool)
        assert np.corrcoef(slope[near], from_normals[near])[0, 1] > 0.97
        assert np.polyfit(slope[near], from_normals[near], 1)[0] == pytest.approx(1, abs=0.05)

    def test_depth_is_bent_far_more_than_grooves_are_deep(self, phantom: Phantom) -> None:
        smooth = cv2.GaussianBlur(phantom.depth, (0, 0), 3 * phantom.pixels_per_mm)
        bent = np.ptp(smooth[inside(phantom, 2.0)])
        assert bent > 10 * high_pass(phantom)[inside(phantom, 2.0)].std()

    def test_grooves_are_darker_than_their_surroundings(self, pristine: Phantom) -> None:
        on, off = lines_and_ring(pristine)
        assert pristine.albedo[on].mean() < pristine.albedo[off].mean() - 0.01


def lines_and_ring(phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
    field = inside(phantom, 2.5)
    wide, wider = (
        cv2.dilate(phantom.lines.view(np.uint8), disk(radius)).view(bool) for radius in (4, 9)
    )
    return phantom.lines & field, wider & ~wide & field


class TestLines:
    def test_lines_are_cut_into_the_surface(self, pristine: Phantom) -> None:
        relief = high_pass(pristine)
        on, off = lines_and_ring(pristine)
        spine = skeletonize(pristine.lines) & on
        assert np.mean(relief[spine] < relief[off].mean()) > 0.8
        assert relief[spine].mean() < relief[off].mean() - 0.03 * RESOLUTION

    def test_damage_does_not_move_the_drawing(self, pristine: Phantom) -> None:
        worn = draw_mirror(3, SHAPE, RESOLUTION, condition=replace(CONDITIONS["worn"], chips=0))
        np.testing.assert_array_equal(worn.lines, pristine.lines)

    def test_wear_makes_grooves_shallower(self, pristine: Phantom) -> None:
        worn = draw_mirror(3, SHAPE, RESOLUTION, condition=replace(PRISTINE, wear=0.6, gaps=0.2))
        on, off = lines_and_ring(pristine)
        depths = [high_pass(each)[off].mean() - high_pass(each)[on].mean()
                  for each in (pristine, worn)]  # fmt: skip
        assert depths[1] < 0.7 * depths[0]
        assert depths[1] > 0.1 * depths[0]

    @pytest.mark.parametrize("resolution", [FULL_PIXELS_PER_MM / 2, FULL_PIXELS_PER_MM])
    def test_half_widths_follow_the_gamma_distribution(self, resolution: float) -> None:
        drawn = draw_mirror(
            4, (1000, 1000), resolution, engraving=Engraving(1, ("scales",), 2, 2),
            condition=PRISTINE,
        )  # fmt: skip
        distance = cv2.distanceTransform(
            drawn.lines.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        found = distance[skeletonize(drawn.lines)]
        kept = found[np.abs(found - found.mean()) < 2 * found.std()]
        scale = resolution / FULL_PIXELS_PER_MM
        assert kept.mean() == pytest.approx(6.194 * scale, rel=0.08)
        assert kept.std() == pytest.approx(1.494 * scale, rel=0.3)

    def test_another_width_model_is_followed(self) -> None:
        drawn = [
            draw_mirror(4, SHAPE, RESOLUTION, condition=PRISTINE, widths=WidthModel(loc=loc)).lines
            for loc in (-4.27884, 0.0)
        ]
        assert drawn[1].sum() > 1.2 * drawn[0].sum()


class TestSurroundings:
    def test_lines_lie_on_the_mirror(self, phantom: Phantom) -> None:
        assert phantom.lines.any()
        assert not (phantom.lines & ~phantom.mask).any()

    def test_mirror_is_one_piece_away_from_the_border(self, phantom: Phantom) -> None:
        count, _ = cv2.connectedComponents(phantom.mask.view(np.uint8))
        assert count == 2
        frame = np.ones(SHAPE, dtype=bool)
        frame[3:-3, 3:-3] = False
        assert not (phantom.mask & frame).any()
        assert 0.3 < phantom.mask.mean() < 0.6

    @pytest.mark.parametrize("seed", range(8))
    def test_ruler_lies_beside_the_mirror(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        placement = place((1344, 1792), 19.75, rng)
        top, left, bottom, right = rule(placement)
        assert not silhouette(placement, 6, rng)[top:bottom, left:right].any()

    def test_ruler_and_holders_are_edges_outside_the_mirror(self, phantom: Phantom) -> None:
        relief = np.abs(high_pass(phantom))
        assert np.mean(relief[~phantom.mask] > 2 * relief[phantom.mask].mean()) > 0.02

    @pytest.mark.parametrize("shape", [(400, 300), (350, 350)])
    def test_mirror_fits_any_format(self, shape: tuple[int, int]) -> None:
        drawn = draw_mirror(0, shape, RESOLUTION)
        assert drawn.depth.shape == shape
        assert 0.25 < drawn.mask.mean() < 0.65
        assert drawn.lines.any()


class TestRepeating:
    def test_same_seed_gives_the_same_pixels(self, phantom: Phantom) -> None:
        for first, second in zip(
            arrays(phantom), arrays(draw_mirror(3, SHAPE, RESOLUTION)), strict=True
        ):
            np.testing.assert_array_equal(first, second)

    def test_another_seed_gives_others(self, phantom: Phantom) -> None:
        other = draw_mirror(4, SHAPE, RESOLUTION)
        assert (other.lines != phantom.lines).mean() > 0.01
        assert (other.depth != phantom.depth).mean() > 0.9

    def test_threads_do_not_matter(self, phantom: Phantom) -> None:
        before = cv2.getNumThreads()
        try:
            cv2.setNumThreads(1 if before > 1 else 3)
            again = draw_mirror(3, SHAPE, RESOLUTION)
        finally:
            cv2.setNumThreads(before)
        for first, second in zip(arrays(phantom), arrays(again), strict=True):
            np.testing.assert_array_equal(first, second)

    def test_global_random_state_is_left_alone(self) -> None:
        before = np.random.get_state()[1].copy()
        draw_mirror(0, (300, 300), RESOLUTION)
        np.testing.assert_array_equal(np.random.get_state()[1], before)


class TestLimits:
    @pytest.mark.parametrize("shape", [(255, 900), (6717, 8964), (6716, 8965)])
    def test_size_out_of_range_is_refused(self, shape: tuple[int, int]) -> None:
        with pytest.raises(ConfigError, match=r"drawn mirror has shape .* expected 256 pixels"):
            draw_mirror(0, shape, 20.0)

    @pytest.mark.parametrize("resolution", [0.0, 3.9, 101.0, float("nan")])
    def test_resolution_out_of_range_is_refused(self, resolution: float) -> None:
        with pytest.raises(ConfigError, match="pixels per mm, expected 4 to 100"):
            draw_mirror(0, (300, 300), resolution)

    @settings(deadline=None, max_examples=6)
    @given(
        seed=st.integers(0, 2**32),
        rows=st.integers(256, 420),
        cols=st.integers(256, 420),
        condition=st.sampled_from(sorted(CONDITIONS)),
        figures=st.integers(0, 4),
    )
    def test_anything_in_range_can_be_drawn(
        self, seed: int, rows: int, cols: int, condition: str, figures: int
    ) -> None:
        drawn = draw_mirror(
            seed, (rows, cols), 9.0, engraving=Engraving(figures), condition=CONDITIONS[condition]
        )
        assert all(np.isfinite(array).all() for array in arrays(drawn))
        assert (drawn.lines <= drawn.mask).all()

    def test_memory_stays_under_three_gigabytes_at_full_size(self) -> None:
        shape = (500, 700)
        tracemalloc.start()
        try:
            draw_mirror(0, shape, RESOLUTION)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak / np.prod(shape) * 6716 * 8964 < 3e9
