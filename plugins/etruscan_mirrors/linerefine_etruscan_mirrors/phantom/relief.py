"""Cuts lines into a surface: V-shaped grooves, scratches and dots, in small windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.types import Mask

__all__ = ["Cut", "bowl", "carve", "groove", "trace", "trough"]

Floats = NDArray[np.float64]
Profile = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Depth in [-1, 1] by distance from the middle line in half-widths; positive is down."""

CHUNK = 96
"""Points of a path that are worked on at once."""


@dataclass(frozen=True, eq=False)
class Cut:
    """One line to cut.

    Parameters
    ----------
    path : ndarray of float64, shape (K, 2)
        Row and column of points at most a pixel or so apart.
    half_width : ndarray of float64, shape (K,)
        Pixels from the middle line to the edge.
    depth : ndarray of float64, shape (K,)
        In the middle, in pixels.
    """

    path: Floats
    half_width: Floats
    depth: Floats


def groove(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the profile of a graver: a V, with a low burr pushed up along its edges."""
    burr = np.exp(-np.square((distance - np.float32(1.3)) / np.float32(0.25)))
    return np.asarray(np.maximum(1 - distance, 0) - np.float32(0.1) * burr)


def trough(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the profile of a scratch: rounded, without burr."""
    return np.asarray(np.square(np.maximum(1 - np.square(distance), 0)))


def bowl(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the profile of a pit: flat in the middle, steep at its edge."""
    return np.asarray(np.maximum(1 - distance**4, 0))


def carve(relief: NDArray[np.float32], cut: Cut, profile: Profile) -> None:
    """Cut a line into a relief; where lines cross, the deeper one stays.

    Parameters
    ----------
    relief : ndarray of float32, shape (H, W)
        Depth below the surface in pixels; changed in place.
    cut : Cut
        The line; parts outside the image are left out.
    profile : callable
        Such as `groove`.
    """
    for window, near, distance, index in _windows(cut, 1.8, relief.shape):
        half_width = cut.half_width[index].astype(np.float32)
        depth = cut.depth[index].astype(np.float32) * profile(distance / half_width)
        part = relief[window]
        before = part[near]
        part[near] = np.where(np.abs(depth) > np.abs(before), depth, before)


def trace(mask: Mask, cut: Cut) -> None:
    """Mark the pixels closer to the path than its half-width, in place."""
    for window, near, distance, index in _windows(cut, 1.0, mask.shape):
        mask[window][near] |= distance < cut.half_width[index]


Window = tuple[tuple[slice, slice], Mask, NDArray[np.float32], NDArray[np.intp]]


def _windows(cut: Cut, reach: float, shape: tuple[int, ...]) -> Iterator[Window]:
    """Yield for each piece of the path: a window, its pixels near the path, how near, to what."""
    tangent = _tangents(cut.path)
    for start in range(0, len(cut.path), CHUNK):
        stop = min(start + CHUNK, len(cut.path))
        margin = reach * float(cut.half_width[start:stop].max()) + 2
        # A pixel belongs to the piece that holds the point nearest to it, so pieces look
        # beyond their ends and then leave out what belongs to their neighbours.
        first = max(start - int(margin) - 3, 0)
        part = slice(first, stop + int(margin) + 3)
        found = _nearest(cut.path[part], margin, shape)
        if found is not None:
            window, near, index = found
            index += first
            own = (index >= start) & (index < stop)
            near[near] = own
            corner = (window[0].start, window[1].start)
            away = np.argwhere(near) + corner - cut.path[index[own]]
            yield window, near, _distance(away, index[own], tangent), index[own]


def _tangents(path: Floats) -> Floats:
    if len(path) < 2:
        return np.zeros_like(path)
    along = np.gradient(path, axis=0)
    return np.asarray(along / np.maximum(np.hypot(*along.T), 1e-9)[:, None])


def _distance(away: Floats, index: NDArray[np.intp], tangent: Floats) -> NDArray[np.float32]:
    """Return the distance to the line from offsets to its nearest points."""
    along = (away * tangent[index]).sum(axis=1)
    across = away[:, 0] * tangent[index, 1] - away[:, 1] * tangent[index, 0]
    # The nearest point is known to some pixels along the line, so only what lies beyond that
    # counts; at the ends of the line everything does.
    beyond = np.maximum(np.abs(along) - 1.5 - 0.25 * np.abs(across), 0)
    beyond = np.where(index == 0, np.maximum(-along, 0), beyond)
    beyond = np.where(index == len(tangent) - 1, np.maximum(along, 0), beyond)
    distance = np.hypot(across, beyond) if len(tangent) > 1 else np.hypot(*away.T)
    return np.asarray(distance, dtype=np.float32)


def _nearest(
    path: Floats, margin: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], Mask, NDArray[np.intp]] | None:
    """Return a window around a path, its pixels near the path, and the point each is nearest to."""
    low = np.maximum(np.floor(path.min(axis=0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(path.max(axis=0) + margin).astype(int) + 1, shape)
    cells = np.rint(path).astype(np.intp)
    inside = ((cells >= low) & (cells < high)).all(axis=1)
    if (low >= high).any() or not inside.any():
        return None
    rows, cols = (cells[inside] - low).T
    canvas = np.ones((high - low).tolist(), dtype=np.uint8)
    canvas[rows, cols] = 0
    far, label = cv2.distanceTransformWithLabels(
        canvas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    point_of_label = np.zeros(int(label.max()) + 1, dtype=np.intp)
    point_of_label[label[rows, cols]] = np.flatnonzero(inside)
    near = far <= margin
    window = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])))
    return window, near, point_of_label[label[near]]
