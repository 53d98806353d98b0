"""Cutting images into tiles and putting predictions together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.types import Tile

__all__ = [
    "blend",
    "covering_paper_weights",
    "crop",
    "paper_weights",
    "shown",
    "taper",
    "tile_grid",
]

Scalar = TypeVar("Scalar", bound=np.generic)

PAPER_BORDER = 64
"""Pixels over which the weights of the authors' code rise."""

LEAST_WEIGHT = 1e-12
"""What `covering_paper_weights` gives where the authors' code gives nothing."""


def tile_grid(
    shape: tuple[int, int],
    size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    *,
    inside: bool = True,
) -> list[Tile]:
    """Return tiles of one size that cover every pixel of an image.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    size : int or tuple of int
        Height and width of a tile.
    stride : int or tuple of int, optional
        Rows and cols from one tile to the next, at most `size`; by default
        `size`, so that tiles do not overlap.
    inside : bool
        If True, the last row and col of tiles are shifted inside the image and
        overlap the ones before; where the image is smaller than a tile, the
        tile begins with the image and reaches past its end. If False, the grid
        is regular and its last tiles may reach past the image.

    Returns
    -------
    tiles : list of Tile
        In row-major order; empty if the image is.

    Raises
    ------
    ShapeError
        If a size or stride is less than one, or a stride exceeds the size.

    Examples
    --------
    >>> [(tile.left, tile.right) for tile in tile_grid((4, 10), 4)]
    [(0, 4), (4, 8), (6, 10)]
    >>> [(tile.left, tile.right) for tile in tile_grid((4, 10), 4, inside=False)]
    [(0, 4), (4, 8), (8, 12)]
    """
    height, width = _pair(size)
    row_stride, col_stride = _pair(size if stride is None else stride)
    tops = _starts(shape[0], height, row_stride, inside=inside)
    lefts = _starts(shape[1], width, col_stride, inside=inside)
    return [Tile(top, left, top + height, left + width) for top in tops for left in lefts]


def crop(array: NDArray[Scalar], tile: Tile) -> NDArray[Scalar]:
    """Return the part of an array under a tile, padded where the tile leaves the image.

    Parameters
    ----------
    array : ndarray, shape (..., H, W)
        Any type; may be a memory map, of which only what is needed is read.
    tile : Tile
        May reach past the image.

    Returns
    -------
    part : ndarray, shape (..., h, w)
        A new array. Outside the image it is reflected about the border pixels;
        along an axis that is too short to reflect, the border pixels repeat.

    Raises
    ------
    ShapeError
        If `array` has no pixels or fewer than two axes, or the tile is not at
        least one pixel high and wide.

    Examples
    --------
    >>> crop(np.array([[1, 2, 3]]), Tile(0, -2, 1, 3)).tolist()
    [[3, 2, 1, 2, 3]]
    """
    if array.ndim < 2 or 0 in array.shape[-2:]:
        msg = f"array to crop has shape {array.shape}, expected (..., H, W) with H, W >= 1."
        raise ShapeError(msg)
    if min(tile.shape) < 1:
        msg = f"tile to crop has shape {tile.shape}, expected at least (1, 1)."
        raise ShapeError(msg)
    if tile.clipped((array.shape[-2], array.shape[-1])) == tile:
        return array[(..., *tile.index)].copy()
    part = np.empty((*array.shape[:-2], *tile.shape), dtype=array.dtype)
    for to_rows, from_rows in _runs(tile.top, tile.bottom, array.shape[-2]):
        for to_cols, from_cols in _runs(tile.left, tile.right, array.shape[-1]):
            part[..., to_rows, to_cols] = array[..., from_rows, from_cols]
    return part


def shown(tile: Tile, shape: tuple[int, int]) -> Tile:
    """Return the part of an image that a crop shows, mirrored margins included.

    Parameters
    ----------
    tile : Tile
        May reach past the image.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    part : Tile
        Inside the image. Cropping this part of the image gives what cropping
        the image gives.

    Examples
    --------
    >>> shown(Tile(0, 6, 4, 10), (8, 8))
    Tile(top=0, left=5, bottom=4, right=8)
    """
    inside = tile.clipped(shape)  # the border about which is mirrored belongs to it
    top, bottom = _extent(tile.top, tile.bottom, shape[0])
    left, right = _extent(tile.left, tile.right, shape[1])
    return Tile(
        min(inside.top, top),
        min(inside.left, left),
        max(inside.bottom, bottom),
        max(inside.right, right),
    )


