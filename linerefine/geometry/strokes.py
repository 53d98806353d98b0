"""Strokes as pixels, pieces of paths, and how wide strokes are."""

from __future__ import annotations

import math
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.geometry._checks import as_path, require_mask
from linerefine.geometry._spans import Segments, digital_segments, mark_spans, reach_rows
from linerefine.geometry.widths import WidthStatistics, width_statistics
from linerefine.types import Mask, Stroke, Tile, Tip

__all__ = [
    "WidthStatistics",
    "dilate",
    "mark",
    "rasterise",
    "sub_path",
    "width_statistics",
]

_FARTHEST: Final = 2**30
_WIDEST: Final = 2**16
_NOWHERE: Final = Tile(0, 0, 0, 0)


def rasterise(stroke: Stroke, shape: tuple[int, int]) -> Mask:
    """Return the pixels a stroke marks on an image.

    Parameters
    ----------
    stroke : Stroke
        May reach past the image or lie outside it.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    marked : ndarray of bool, shape (H, W)
        Pixels closer to the path than the half-width; see `mark`.

    Raises
    ------
    ShapeError
        As `mark`.

    Examples
    --------
    >>> from linerefine.types import Operation
    >>> dot = Stroke([(1, 1)], half_width=2, operation=Operation.ADD, tip="cross")
    >>> rasterise(dot, (3, 4)).astype(int).tolist()
    [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    """
    marked = np.zeros(shape, dtype=np.bool_)
    tile, window = mark(stroke, shape)
    marked[tile.index] = window
    return marked


def mark(stroke: Stroke, shape: tuple[int, int]) -> tuple[Tile, Mask]:
    """Return the pixels a stroke marks, cut to where they are.

    Parameters
    ----------
    stroke : Stroke
        May reach past the image or lie outside it.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    box : Tile
        Smallest rectangle of the image that holds all marked pixels; empty,
        ``Tile(0, 0, 0, 0)``, if there are none.
    marked : ndarray of bool, shape ``box.shape``
        Pixels whose distance to the path is less than the half-width:
        Euclidean for tip "disc", city-block for tip "cross".

    Raises
    ------
    ShapeError
        If a coordinate lies beyond 2**30 pixels from the origin, the tip is
        unknown, or a half-width above 2**16 pixels does not simply cover the
        image.

    Notes
    -----
    The path is the pixels of its points and of the 8-connected straight lines
    between consecutive points. A cross of half-width 4 is three dilations with
    the 4-connected cross.
    """
    _require_drawable(stroke)
    box = _surrounding(stroke).clipped(shape)
    if 0 in box.shape:
        return _NOWHERE, np.zeros((0, 0), dtype=np.bool_)
    segments = digital_segments(stroke.path)
    if _covers(stroke, segments, shape):
        return Tile(0, 0, *shape), np.ones(shape, dtype=np.bool_)
    if stroke.half_width > _WIDEST:
        msg = (
            f"stroke half_width is {stroke.half_width:g} pixels and the stroke does not cover the "
            f"image of shape {shape}; half-widths up to {_WIDEST} can be drawn."
        )
        raise ShapeError(msg)
    return _trimmed(box, mark_spans(segments, reach_rows(stroke.half_width, stroke.tip), box))


def dilate(mask: Mask, half_width: float, tip: Tip = "disc") -> Mask:
    """Return the pixels closer to a mask than a half-width: a stroke along all of it.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Pixels to widen.
    half_width : float
        Pixels; those whose distance to `mask` is *less* are set.
    tip : {"disc", "cross"}
        Euclidean or city-block distance. ``n`` dilations with the 4-connected
        cross are a cross of half-width ``n + 1``.

    Returns
    -------
    dilated : ndarray of bool, shape (H, W)
        A new array; empty if `mask` is.

    Raises
    ------
    ShapeError
        If `mask` is not a two-dimensional array of bool, the half-width not a
        number > 0, or the tip unknown.

    Examples
    --------
    >>> dilate(np.array([[0, 0, 0, 1]], dtype=bool), 2.5).tolist()
    [[False, True, True, True]]
    """
    require_mask(mask, "mask")
    _require_tip(tip)
    if not half_width > 0:
        msg = f"half_width is {half_width}, expected a number > 0."
        raise ShapeError(msg)
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.bool_)
    import cv2

    outside = np.ascontiguousarray(~mask).view(np.uint8)
    if tip == "cross":
        return cv2.distanceTransform(outside, cv2.DIST_L1, 3) < half_width
    distances = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares are whole numbers: rounding them undoes OpenCV's single precision.
    return np.sqrt(np.rint(np.square(distances, dtype=np.float64))) < half_width


