"""Simulated seconds: by hand, and the laws any such model must obey."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.evaluation.seconds import MouseOptions, interaction_seconds, simulated_seconds

Path = list[tuple[int, int]]


def curve(*strokes: tuple[float, Path]) -> pd.DataFrame:
    """Return round 0 and one round per stroke, as `session_frame` writes them."""
    return pd.DataFrame(
        {
            "round": range(len(strokes) + 1),
            "half_width": [np.nan, *(width for width, _ in strokes)],
            "stroke_rows": [None, *(np.array([row for row, _ in path]) for _, path in strokes)],
            "stroke_cols": [None, *(np.array([col for _, col in path]) for _, path in strokes)],
        }
    )


def test_two_strokes_by_hand() -> None:
    """96 pixels are an inch, 2.54 cm; from (0, 96) to (0, 103) are 7 pixels, to a width of 1."""
    frame = curve((3.0, [(0, 0), (0, 96)]), (1.0, [(0, 103), (36, 55)]))
    first = 1.35 + 0.1 + 0.9 + 0.16 * 2.54
    # log2(7 / 1 + 1) = 3 bits; the second path has 60 pixels.
    second = 1.35 + (-0.107 + 0.223 * 3) + 0.9 + 0.16 * 60 / 96 * 2.54
    assert interaction_seconds(frame) == pytest.approx([0, first, second])
    assert simulated_seconds(frame) == pytest.approx([0, first, first + second])


def test_the_width_of_the_line_is_the_width_of_the_target() -> None:
    """Width 2 * 4 - 1 = 7: one bit at 7 pixels, 0.116 s; two at 21, 0.339 s."""
    start = (2.0, [(0, 0)])
    near, far = (curve(start, (4.0, [(0, col)])) for col in (7, 21))
    assert interaction_seconds(near)[2] == pytest.approx(1.35 + 0.116 + 0.9)
    assert interaction_seconds(far)[2] == pytest.approx(1.35 + 0.339 + 0.9)


def test_a_stroke_that_goes_on_where_the_last_ended_takes_the_floor() -> None:
    frame = curve((2.0, [(5, 5), (5, 9)]), (2.0, [(5, 9)]))
    assert interaction_seconds(frame)[2] == pytest.approx(1.35 + 0.1 + 0.9)


def test_a_line_of_less_than_a_pixel_is_a_target_of_one() -> None:
    thin, thinner = (curve((2.0, [(0, 0)]), (width, [(0, 7)])) for width in (1.0, 0.6))
    assert interaction_seconds(thin) == pytest.approx(interaction_seconds(thinner))


def test_a_table_without_strokes_has_no_seconds() -> None:
    frame = pd.DataFrame({"round": [0, 1], "half_width": [np.nan, 2.0]})
    assert np.isnan(interaction_seconds(frame)).all()


STROKES = st.lists(
    st.tuples(
        st.floats(0.6, 9),
        st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)


@given(STROKES)
def test_no_stroke_is_quicker_than_thinking_and_starting(strokes: list[tuple[float, Path]]) -> None:
    seconds = interaction_seconds(curve(*strokes))
    assert seconds[0] == 0
    assert (seconds[1:] >= 1.35 + 0.1 + 0.9).all()


@given(STROKES, st.floats(0.25, 8))
def test_enlarging_makes_drawing_longer_and_nothing_else(
    strokes: list[tuple[float, Path]], scale: float
) -> None:
    frame = curve(*strokes)
    plain = interaction_seconds(frame)
    large = interaction_seconds(frame, MouseOptions(screen_pixels_per_pixel=scale))
    still = interaction_seconds(frame, MouseOptions(drawing_seconds_per_cm=0))
    assert large - still == pytest.approx(scale * (plain - still), abs=1e-9)


@given(STROKES, st.integers(-50, 50), st.integers(-50, 50))
def test_where_on_the_image_the_work_is_does_not_matter(
    strokes: list[tuple[float, Path]], rows: int, cols: int
) -> None:
    moved = [(w, [(r + rows, c + cols) for r, c in path]) for w, path in strokes]
    assert interaction_seconds(curve(*moved)) == pytest.approx(interaction_seconds(curve(*strokes)))


@given(STROKES, STROKES)
def test_seconds_add_up_but_for_the_travel_between(
    one: list[tuple[float, Path]], other: list[tuple[float, Path]]
) -> None:
    parts = simulated_seconds(curve(*one))[-1] + simulated_seconds(curve(*other))[-1]
    assert simulated_seconds(curve(*one, *other))[-1] >= parts - 1e-9


def test_no_stroke_no_seconds() -> None:
    assert simulated_seconds(curve()).tolist() == [0]


def test_panning_is_paid_per_screen_between() -> None:
    """A screen of 100 x 200 at twofold enlargement shows 50 x 100 pixels of the image."""
    start = (2.0, [(0, 0)])
    screen = {"screen_height_pixels": 100, "screen_width_pixels": 200}
    pans = MouseOptions(panning_seconds=3, screen_pixels_per_pixel=2, **screen)
    still = MouseOptions(screen_pixels_per_pixel=2, **screen)
    for place, screens in (((49, 99), 0), ((50, 99), 1), ((49, 100), 1), ((120, 100), 2 + 1)):
        frame = curve(start, (2.0, [place]))
        paid = interaction_seconds(frame, pans) - interaction_seconds(frame, still)
        assert paid == pytest.approx([0, 0, 3 * screens])
        back = curve((2.0, [place]), start)
        assert interaction_seconds(back, pans) == pytest.approx(interaction_seconds(frame, pans))


PANS = MouseOptions(panning_seconds=1.3, screen_height_pixels=90, screen_width_pixels=160)
LINES = st.tuples(st.integers(0, 500), st.integers(0, 500))


@given(st.floats(0.6, 9), LINES, st.integers(0, 300), st.integers(0, 300))
def test_farther_is_never_quicker(
    width: float, place: tuple[int, int], down: int, right: int
) -> None:
    start = (2.0, [(0, 0)])
    farther = (place[0] + down, place[1] + right)
    for options in (MouseOptions(), PANS):
        near, far = (
            interaction_seconds(curve(start, (width, [there])), options)[2]
            for there in (place, farther)
        )
        assert far >= near


@given(st.floats(0.6, 9), st.integers(0, 500), st.integers(1, 300))
def test_longer_takes_longer(width: float, length: int, more: int) -> None:
    short, long = (curve((width, [(0, 0), (0, end)])) for end in (length, length + more))
    assert interaction_seconds(long)[1] > interaction_seconds(short)[1]


@given(st.floats(0.6, 9), st.floats(0, 5), LINES)
def test_a_wider_line_is_never_slower(width: float, more: float, place: tuple[int, int]) -> None:
    thin, wide = (curve((2.0, [(0, 0)]), (each, [place])) for each in (width, width + more))
    assert interaction_seconds(wide)[2] <= interaction_seconds(thin)[2]
