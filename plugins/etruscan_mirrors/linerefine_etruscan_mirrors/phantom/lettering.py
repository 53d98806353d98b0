"""Inscriptions: letters of the Etruscan alphabet as straight strokes, written right to left."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from linerefine_etruscan_mirrors.phantom.curves import placed
from linerefine_etruscan_mirrors.phantom.sheet import Sheet

__all__ = ["LETTERS", "inscribe"]

LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "a": [[(0.0, 0.0), (0.1, 1.0), (0.6, 0.9), (0.55, 0.0)], [(0.05, 0.5), (0.58, 0.45)]],
    "c": [[(0.0, 0.9), (0.5, 0.5), (0.0, 0.1)]],
    "e": [
        [(0.6, 0.0), (0.6, 1.0)],
        [(0.6, 0.95), (0.1, 0.8)],
        [(0.6, 0.55), (0.1, 0.4)],
        [(0.6, 0.15), (0.1, 0.0)],
    ],
    "v": [[(0.6, 0.0), (0.6, 1.0)], [(0.6, 0.95), (0.1, 0.75)], [(0.6, 0.6), (0.1, 0.4)]],
    "z": [[(0.3, 0.0), (0.3, 1.0)], [(0.0, 0.65), (0.6, 0.8)], [(0.0, 0.25), (0.6, 0.4)]],
    "h": [
        [(0.0, 0.0), (0.0, 1.0), (0.6, 1.0), (0.6, 0.0), (0.0, 0.0)],
        [(0.0, 0.5), (0.6, 0.5)],
    ],
    "i": [[(0.3, 0.0), (0.3, 1.0)]],
    "l": [[(0.5, 1.0), (0.5, 0.0), (0.1, 0.3)]],
    "m": [[(0.8, 0.0), (0.8, 1.0), (0.6, 0.5), (0.4, 0.95), (0.2, 0.5), (0.0, 0.9)]],
    "n": [[(0.6, 0.0), (0.6, 1.0), (0.3, 0.4), (0.05, 0.9)]],
    "p": [[(0.5, 0.0), (0.5, 1.0), (0.1, 0.75)]],
    "r": [[(0.5, 0.0), (0.5, 1.0), (0.0, 0.8), (0.5, 0.5)]],
    "s": [[(0.1, 0.0), (0.5, 0.35), (0.1, 0.65), (0.5, 1.0)]],
    "t": [[(0.3, 0.0), (0.3, 1.0)], [(0.0, 0.65), (0.6, 0.9)]],
    "u": [[(0.0, 1.0), (0.3, 0.0), (0.6, 1.0)]],
    "th": [[(0.3, 0.0), (0.65, 0.5), (0.3, 1.0), (-0.05, 0.5), (0.3, 0.0)]],
    "x": [[(0.3, 0.0), (0.3, 1.0)], [(0.0, 1.0), (0.3, 0.55), (0.6, 1.0)]],
}
"""Strokes of each letter in a box one unit high, as written from right to left."""


def inscribe(sheet: Sheet, at: ArrayLike, angle: float, height: float, count: int) -> None:
    """Write a made-up name, letter after letter towards the left.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    at : array_like of float, shape (2,)
        Lower right end of the first letter, in millimetres.
    angle : float
        Direction of the base line in radians.
    height : float
        Of a letter, in millimetres.
    count : int
        Number of letters.
    """
    pen = np.asarray(at, dtype=np.float64)
    along = np.array([np.cos(angle), np.sin(angle)])
    for name in sheet.rng.choice(sorted(LETTERS), count):
        lean = angle + sheet.rng.normal(0, 0.07)
        tall = height * sheet.rng.uniform(0.88, 1.1)
        pen = pen - along * height * sheet.rng.uniform(0.78, 0.95)
        for stroke in LETTERS[name]:
            sheet.add(placed(stroke, pen, lean, tall), width=0.9, depth=0.9)
