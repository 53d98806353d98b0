"""What is engraved: curves, ornaments, figures, letters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.errors import ConfigError
from linerefine_etruscan_mirrors.phantom.borders import BORDERS, draw_border, rosette
from linerefine_etruscan_mirrors.phantom.curves import (
    arc_length,
    circle,
    offset,
    placed,
    resampled,
    spline,
)
from linerefine_etruscan_mirrors.phantom.figures import ATTRIBUTES, Figure, draw_figure
from linerefine_etruscan_mirrors.phantom.heads import HEADDRESSES
from linerefine_etruscan_mirrors.phantom.lettering import LETTERS, inscribe
from linerefine_etruscan_mirrors.phantom.scene import Engraving, engrave
from linerefine_etruscan_mirrors.phantom.sheet import Sheet


def sheet(radius: float = 40.0, seed: int = 0, wobble: float = 0.0) -> Sheet:
    return Sheet(radius, np.random.default_rng(seed), wobble)


def drawn(on: Sheet) -> np.ndarray:
    return np.concatenate([line.points for line in on.lines])


class TestCurves:
    @settings(deadline=None, max_examples=25)
    @given(
        st.lists(
            st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
            min_size=3,
            max_size=8,
            unique=True,
        )
    )
    def test_spline_runs_through_its_knots(self, knots: list[tuple[int, int]]) -> None:
        curve = spline(knots)
        away = np.hypot(*(curve[None] - np.array(knots)[:, None]).transpose(2, 0, 1)).min(axis=1)
        assert away.max() < 0.25

    def test_closed_spline_returns(self) -> None:
        curve = spline([(0, 0), (4, 0), (4, 4), (0, 4)], closed=True)
        np.testing.assert_allclose(curve[0], curve[-1], atol=1e-9)

    def test_points_of_a_resampled_curve_are_equally_far_apart(self) -> None:
        steps = np.diff(arc_length(resampled(circle((0, 0), 5.0), 0.3)))
        np.testing.assert_allclose(steps, 0.3, rtol=0.02)

    def test_offset_of_a_circle_is_a_circle(self) -> None:
        inner = offset(circle((1, 2), 5.0), 1.5)
        np.testing.assert_allclose(np.hypot(*(inner - (1, 2)).T), 3.5, atol=0.02)

    def test_placing_flips_scales_turns_then_moves(self) -> None:
        np.testing.assert_allclose(
            placed([(1, 0)], (10, 20), np.pi / 2, 3.0, flip=True), [(10, 17)], atol=1e-12
        )


class TestSheet:
    def test_what_is_covered_hides_later_lines(self) -> None:
        on = sheet()
        on.cover(circle((0, 0), 10.0))
        on.add([(-30.0, 0.0), (30.0, 0.0)])
        assert len(on.lines) == 2
        assert np.abs(drawn(on)[:, 0]).min() == pytest.approx(10, abs=0.3)

    def test_nothing_is_drawn_outside_a_frame(self) -> None:
        on = sheet()
        on.cover_outside(circle((0, 0), 10.0))
        on.add([(-30.0, 0.0), (30.0, 0.0)])
        on.dot((20.0, 0.0))
        assert np.abs(drawn(on)[:, 0]).max() == pytest.approx(10, abs=0.3)

    def test_shape_shows_its_outline_and_hides_its_inside(self) -> None:
        on = sheet()
        on.shape(circle((0, 0), 10.0))
        on.dot((0.0, 0.0))
        np.testing.assert_allclose(np.hypot(*drawn(on).T), 10, atol=0.02)

    def test_hand_is_unsteady_by_about_the_wobble(self) -> None:
        on = sheet(wobble=0.1)
        for height in np.arange(-20, 20):
            on.add([(-30.0, height), (30.0, height)])
        away = drawn(on)[:, 1] - np.rint(drawn(on)[:, 1])
        assert 0.05 < away.std() < 0.25


class TestBorders:
    @pytest.mark.parametrize("name", sorted(BORDERS))
    @pytest.mark.parametrize(("inner", "outer"), [(22.0, 24.6), (52.0, 59.0)])
    def test_ornament_fills_its_ring_and_no_more(
        self, name: str, inner: float, outer: float
    ) -> None:
        on = sheet(70.0)
        draw_border(on, name, inner, outer)
        radius = np.hypot(*drawn(on).T)
        assert radius.min() > inner - 0.15 * (outer - inner) - 0.3
        assert radius.max() < outer + 0.15 * (outer - inner) + 0.3
        angles = np.arctan2(*drawn(on).T)
        assert np.histogram(angles, 60, (-np.pi, np.pi))[0].min() > 10

    def test_rosette_has_its_petals(self) -> None:
        on = sheet()
        rosette(on, (3.0, 4.0), 2.0, 6)
        assert len(on.lines) == 7
        assert np.hypot(*(drawn(on) - (3, 4)).T).max() < 2.2


def figure(**changes: object) -> Figure:
    given = {
        "at": (0.0, -20.0), "head": 5.0, "flip": False, "is_draped": True, "headdress": "hair",
        "holds": "nothing", "is_winged": False,
    }  # fmt: skip
    return Figure(**(given | changes))  # type: ignore[arg-type]


class TestFigures:
    @pytest.mark.parametrize("headdress", HEADDRESSES)
    @pytest.mark.parametrize("is_draped", [True, False])
    def test_figure_stands_on_the_ground_and_is_as_tall_as_told(
        self, headdress: str, is_draped: bool
    ) -> None:
        on = sheet()
        draw_figure(on, figure(headdress=headdress, is_draped=is_draped))
        low, high = drawn(on)[:, 1].min(), drawn(on)[:, 1].max()
        assert low == pytest.approx(-20, abs=1.0)
        assert high == pytest.approx(-20 + 7.4 * 5, abs=0.8 * 5)
        assert len(on.lines) > 25

    @pytest.mark.parametrize("holds", ATTRIBUTES)
    def test_attributes_add_lines_before_the_figure(self, holds: str) -> None:
        bare, holding = sheet(), sheet()
        draw_figure(bare, figure())
        draw_figure(holding, figure(holds=holds))
        reach = [drawn(on)[:, 0].max() for on in (bare, holding)]
        assert reach[1] > reach[0] + 0.2 if holds in {"shield", "mirror"} else reach[1] > 5

    def test_wings_spread_behind_the_figure(self) -> None:
        bare, winged = sheet(), sheet()
        draw_figure(bare, figure())
        draw_figure(winged, figure(is_winged=True))
        assert drawn(winged)[:, 0].min() < drawn(bare)[:, 0].min() - 3

    def test_figure_that_looks_left_is_the_mirror_image(self) -> None:
        right, left = sheet(), sheet()
        draw_figure(right, figure(holds="shield"))
        draw_figure(left, figure(holds="shield", flip=True))
        assert drawn(right)[:, 0].max() == pytest.approx(-drawn(left)[:, 0].min(), abs=0.3)

    def test_figure_in_front_hides_the_one_behind(self) -> None:
        on = sheet()
        draw_figure(on, figure())
        before = len(drawn(on))
        draw_figure(on, figure(at=(0.5, -20.0)))
        assert len(drawn(on)) - before < 0.6 * before


class TestScene:
    def test_letters_run_to_the_left(self) -> None:
        on = sheet()
        inscribe(on, (10.0, 0.0), 0.0, 2.0, 5)
        assert drawn(on)[:, 0].max() < 11.5
        assert drawn(on)[:, 0].min() < 5
        assert {len(strokes) for strokes in LETTERS.values()} == {1, 2, 3, 4}

    def test_engraving_stays_on_the_mirror(self) -> None:
        lines = engrave(30.0, Engraving(2, ("tongues", "scales")), np.random.default_rng(0))
        points = np.concatenate([line.points for line in lines])
        on_disc = np.hypot(*points.T) < 0.95 * 30
        on_handle = (points[:, 1] < -0.95 * 30) & (np.abs(points[:, 0]) < 0.3 * 30)
        assert (on_disc | on_handle).all()

    def test_more_figures_make_more_lines(self) -> None:
        lengths = [
            sum(
                arc_length(line.points)[-1]
                for line in engrave(60.0, Engraving(count, (), 0, 0), np.random.default_rng(0))
            )
            for count in (1, 2, 4)
        ]
        assert lengths[0] < lengths[1] < lengths[2]

    @pytest.mark.parametrize("given", [{"borders": ("meander",)}, {"figures": 5}])
    def test_engraving_that_nobody_can_draw_is_refused(self, given: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match="expected borders among .* and 0 to 4 figures"):
            Engraving(**given)  # type: ignore[arg-type]
