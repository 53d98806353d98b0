"""Draws in units of one head height, for a figure that looks to the right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from linerefine_etruscan_mirrors.phantom.borders import FINEST_MM
from linerefine_etruscan_mirrors.phantom.curves import Curve, placed
from linerefine_etruscan_mirrors.phantom.sheet import Sheet

__all__ = ["Pen", "Point"]

Point = tuple[float, float]


class Pen:
    """Draws in head units on a sheet."""

    def __init__(self, sheet: Sheet, at: Point, head: float, *, flip: bool) -> None:
        self.sheet = sheet
        self.head = head
        self._at = at
        self._flip = flip
        self.rng = sheet.rng
        self.finest = 1.4 * FINEST_MM / head

    def line(self, points: ArrayLike, *, width: float = 1.0, depth: float = 1.0) -> None:
        """Engrave a line through points in head units."""
        self.sheet.add(self.on_sheet(points), width=width, depth=depth)

    def shape(self, outline: ArrayLike) -> None:
        """Engrave an outline and cover what it encloses."""
        self.sheet.shape(self.on_sheet(outline))

    def cover(self, outline: ArrayLike) -> None:
        """Cover what an outline encloses: nothing is drawn there any more."""
        self.sheet.cover(self.on_sheet(outline))

    def dot(self, at: ArrayLike) -> None:
        """Engrave a dot."""
        self.sheet.dot(self.on_sheet(np.asarray(at)[None])[0], width=0.9)

    def on_sheet(self, points: ArrayLike) -> Curve:
        """Return points in head units as millimetres on the sheet."""
        return placed(points, self._at, scale=self.head, flip=self._flip)

    def count(self, distance: float, spacing: float) -> int:
        """Return how many lines fit, no closer than can be engraved."""
        return int(distance / max(spacing, self.finest))
