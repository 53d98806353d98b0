"""How long a person with a mouse would have taken: a model, applied after the fact.

An interaction is mental preparation, travel from the end of the last stroke to
the start of this one, panning where that is off the screen, and drawing.
Nothing here was measured on the people whose work is simulated; what it is good
for is to weigh many short strokes against few long ones.

References
----------
Card, Moran, Newell: The keystroke-level model for user performance time with
interactive systems. Communications of the ACM 23(7), 1980,
DOI 10.1145/358886.358895.

MacKenzie, Sellen, Buxton: A comparison of input devices in elemental pointing
and dragging tasks. CHI 1991, DOI 10.1145/108844.108868.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from linerefine.config import Options

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MouseOptions", "interaction_seconds", "simulated_seconds"]

CM_PER_INCH = 2.54


class MouseOptions(Options):
    """A person with a mouse at a screen."""

    preparation_seconds: float = Field(
        1.35, ge=0, description="Mental preparation of a stroke (M; Card et al. 1980)."
    )
    travel_intercept_ms: float = Field(
        -107.0, description="Pointing with a mouse (MacKenzie et al. 1991)."
    )
    travel_slope_ms_per_bit: float = Field(
        223.0, ge=0, description="Pointing with a mouse (MacKenzie et al. 1991)."
    )
    travel_floor_ms: float = Field(
        100.0,
        ge=0,
        description="Least time of a travel: the line above falls below zero where a stroke "
        "starts about where the last one ended. Also that of the first stroke.",
    )
    segment_seconds: float = Field(
        0.9, ge=0, description="Drawing, per stroke: one segment each (D; Card et al. 1980)."
    )
    drawing_seconds_per_cm: float = Field(
        0.16, ge=0, description="Drawing, per length on the screen (D; Card et al. 1980)."
    )
    screen_dots_per_inch: float = Field(96.0, gt=0, description="Screen pixels per inch.")
    screen_pixels_per_pixel: float = Field(
        1.0, gt=0, description="How far the image is enlarged: screen pixels per image pixel."
    )
    screen_height_pixels: int = Field(1080, ge=1, description="Rows of the screen.")
    screen_width_pixels: int = Field(1920, ge=1, description="Columns of the screen.")
    panning_seconds: float = Field(
        0.0,
        ge=0,
        description="Panning or zooming, per screen between the end of the last stroke and the "
        "start of this one, rows and columns apart. 0 leaves it out; for scale, pointing at "
        "something takes 1.1 (P; Card et al. 1980).",
    )


def interaction_seconds(
    curve: pd.DataFrame, options: MouseOptions | None = None
) -> NDArray[np.float64]:
    """Return what each interaction of one session would have taken, shape (N,).

    Parameters
    ----------
    curve : DataFrame
        Its rounds in order, round 0 first, with ``half_width``,
        ``stroke_rows`` and ``stroke_cols`` (see
        `linerefine.tracking.rounds.session_frame`).
    options : MouseOptions, optional

    Returns
    -------
    seconds : ndarray of float64
        0 for round 0; nan throughout if the table does not hold strokes.

    Notes
    -----
    A stroke is a target as wide as the line it draws, ``2 * half_width - 1``
    pixels and at least one. Distance and width are enlarged alike, so the
    travel does not depend on the enlargement; drawing and panning do.

    A stroke that starts less than a screen away, up or down and to the side, needs no
    panning; each whole screen between costs ``panning_seconds``.

    A stroke counts as one segment of the drawing operator, whatever its
    number of points: its path has a point per pixel, while the operator counts
    straight segments that are each begun and ended with care.
    """
    options = options or MouseOptions()
    if not {"half_width", "stroke_rows", "stroke_cols"} <= set(curve.columns):
        return np.full(len(curve), math.nan)
    seconds = np.zeros(len(curve))
    end = None
    strokes = zip(curve["half_width"], curve["stroke_rows"], curve["stroke_cols"], strict=True)
    for index, (half_width, rows, cols) in enumerate(strokes):
        if half_width is None or math.isnan(half_width):
            continue
        path = np.column_stack((rows, cols)).astype(np.float64)
        move = np.zeros(2) if end is None else path[0] - end
        seconds[index] = (
            options.preparation_seconds
            + _travel(float(np.hypot(*move)), half_width, options)
            + _panning(move, options)
            + _drawing(path, options)
        )
        end = path[-1]
    return seconds


def simulated_seconds(
    curve: pd.DataFrame, options: MouseOptions | None = None
) -> NDArray[np.float64]:
    """Return the simulated seconds of one session after each of its rounds, shape (N,)."""
    total: NDArray[np.float64] = np.cumsum(interaction_seconds(curve, options))
    return total


def _travel(distance: float, half_width: float, options: MouseOptions) -> float:
    """Return the seconds of a travel by Fitts' law, in Shannon's formulation."""
    bits = math.log2(distance / max(2 * half_width - 1, 1.0) + 1)
    line = options.travel_intercept_ms + options.travel_slope_ms_per_bit * bits
    return max(line, options.travel_floor_ms) / 1e3


def _panning(move: NDArray[np.float64], options: MouseOptions) -> float:
    screen = np.array((options.screen_height_pixels, options.screen_width_pixels))
    screens = np.abs(move) * options.screen_pixels_per_pixel // screen
    return options.panning_seconds * float(screens.sum())


def _drawing(path: NDArray[Any], options: MouseOptions) -> float:
    pixels = float(np.hypot(*np.diff(path, axis=0).T).sum()) * options.screen_pixels_per_pixel
    length_cm = pixels / options.screen_dots_per_inch * CM_PER_INCH
    return options.segment_seconds + options.drawing_seconds_per_cm * length_cm
