"""Bands of ornament around the medallion, as on the mirrors: scales, tongues, rosettes, leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from linerefine_etruscan_mirrors.phantom.curves import Curve, arc, circle, placed, spline
from linerefine_etruscan_mirrors.phantom.sheet import Sheet

__all__ = ["BORDERS", "draw_border", "rosette"]

FINEST_MM = 1.2
"""Least distance at which two lines are still engraved side by side."""

Border = Callable[[Sheet, float, float], None]
"""``border(sheet, inner, outer)`` fills the ring between two radii in millimetres."""


def draw_border(sheet: Sheet, name: str, inner: float, outer: float) -> None:
    """Fill the ring between two radii, and draw the circles that bound it.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    name : str
        One of `BORDERS`.
    inner, outer : float
        Radii in millimetres.
    """
    turn = sheet.rng.uniform(0, 2 * np.pi)
    for radius in (inner, outer):
        off = sheet.rng.normal(0, 0.08, 2)
        sheet.add(circle(off, radius, turn), width=1.05)
    margin = 0.08 * (outer - inner)
    BORDERS[name](sheet, inner + margin, outer - margin)


def rosette(sheet: Sheet, at: ArrayLike, radius: float, petals: int) -> None:
    """Draw a flower of rounded petals around a dotted heart."""
    centre = np.asarray(at, dtype=np.float64)
    turn = sheet.rng.uniform(0, 2 * np.pi)
    sheet.add(circle(centre, 0.28 * radius))
    if radius > 2.5:
        sheet.dot(centre)
    petal = spline(
        [(0.3, 0.0), (0.62, 0.3), (0.92, 0.2), (0.98, 0), (0.92, -0.2), (0.62, -0.3), (0.3, 0)]
    )
    petal[:, 1] *= min(1.0, 7.0 / petals)
    for angle in turn + 2 * np.pi * np.arange(petals) / petals:
        sheet.add(placed(petal, centre, angle, radius))
        if radius > 2.5:
            sheet.add(placed([(0.45, 0.0), (0.75, 0.0)], centre, angle, radius), width=0.8)


def _ring(radius: float, pitch: float) -> tuple[int, float]:
    """Return how many motifs of about `pitch` fit a circle, and the angle of each."""
    count = max(round(2 * np.pi * radius / pitch), 6)
    return count, 2 * np.pi / count


def _polar(radius: ArrayLike, angle: ArrayLike) -> Curve:
    radius, angle = np.broadcast_arrays(radius, angle)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _scales(sheet: Sheet, inner: float, outer: float) -> None:
    rows = max(round((outer - inner) / 2.0), 1)
    height = (outer - inner) / rows
    count, angle = _ring((inner + outer) / 2, 1.7 * height)
    bow = np.linspace(-0.5, 0.5, 15)
    for row in range(rows):
        base = outer - row * height
        for index in range(count):
            middle = (index + 0.5 * (row % 2)) * angle
            rise = base - height * np.sqrt(np.clip(1 - (2 * bow) ** 2, 0, 1))
            sheet.add(_polar(rise, middle + bow * angle))
            if height > 2 * FINEST_MM and sheet.rng.random() < 0.9:
                sheet.dot(_polar(base - 0.4 * height, middle), width=0.95)


def _tongues(sheet: Sheet, inner: float, outer: float) -> None:
    height = outer - inner
    count, angle = _ring(inner, max(0.62 * height, 2.8 * FINEST_MM))
    bow = np.linspace(-1, 1, 17)
    profile = inner + height * np.clip(1 - np.abs(bow) ** 6, 0, 1) ** 0.5
    has_core = angle * inner > 3.2 * FINEST_MM
    for index in range(count):
        middle = index * angle
        sheet.add(_polar(profile, middle + 0.42 * angle * bow))
        if has_core:
            core = inner + 0.72 * (profile - inner)
            sheet.add(_polar(core, middle + 0.19 * angle * bow), width=0.85)
        if has_core:
            tip = _polar([outer - 0.25 * height, outer], middle + angle / 2)
            sheet.add(tip, width=0.85)


def _rosettes(sheet: Sheet, inner: float, outer: float) -> None:
    radius = (outer - inner) / 2
    count, angle = _ring(inner + radius, max(2.5 * radius, 4.5 * FINEST_MM))
    for index in range(count):
        rosette(sheet, _polar(inner + radius, index * angle), 0.96 * radius, 8 if radius > 2 else 6)
        for shift in (-0.45, 0.45):
            sheet.dot(_polar(inner + (1 + shift) * radius, (index + 0.5) * angle))


def _leaves(sheet: Sheet, inner: float, outer: float) -> None:
    """Ivy or laurel: leaves on both sides of a waving stem."""
    middle, height = (inner + outer) / 2, outer - inner
    count, angle = _ring(middle, max(1.3 * height, 4.5 * FINEST_MM))
    turns = np.linspace(0, 2 * np.pi, 40 * count)
    sheet.add(_polar(middle + 0.12 * height * np.sin(turns * count / 2), turns))
    leaf = spline([(0, 0), (0.25, 0.2), (0.6, 0.24), (1, 0), (0.6, -0.24), (0.25, -0.2), (0, 0)])
    for index in range(count):
        for side in (-1, 1):
            at = (index + 0.25 * side) * angle
            root = _polar(middle + 0.06 * side * height, at)
            lean = at + np.pi / 2 - side * 0.65
            sheet.add(placed(leaf, root, lean, 0.62 * height * 1.1))
            if height > 4 * FINEST_MM:
                vein = placed([(0.1, 0), (0.8, 0)], root, lean, 0.62 * height * 1.1)
                sheet.add(vein, width=0.8, depth=0.8)


def _waves(sheet: Sheet, inner: float, outer: float) -> None:
    """Draw a running dog: one hook of a spiral after the other."""
    height = outer - inner
    count, angle = _ring((inner + outer) / 2, 1.25 * height)
    at = np.linspace(0, 1, 40)
    spiral = 0.42 * (1 - 0.75 * at)
    bend = -0.5 * np.pi + 1.7 * np.pi * 2 * at * 0.75
    hook = np.stack([spiral * np.cos(bend) + 0.62, spiral * np.sin(bend) + 0.5], axis=1)
    foot = spline([(0.0, 0.05), (0.3, 0.03), tuple(hook[0])])
    wave = np.concatenate([foot[:-1], hook]) * (1.0, 1.0)
    for index in range(count):
        across = (index + wave[:, 0]) * angle
        sheet.add(_polar(inner + wave[:, 1] * height, across))


def _zigzag(sheet: Sheet, inner: float, outer: float) -> None:
    """Hatched triangles, point to point."""
    height = outer - inner
    count, angle = _ring((inner + outer) / 2, max(1.1 * height, 4.0 * FINEST_MM))
    for index in range(count):
        left, top, right = (index + np.array([0, 0.5, 1])) * angle
        sheet.add(_polar([inner, outer, inner], [left, top, right]))
        strokes = max(int(angle * inner / (1.2 * FINEST_MM)) - 1, 1)
        for share in np.linspace(0, 1, strokes + 2)[1:-1]:
            reach = inner + height * (1 - abs(2 * share - 1)) * 0.9
            foot = left + share * angle
            sheet.add(_polar([inner, reach], foot), width=0.85)


def _dots(sheet: Sheet, inner: float, outer: float) -> None:
    rows = max(round((outer - inner) / 1.4), 1)
    for row in range(rows):
        radius = inner + (row + 0.5) * (outer - inner) / rows
        count, angle = _ring(radius, 1.3)
        for index in range(count):
            sheet.dot(_polar(radius, (index + 0.5 * (row % 2)) * angle), width=1.1)


def _hatching(sheet: Sheet, inner: float, outer: float) -> None:
    """Slanting strokes between the circles, as a twisted cord."""
    height = outer - inner
    count, angle = _ring((inner + outer) / 2, max(1.6 * FINEST_MM, 0.45 * height))
    slant = 0.7 * height / inner
    for index in range(count):
        sheet.add(_polar([inner, outer], [index * angle, index * angle + slant]), width=0.95)


def _arcades(sheet: Sheet, inner: float, outer: float) -> None:
    """Overlapping half circles."""
    count, angle = _ring(inner, 1.0 * (outer - inner))
    for index in range(count):
        sheet.add(_bowed(inner, 0.95 * (outer - inner), index * angle, 1.9 * angle))


def _bowed(base: float, height: float, middle: float, spread: float) -> Curve:
    half = arc((0.0, 0.0), 1.0, 0.0, np.pi)
    return _polar(base + height * half[::1, 1], middle + 0.5 * spread * half[:, 0])


BORDERS: dict[str, Border] = {
    "arcades": _arcades,
    "dots": _dots,
    "hatching": _hatching,
    "leaves": _leaves,
    "rosettes": _rosettes,
    "scales": _scales,
    "tongues": _tongues,
    "waves": _waves,
    "zigzag": _zigzag,
}
"""Ornaments by name."""