def taper(
    shape: tuple[int, int],
    margin: int,
    *,
    fade: tuple[bool, bool, bool, bool] = (True, True, True, True),
) -> NDArray[np.float32]:
    """Return weights that fall smoothly towards some sides of a tile.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the tile.
    margin : int
        Pixels over which a weight falls; 0 keeps all weights 1.
    fade : tuple of bool
        Whether to fall towards top, bottom, left and right.

    Returns
    -------
    weights : ndarray of float32, shape (H, W)
        Greater than 0 and at most 1; exactly 1 from `margin` pixels off every
        faded side.

    Raises
    ------
    ShapeError
        If `margin` is negative.

    Notes
    -----
    The pixel ``i`` pixels off a faded side weighs ``t * t * (3 - 2 * t)`` with
    ``t = (i + 0.5) / margin``; weights of several sides are multiplied.

    Examples
    --------
    >>> taper((1, 4), 2, fade=(False, False, True, False)).tolist()
    [[0.15625, 0.84375, 1.0, 1.0]]
    """
    if margin < 0:
        msg = f"margin of a taper is {margin}, expected at least 0."
        raise ShapeError(msg)
    return _weights(shape, margin, fade).copy()


def blend(
    tiles: Iterable[tuple[Tile, NDArray[np.float32]]],
    shape: tuple[int, int],
    margin: int,
    weights_of: Callable[[tuple[int, int]], NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Return one image from overlapping tiles, without seams.

    Parameters
    ----------
    tiles : iterable of (Tile, ndarray of float32 of the tile's shape)
        Read once, one tile at a time. Tiles may reach past the image.
    shape : tuple of int
        Height and width of the image.
    margin : int
        Pixels over which a tile's weight falls towards its sides; at most
        their overlap gives the smoothest result.
    weights_of : callable, optional
        ``weights_of(shape)`` gives a tile's weights, all of them more than 0,
        instead of `taper` with that margin.

    Returns
    -------
    image : ndarray of float32, shape (H, W)
        Weighted mean of the tiles at every pixel. Where all tiles agree, and
        where there is only one, exactly their value.

    Raises
    ------
    ShapeError
        If a pixel is covered by no tile, or an array does not fit its tile.

    Examples
    --------
    >>> ones = np.ones((1, 2), dtype=np.float32)
    >>> blend([(Tile(0, 0, 1, 2), ones), (Tile(0, 2, 1, 4), 2 * ones)], (1, 4), 1).tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """
    mean = np.zeros(shape, dtype=np.float32)
    total = np.zeros(shape, dtype=np.float32)
    for tile, values in tiles:
        if values.shape != tile.shape:
            msg = f"{tile} has shape {tile.shape}, its array {values.shape}; they must agree."
            raise ShapeError(msg)
        seen = tile.clipped(shape)
        window = seen.top - tile.top, seen.left - tile.left
        own = tuple(slice(at, at + n) for at, n in zip(window, seen.shape, strict=True))
        weights = (taper(tile.shape, margin) if weights_of is None else weights_of(tile.shape))[own]
        total[seen.index] += weights
        # A running mean, not a quotient of sums: equal values stay exactly equal.
        mean[seen.index] += (values[own] - mean[seen.index]) * (weights / total[seen.index])
    if not total.all():
        row, col = np.argwhere(total == 0)[0].tolist()
        msg = f"tiles leave {np.sum(total == 0)} pixels of {shape} uncovered, first ({row}, {col})."
        raise ShapeError(msg)
    return mean


def paper_weights(size: int, border: int) -> NDArray[np.float64]:
    """Return the blend weights of the authors' code, for comparison only.

    Parameters
    ----------
    size : int
        Edge of the patch; the authors use 256.
    border : int
        Pixels over which weights rise, at least 1; the authors use 64.

    Returns
    -------
    weights : ndarray of float64, shape (size, size)
        ``(min(d, border) / border) ** 2`` with d the distance to the patch's
        border ring, on which weights are 0. Patches side by side therefore
        leave black seams, which is why `blend` uses `taper`, and
        `covering_paper_weights` if it must be these.

    Raises
    ------
    ShapeError
        If size or border is less than one.

    Examples
    --------
    >>> paper_weights(5, 2)[2].tolist()
    [0.0, 0.25, 1.0, 0.25, 0.0]
    """
    if min(size, border) < 1:
        msg = f"paper weights of size {size} and border {border}: both must be at least 1."
        raise ShapeError(msg)
    index = np.arange(size)
    off_side = np.minimum(index, index[::-1])
    distance = np.minimum(off_side[:, None], off_side)
    weights: NDArray[np.float64] = (np.minimum(distance, border) / border) ** 2
    return weights


def covering_paper_weights(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the blend weights of the authors' code, but for the pixels it leaves out.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the tile, which must be square.

    Returns
    -------
    weights : ndarray of float32, shape (H, W)
        `paper_weights` rising over 64 pixels, and next to nothing instead of 0 on the border ring.
        Where any tile weighs something the ring counts for nothing, as in
        their code; pixels that lie on rings only, such as the border of the
        whole image, get the plain mean of the tiles there instead of none.

    Raises
    ------
    ShapeError
        If the tile is not square.

    Examples
    --------
    >>> (covering_paper_weights((5, 5))[2] * 4096).round(4).tolist()
    [0.0, 1.0, 4.0, 1.0, 0.0]
    """
    if shape[0] != shape[1]:
        msg = f"tile has shape {shape}, expected a square: the authors' weights know no other."
        raise ShapeError(msg)
    return _paper_weights(shape[0])


@lru_cache(maxsize=4)
def _paper_weights(size: int) -> NDArray[np.float32]:
    return np.maximum(paper_weights(size, PAPER_BORDER), LEAST_WEIGHT).astype(np.float32)


@lru_cache(maxsize=32)
def _weights(
    shape: tuple[int, int], margin: int, fade: tuple[bool, bool, bool, bool]
) -> NDArray[np.float32]:
    top, bottom, left, right = fade
    rows = _slope(shape[0], margin, start=top, end=bottom)
    cols = _slope(shape[1], margin, start=left, end=right)
    return np.outer(rows, cols).astype(np.float32)


def _pair(number: int | tuple[int, int]) -> tuple[int, int]:
    return number if isinstance(number, tuple) else (number, number)


def _starts(length: int, size: int, stride: int, *, inside: bool) -> list[int]:
    """Return where tiles begin along one axis."""
    if not 1 <= stride <= size:
        msg = f"tiles of size {size} with stride {stride}: expected 1 <= stride <= size."
        raise ShapeError(msg)
    if length == 0:
        return []
    count = max(-(-(length - size) // stride), 0) + 1
    starts = [number * stride for number in range(count)]
    if inside:
        starts[-1] = max(min(starts[-1], length - size), 0)
    return starts


def _runs(start: int, stop: int, length: int) -> list[tuple[slice, slice]]:
    """Return which pixels of a tile's axis show which of the image, as slices of both.

    Before, inside and after the image; reflected about its border pixels, or
    the border pixel repeated where that is impossible.
    """
    size, last = stop - start, length - 1
    first = min(max(-start, 0), size)
    end = max(min(length - start, size), first)
    if start < -last or stop - 1 > 2 * last:
        before, after = slice(0, 1), slice(last, length)
    else:
        before = slice(-start, -start - first, -1)
        lowest = 2 * last - stop
        after = slice(2 * last - start - end, None if lowest < 0 else lowest, -1)
    runs = [
        (slice(0, first), before),
        (slice(first, end), slice(start + first, start + end)),
        (slice(end, size), after),
    ]
    return [(ours, theirs) for ours, theirs in runs if ours.start < ours.stop]


def _extent(start: int, stop: int, length: int) -> tuple[int, int]:
    """Return where the image's pixels that a tile's axis shows begin and end."""
    shown_pixels = [range(length)[theirs] for _, theirs in _runs(start, stop, length)]
    ends = [pixel for pixels in shown_pixels for pixel in (pixels[0], pixels[-1])]
    return min(ends), max(ends) + 1


def _slope(length: int, margin: int, *, start: bool, end: bool) -> NDArray[np.float64]:
    """Return weights along one axis."""
    index = np.arange(length)
    weights = np.ones(length)
    for is_faded, off_side in ((start, index), (end, index[::-1])):
        if is_faded and margin > 0:
            t = np.minimum((off_side + 0.5) / margin, 1.0)
            weights *= t * t * (3 - 2 * t)
    return weights
