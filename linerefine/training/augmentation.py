"""Patches cut from an image, as they are or flipped, turned, shifted, scaled and rotated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.config import AugmentationConfig
from linerefine.geometry.tiles import crop
from linerefine.samples import Sample
from linerefine.types import Mask, Tile

__all__ = ["Change", "Patch", "cut", "draw_change"]


@dataclass(frozen=True, eq=False)
class Patch:
    """What a network is trained on.

    Parameters
    ----------
    image : ndarray of float32, shape (C, P, P)
        Reflected where the patch reaches past the image.
    lines : ndarray of bool, shape (P, P)
        Target.
    roi : ndarray of bool, shape (P, P)
        Pixels that count; False past the image.
    """

    image: NDArray[np.float32]
    lines: Mask
    roi: Mask

    @property
    def is_annotated(self) -> bool:
        """Whether a line pixel counts."""
        return bool((self.lines & self.roi).any())


@dataclass(frozen=True, eq=False)
class Change:
    """One drawn augmentation.

    Parameters
    ----------
    flip_rows, flip_cols : bool
        Mirror top to bottom, left to right.
    turns : int
        Quarter turns, 0 to 3.
    affine : ndarray of float64, shape (2, 3), or None
        Maps patch coordinates (x, y), origin at the patch's centre, to image
        coordinates (x, y), origin at the tile's centre.
    """

    flip_rows: bool = False
    flip_cols: bool = False
    turns: int = 0
    affine: NDArray[np.float64] | None = None

    def without_affine(self) -> Change:
        """Return the same change with pixels kept whole."""
        return Change(self.flip_rows, self.flip_cols, self.turns)


def draw_change(config: AugmentationConfig, size: int, rng: np.random.Generator) -> Change:
    """Return a random change of a patch of edge `size`.

    Notes
    -----
    The same numbers are drawn whatever they turn out to be, so that one
    probability can be changed without changing everything after it.
    """
    chances = rng.random(4)
    turns = int(rng.integers(4))
    shift_x, shift_y, growth, degrees = rng.uniform(-1, 1, size=4) * (
        config.shift * size,
        config.shift * size,
        config.scale,
        config.rotate,
    )
    return Change(
        flip_rows=bool(chances[0] < config.flip),
        flip_cols=bool(chances[1] < config.flip),
        turns=turns if chances[2] < config.rotate90 else 0,
        affine=_affine(shift_x, shift_y, 1 + growth, degrees)
        if chances[3] < config.affine
        else None,
    )


def _affine(shift_x: float, shift_y: float, scale: float, degrees: float) -> NDArray[np.float64]:
    """Return the map from the patch back to the image: unshift, unrotate, unscale."""
    cos = math.cos(math.radians(degrees)) / scale
    sin = math.sin(math.radians(degrees)) / scale
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, -linear @ (shift_x, shift_y)])


def cut(sample: Sample, tile: Tile, change: Change | None = None) -> Patch:
    """Return a patch of an annotated sample, changed as drawn.

    Parameters
    ----------
    sample : Sample
        With lines.
    tile : Tile
        Square; may reach past the image.
    change : Change, optional
        None leaves the pixels as they are.

    Notes
    -----
    A rotated patch is filled from the image around the tile, not from
    reflections of the tile: what lies outside the *image* is reflected and
    does not count.
    """
    lines = sample.lines
    assert lines is not None, "patches are cut from annotated samples only"
    change = change or Change()
    arrays = sample.image, lines, sample.roi
    if change.affine is None:
        # One copy, made when the pixels stand where they belong.
        image, lines, roi = (_turned(view, change) for view in _seen(*arrays, tile))
        return Patch(image.copy(), lines.copy(), roi.copy())
    warped = _warped(*arrays, tile, change.affine)
    return Patch(*(np.ascontiguousarray(_turned(array, change)) for array in warped))


def _seen(
    image: NDArray[np.float32], lines: Mask, roi: Mask, tile: Tile
) -> tuple[NDArray[np.float32], Mask, Mask]:
    """Return the pixels under a tile; views where it lies inside the image."""
    if tile.clipped(lines.shape) == tile:
        # A memory map's own slices are slow to make.
        return np.asarray(image)[(..., *tile.index)], lines[tile.index], roi[tile.index]
    return crop(image, tile), crop(lines, tile), _crop_or_false(roi, tile)


def _crop_or_false(mask: Mask, tile: Tile) -> Mask:
    """Return a crop that is False past the image, where `crop` would reflect."""
    height, width = mask.shape
    inside = tile.clipped((height, width))
    result = np.zeros(tile.shape, dtype=bool)
    result[inside.within(tile).index] = mask[inside.index]
    return result


def _warped(
    image: NDArray[np.float32], lines: Mask, roi: Mask, tile: Tile, affine: NDArray[np.float64]
) -> tuple[NDArray[np.float32], Mask, Mask]:
    size = tile.shape[0]
    half = (size - 1) / 2
    corners = np.array([[x, y, 1.0] for x in (-half, half) for y in (-half, half)])
    reach = math.ceil(np.abs(corners @ affine.T).max() - half) + 2
    around = Tile(tile.top - reach, tile.left - reach, tile.bottom + reach, tile.right + reach)
    linear, offset = affine[:, :2], affine[:, 2]
    # From patch pixel (x, y), origin top left, to pixel of `around`, origin top left.
    matrix = np.column_stack([linear, offset + half + reach - linear @ (half, half)])
    # A compact copy: on a view of a large image each row lies on a page of its own, and
    # going through it askew takes half as long again.
    image, lines, roi = crop(image, around), crop(lines, around), _crop_or_false(roi, around)
    warped = np.empty((len(image), size, size), dtype=np.float32)
    for source, result in zip(image, warped, strict=True):
        _warp(source, matrix, cv2.INTER_LINEAR, result)
    return warped, _warped_mask(lines, matrix, size), _warped_mask(roi, matrix, size)


def _warped_mask(mask: Mask, matrix: NDArray[np.float64], size: int) -> Mask:
    if mask.all():  # most regions of interest: nothing but True can come of it
        return np.ones((size, size), dtype=bool)
    result = np.empty((size, size), dtype=bool)
    _warp(mask.view(np.uint8), matrix, cv2.INTER_NEAREST, result.view(np.uint8))
    return result


def _warp(source: np.ndarray, matrix: NDArray[np.float64], mode: int, result: np.ndarray) -> None:
    """Fill `result` from `source`, which may be a view."""
    cv2.warpAffine(
        source,
        matrix,
        result.shape,
        dst=result,
        flags=mode | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _turned(array: np.ndarray, change: Change) -> np.ndarray:
    """Return a view, its last two axes flipped and turned."""
    if change.flip_rows:
        array = array[..., ::-1, :]
    if change.flip_cols:
        array = array[..., ::-1]
    return np.rot90(array, change.turns, axes=(-2, -1))
