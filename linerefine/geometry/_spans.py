"""Exact marking of thick polylines by row spans, within one image.

Cost and memory follow what is drawn inside the image: segments are clipped to
where they can have an effect before points are made, and points come in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linerefine.types import Tile, Tip

__all__ = ["Segments", "digital_segments", "mark_spans", "reach_rows"]

_CHUNK = 1 << 18  # points, or point-row pairs, handled at a time: some megabytes


@dataclass(frozen=True)
class Segments:
    """Straight 8-connected lines; points are numbered 0 to ``steps`` along each.

    Parameters
    ----------
    start, delta : ndarray of int64, shape (S, 2)
        First point ``(row, col)``, and what leads from it to the last.
    steps : ndarray of int64, shape (S,)
        At least 1, also where both ends coincide.
    """

    start: NDArray[np.int64]
    delta: NDArray[np.int64]
    steps: NDArray[np.int64]

    def points(self, segment: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the points with these numbers on these segments, shape (N, 2)."""
        steps, delta = self.steps[segment, None], self.delta[segment]
        # Whole numbers only: a stroke moved by whole pixels marks the same pixels.
        moved = (number[:, None] * np.abs(delta) + steps // 2) // steps
        points: NDArray[np.int64] = self.start[segment] + np.sign(delta) * moved
        return points

    def all_points(self) -> NDArray[np.int64]:
        """Return every point, shape (N, 2); where segments meet, twice."""
        segment = np.repeat(np.arange(len(self.steps)), self.steps + 1)
        first = np.cumsum(self.steps + 1) - (self.steps + 1)
        return self.points(segment, np.arange(len(segment)) - first[segment])

    def is_within(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> bool:
        """Say whether all points lie in a box, its last row and col included."""
        ends = np.concatenate([self.start, self.start + self.delta])
        return bool((ends >= low).all() and (ends <= high).all())

    def nearest_to(self, place: tuple[float, float]) -> NDArray[np.int64]:
        """Return of each segment a point about as near to `place` as any, shape (S, 2)."""
        squared = np.maximum((self.delta.astype(np.float64) ** 2).sum(axis=1), 1.0)
        along = ((np.array(place) - self.start) * self.delta).sum(axis=1) / squared
        number = np.rint(np.clip(along, 0.0, 1.0) * self.steps).astype(np.int64)
        return self.points(np.arange(len(self.steps)), number)

    def numbers_within(
        self, low: NDArray[np.int64], high: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return first and last number of points inside a box, a point or two generous.

        The first exceeds the last where a segment misses the box.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            per_step = self.steps[:, None] / self.delta
            enter = (low - 0.5 - self.start) * per_step
            leave = (high + 0.5 - self.start) * per_step
        inside = (self.start >= low) & (self.start <= high)
        still = self.delta == 0
        first = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(enter, leave))
        last = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(enter, leave))
        steps = self.steps.astype(np.float64)
        return (
            np.clip(np.floor(first.max(axis=1)) - 1, 0, steps + 1).astype(np.int64),
            np.clip(np.ceil(last.min(axis=1)) + 1, -1, steps).astype(np.int64),
        )


def digital_segments(path: NDArray[np.intp]) -> Segments:
    """Return the segments that join the points of a path; a single point makes one."""
    points = path.astype(np.int64)
    ends = points[1:] if len(points) > 1 else points
    start = points[: len(ends)]
    delta = ends - start
    return Segments(start, delta, np.maximum(np.abs(delta).max(axis=1), 1))


def reach_rows(half_width: float, tip: Tip) -> NDArray[np.int64]:
    """Return how many cols a tip reaches to either side, by distance in rows; -1: not at all.

    The last entry, always -1, stands for every larger distance.
    """
    rows = np.arange(int(np.ceil(half_width)), dtype=np.int64)  # all of them < half_width
    if tip == "cross":
        return np.append(len(rows) - 1 - rows, -1)
    cols = np.floor(np.sqrt(np.maximum(half_width**2 - rows**2, 0.0))).astype(np.int64)
    # The square of a half-width such as sqrt(5) may be rounded up, so compare distances themselves.
    cols -= np.sqrt((rows**2 + cols**2).astype(np.float64)) >= half_width
    return np.append(cols, -1)


def mark_spans(segments: Segments, reach: NDArray[np.int64], box: Tile) -> NDArray[np.bool_]:
    """Return which pixels of `box` are within reach of a point of `segments`."""
    height, width = box.shape
    corner = np.array([box.top, box.left])
    # One more col, for spans that end with the row.
    changes = np.zeros((height, width + 1), dtype=np.int32)
    window = min(2 * len(reach) - 3, height)  # rows that one point can touch
    for points in _near_points(segments, len(reach) - 2, box, max(_CHUNK // window, 1)):
        _add_spans(changes, points - corner, reach, window)
    return np.cumsum(changes[:, :width], axis=1) > 0


def _near_points(
    segments: Segments, reach: int, box: Tile, chunk: int
) -> Iterator[NDArray[np.int64]]:
    """Yield, at most `chunk` at a time, all points within `reach` rows and cols of the box."""
    low = np.array([box.top, box.left], dtype=np.int64) - reach
    high = np.array([box.bottom, box.right], dtype=np.int64) - 1 + reach
    total = int(segments.steps.sum()) + len(segments.steps)
    if total <= chunk and segments.is_within(low, high):  # most strokes, without the clipping
        yield segments.all_points()
        return
    first, last = segments.numbers_within(low, high)
    ends: NDArray[np.int64] = np.cumsum(np.maximum(last - first + 1, 0))
    for begin in range(0, int(ends[-1]), chunk):
        position = np.arange(begin, min(begin + chunk, int(ends[-1])), dtype=np.int64)
        segment = np.searchsorted(ends, position, side="right")
        number = last[segment] + 1 - (ends[segment] - position)
        points = segments.points(segment, number)
        yield points[np.all((points >= low) & (points <= high), axis=1)]


def _add_spans(
    changes: NDArray[np.int32], points: NDArray[np.int64], reach: NDArray[np.int64], window: int
) -> None:
    """Add +1 where each point's row spans begin and -1 one past their ends."""
    height, stride = changes.shape
    row, col = points[:, :1], points[:, 1:]
    rows = np.clip(row - (len(reach) - 2), 0, height - window) + np.arange(window)
    half = reach[np.minimum(np.abs(rows - row), len(reach) - 1)]
    begin = np.maximum(col - half, 0)
    end = np.minimum(col + half + 1, stride - 1)
    kept = begin < end
    flat = changes.reshape(-1)
    np.add.at(flat, (rows * stride + begin)[kept], 1)
    np.add.at(flat, (rows * stride + end)[kept], -1)