def sub_path(path: NDArray[np.intp], length: int, centre: int) -> NDArray[np.intp]:
    """Return a contiguous piece of a path.

    Parameters
    ----------
    path : ndarray of int, shape (K, 2)
        Points ``(row, col)`` in path order.
    length : int
        Points wanted; a shorter path is returned whole.
    centre : int
        Number of the point in the middle, from 0. Near an end the piece is
        shifted along the path, not shortened.

    Returns
    -------
    piece : ndarray of int, shape (min(K, length), 2)
        A new array.

    Raises
    ------
    ShapeError
        If the path is empty or not of shape (K, 2), the length is less than
        one, or the path has no point `centre`.

    Examples
    --------
    >>> path = np.array([(0, col) for col in range(9)])
    >>> sub_path(path, 3, centre=5)[:, 1].tolist()
    [4, 5, 6]
    >>> sub_path(path, 3, centre=8)[:, 1].tolist()
    [6, 7, 8]
    """
    as_path(path)
    if length < 1:
        msg = f"length of a sub-path is {length}, expected at least 1."
        raise ShapeError(msg)
    if not 0 <= centre < len(path):
        msg = f"centre of a sub-path is {centre}, the path has points 0 to {len(path) - 1}."
        raise ShapeError(msg)
    start = min(max(centre - length // 2, 0), max(len(path) - length, 0))
    return path[start : start + length].copy()


def _require_drawable(stroke: Stroke) -> None:
    _require_tip(stroke.tip)
    lowest, highest = int(stroke.path.min()), int(stroke.path.max())
    if lowest < -_FARTHEST or highest > _FARTHEST:
        farthest = lowest if -lowest > highest else highest
        msg = f"stroke path reaches {farthest}, expected coordinates within +-{_FARTHEST}."
        raise ShapeError(msg)


def _require_tip(tip: str) -> None:
    if tip not in get_args(Tip):
        choices = ", ".join(f"'{choice}'" for choice in get_args(Tip))
        msg = f"stroke tip is '{tip}', expected one of {choices}."
        raise ShapeError(msg)


def _surrounding(stroke: Stroke) -> Tile:
    """Return the rectangle that the stroke fills, wherever it lies."""
    reach = math.ceil(stroke.half_width) - 1
    top, left = (int(number) - reach for number in stroke.path.min(axis=0))
    bottom, right = (int(number) + reach + 1 for number in stroke.path.max(axis=0))
    return Tile(top, left, bottom, right)


def _covers(stroke: Stroke, segments: Segments, shape: tuple[int, int]) -> bool:
    """Say whether one point of the path is so near that it marks the whole image."""
    last = np.array(shape) - 1
    if stroke.half_width <= last.max() / 2:
        return False
    points = np.concatenate([segments.nearest_to((last[0] / 2, last[1] / 2)), stroke.path])
    rows, cols = np.maximum(np.abs(points), np.abs(points - last)).astype(np.float64).T
    farthest = rows + cols if stroke.tip == "cross" else np.sqrt(rows**2 + cols**2)
    return bool((farthest < stroke.half_width).any())


def _trimmed(box: Tile, marked: Mask) -> tuple[Tile, Mask]:
    """Return the smallest part of a box that holds all marked pixels, and those."""
    rows, cols = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if len(rows) == 0:
        return _NOWHERE, marked[:0, :0]
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(cols[0]), int(cols[-1]) + 1
    tile = Tile(box.top + top, box.left + left, box.top + bottom, box.left + right)
    return tile, marked[top:bottom, left:right]
