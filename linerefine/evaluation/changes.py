"""Which pixels of a mask a stroke flips: all that scores need to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.types import Mask, Tile

__all__ = ["Flips"]


@dataclass(frozen=True, eq=False)
class Flips:
    """Pixels of an image that change from line to no line, or back.

    Parameters
    ----------
    rows, cols : ndarray of int, shape (N,)
        Where.
    after : ndarray of bool, shape (N,)
        Whether the pixel is line afterwards.
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    after: NDArray[np.bool_]

    @classmethod
    def between(cls, before: Mask, after: Mask, box: Tile) -> Flips:
        """Return where two masks of one rectangle of the image differ.

        Parameters
        ----------
        before, after : ndarray of bool, shape of the box
        box : Tile
            Where the rectangle lies in the image.
        """
        places = np.flatnonzero(before ^ after)
        rows, cols = np.divmod(places, max(box.shape[1], 1))
        return cls(rows + box.top, cols + box.left, after.ravel()[places])

    def within(self, tile: Tile) -> Flips:
        """Return those inside a tile, in the tile's coordinates."""
        rows, cols = self.rows - tile.top, self.cols - tile.left
        height, width = tile.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        return Flips(rows[inside], cols[inside], self.after[inside])

    def shift(self, metric: Metric, target: Target) -> NDArray[np.float64]:
        """Return by how much a metric's statistics change, shape (S,).

        Parameters
        ----------
        metric : Metric
        target : Target
            In the coordinates of these pixels.
        """
        pixels = target.pixels(self.rows, self.cols)
        after = self.after[None]
        return metric.measure(after, pixels) - metric.measure(~after, pixels)
