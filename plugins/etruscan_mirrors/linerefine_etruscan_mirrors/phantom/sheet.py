"""The sheet an engraving is laid out on: front things first, what lies behind is cut off."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from linerefine_etruscan_mirrors.phantom.curves import Curve, resampled, wobbled

__all__ = ["Line", "Sheet"]

DOTS_PER_MM = 12.0
"""Resolution of the bitmap that remembers what is covered."""


@dataclass(frozen=True, eq=False)
class Line:
    """One engraved line.

    Parameters
    ----------
    points : ndarray of float64, shape (K, 2)
        Its course in millimetres, K >= 2.
    width, depth : float
        Relative to an ordinary line of this mirror.
    """

    points: Curve
    width: float = 1.0
    depth: float = 1.0


class Sheet:
    """Collects lines; a shape once covered hides whatever is added after it.

    Parameters
    ----------
    radius : float
        Half the edge of the square that can be drawn on, in millimetres.
    rng : numpy.random.Generator
        Where the hand's unsteadiness comes from.
    wobble : float
        Typical deviation of the hand in millimetres.
    """

    def __init__(self, radius: float, rng: np.random.Generator, wobble: float = 0.035) -> None:
        self.lines: list[Line] = []
        self.rng = rng
        self.wobble = wobble
        self._radius = radius
        edge = int(2 * radius * DOTS_PER_MM) + 1
        self._covered = np.zeros((edge, edge), dtype=np.uint8)

    def add(self, points: ArrayLike, *, width: float = 1.0, depth: float = 1.0) -> None:
        """Draw a line where nothing covers it; it may fall into several pieces."""
        curve = resampled(np.asarray(points, dtype=np.float64))
        if len(curve) < 2:
            return
        curve = wobbled(curve, self.wobble, self.rng)
        free = ~self._is_covered(curve)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
        for start, stop in edges.reshape(-1, 2):
            if stop - start >= 3:
                self.lines.append(Line(curve[start:stop], width, depth))

    def dot(self, at: ArrayLike, *, width: float = 1.0, depth: float = 1.0) -> None:
        """Strike a dot."""
        centre = np.asarray(at, dtype=np.float64)
        angle = self.rng.uniform(0, np.pi)
        tick = 0.06 * np.array([np.cos(angle), np.sin(angle)])
        points = np.stack([centre - tick, centre + tick])
        if not self._is_covered(points).any():
            self.lines.append(Line(points, width, depth))

    def cover(self, outline: ArrayLike) -> None:
        """Hide everything that will be added inside a closed outline."""
        polygon = np.rint(self._dots(np.asarray(outline, dtype=np.float64)))
        cv2.fillPoly(self._covered, [polygon.astype(np.int32)], 1)

    def cover_outside(self, outline: ArrayLike) -> None:
        """Hide everything that will be added outside a closed outline."""
        inside = np.zeros_like(self._covered)
        polygon = np.rint(self._dots(np.asarray(outline, dtype=np.float64)))
        cv2.fillPoly(inside, [polygon.astype(np.int32)], 1)
        self._covered |= 1 - inside

    def shape(self, outline: ArrayLike, *, width: float = 1.0, depth: float = 1.0) -> None:
        """Draw a closed outline, then cover what it encloses."""
        self.add(outline, width=width, depth=depth)
        self.cover(outline)

    def _dots(self, points: Curve) -> Curve:
        return (points + self._radius) * DOTS_PER_MM

    def _is_covered(self, points: Curve) -> NDArray[np.bool_]:
        cells = np.rint(self._dots(points)).astype(np.intp)
        edge = len(self._covered)
        outside = ((cells < 0) | (cells >= edge)).any(axis=1)
        x, y = np.clip(cells, 0, edge - 1).T
        return np.asarray(outside | (self._covered[y, x] > 0))
