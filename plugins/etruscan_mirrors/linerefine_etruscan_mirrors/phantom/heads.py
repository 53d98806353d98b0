"""Heads in profile: face, hair, helmet, diadem or cap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from linerefine_etruscan_mirrors.phantom.curves import (
    Curve,
    arc,
    between,
    placed,
    resampled,
    spline,
)
from linerefine_etruscan_mirrors.phantom.pen import Pen, Point

__all__ = ["HEADDRESSES", "head"]

FACE: list[Point] = [
    (0.05, -0.72), (0.08, -0.56), (0.24, -0.5), (0.31, -0.4), (0.28, -0.31), (0.33, -0.25),
    (0.31, -0.17), (0.43, -0.13), (0.37, 0.0), (0.31, 0.12), (0.31, 0.27), (0.22, 0.42),
]  # fmt: skip
SKULL: list[Point] = [
    (0.22, 0.42), (0.02, 0.52), (-0.24, 0.46), (-0.42, 0.22), (-0.43, -0.05), (-0.3, -0.3),
    (-0.25, -0.5), (-0.28, -0.72),
]  # fmt: skip
HAIRLINE: list[Point] = [(0.27, 0.32), (0.12, 0.2), (0.0, 0.04), (-0.08, -0.16), (-0.27, -0.32)]
HEADDRESSES = ("hair", "bun", "helmet", "diadem", "cap")
FINE = 0.03
"""Distance between the points of small curves, in head heights."""

Put = Callable[..., None]


def head(pen: Pen, at: Curve, nod: float, headdress: str) -> None:
    """Draw a head, then cover it.

    Parameters
    ----------
    pen : Pen
        What to draw with.
    at : ndarray of float64, shape (2,)
        Middle of the head.
    nod : float
        Angle in radians, positive upwards.
    headdress : str
        One of `HEADDRESSES`.
    """

    def put(points: ArrayLike, width: float = 1.0) -> None:
        pen.line(placed(points, at, nod), width=width)

    face, skull = spline(FACE, step=FINE), spline(SKULL, step=FINE)
    _features(put)
    outline = np.concatenate([face, skull])
    if headdress == "helmet":
        outline = np.concatenate([outline, _helmet(pen, put)])
    elif headdress == "cap":
        outline = np.concatenate([outline, _cap(put)])
    else:
        _hair(pen, put, skull, headdress)
        put(spline(HAIRLINE, step=FINE))
    put(face)
    put(skull)
    pen.cover(placed(outline, at, nod))


def _features(put: Put) -> None:
    """Mouth, eye, brow and ear."""
    put(spline([(0.28, -0.29), (0.2, -0.31), (0.14, -0.28)], step=FINE), 0.8)
    put(spline([(0.12, 0.03), (0.2, 0.1), (0.29, 0.03)], step=FINE), 0.8)
    put(spline([(0.12, 0.03), (0.2, -0.02), (0.27, 0.02)], step=FINE), 0.8)
    put(spline([(0.08, 0.15), (0.19, 0.22), (0.3, 0.16)], step=FINE), 0.85)
    ear = [(-0.04, -0.1), (-0.01, 0.03), (-0.11, 0.05), (-0.13, -0.08), (-0.06, -0.16)]
    put(spline(ear, step=FINE), 0.85)


def _hair(pen: Pen, put: Put, skull: Curve, headdress: str) -> None:
    """Strands from the crown to the hairline; a band, a knot at the nape."""
    hairline = spline(HAIRLINE, step=FINE)
    top = skull[: int(0.8 * len(skull))]
    count = max(pen.count(1.3, 0.15), 3)
    for share in (np.arange(count) + 0.5) / count:
        start, stop = hairline[int(share * len(hairline))], top[int(share * len(top))]
        bend = (start + stop) / 2 + pen.rng.normal(0, 0.04, 2)
        put(spline([start, bend, stop], step=FINE), 0.9)
    if headdress == "diadem":
        for shift in (0.0, max(0.12, pen.finest)):
            put(spline([(0.28, 0.28 + shift), (0.0, 0.2 + shift), (-0.42, 0.02 + shift)]), 1.0)
    if headdress == "bun":
        knot = placed(spline(0.2 * _ring(7), closed=True, step=FINE), (-0.52, -0.02))
        put(knot)
        put(placed(arc((0, 0), 0.1, 0.5, 4.5), (-0.52, -0.02)), 0.85)


def _ring(count: int) -> Curve:
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _helmet(pen: Pen, put: Put) -> Curve:
    """Draw a crested helmet; return the crest's edge, which belongs to the silhouette."""
    rim = spline([(0.33, 0.2), (0.1, 0.1), (-0.1, 0.0), (-0.22, -0.25), (-0.42, -0.3)], step=FINE)
    put(rim)
    outer = spline([(0.25, 0.55), (0.1, 0.85), (-0.35, 0.85), (-0.75, 0.4), (-0.7, -0.5)])
    inner = spline([(0.15, 0.5), (0.0, 0.62), (-0.3, 0.6), (-0.54, 0.25), (-0.5, -0.4)])
    for share in np.linspace(0, 1, max(pen.count(2.0, 0.16), 4)):
        ends = [curve[int(share * (len(curve) - 1))] for curve in (inner, outer)]
        put(resampled(np.stack(ends), FINE), 0.85)
    put(outer)
    put(inner)
    return np.concatenate([inner[::-1], outer])[::-1]


def _cap(put: Put) -> Curve:
    """Draw a soft cap whose tip falls forward; return its edge."""
    cap = spline(
        [(0.3, 0.3), (0.3, 0.65), (0.15, 0.95), (0.38, 1.0), (0.1, 1.1), (-0.3, 0.7), (-0.45, 0.2)]
    )
    brim = spline([(0.32, 0.3), (0.0, 0.14), (-0.2, -0.1), (-0.45, -0.1)], step=FINE)
    put(brim)
    put(between(brim, cap[::-1][: len(brim)], 0.0) + (0.0, 0.1), 0.85)
    put(cap)
    return cap[::-1]
