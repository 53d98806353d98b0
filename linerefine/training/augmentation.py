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
    if change is None or change.affine is None:
        patch = _plain(sample, tile)
    else:
        patch = _warped(sample, tile, change.affine)
    return patch if change is None else _turned(patch, change)


def _plain(sample: Sample, tile: Tile) -> Patch:
    lines = sample.lines
    assert lines is not None, "patches are cut from annotated samples only"
    return Patch(crop(sample.image, tile), crop(lines, tile), _crop_or_false(sample.roi, tile))


def _crop_or_false(mask: Mask, tile: Tile) -> Mask:
    """Return a crop that is False past the image, where `crop` would reflect."""
    height, width = mask.shape
    inside = tile.clipped((height, width))
    result = np.zeros(tile.shape, dtype=bool)
    result[inside.within(tile).index] = mask[inside.index]
    return result


def _warped(sample: Sample, tile: Tile, affine: NDArray[np.float64]) -> Patch:
    size = tile.shape[0]
    half = (size - 1) / 2
    corners = np.array([[x, y, 1.0] for x in (-half, half) for y in (-half, half)])
    reach = math.ceil(np.abs(corners @ affine.T).max() - half) + 2
    around = Tile(tile.top - reach, tile.left - reach, tile.bottom + reach, tile.right + reach)
    source = _plain(sample, around)
    linear, offset = affine[:, :2], affine[:, 2]
    # From patch pixel (x, y), origin top left, to pixel of `source`, origin top left.
    matrix = np.column_stack([linear, offset + half + reach - linear @ (half, half)])
    return Patch(
        np.stack([_warp(channel, matrix, size, cv2.INTER_LINEAR) for channel in source.image]),
        _warp(source.lines.view(np.uint8), matrix, size, cv2.INTER_NEAREST).view(bool),
        _warp(source.roi.view(np.uint8), matrix, size, cv2.INTER_NEAREST).view(bool),
    )


def _warp(array: np.ndarray, matrix: NDArray[np.float64], size: int, mode: int) -> np.ndarray:
    return cv2.warpAffine(
        array,
        matrix,
        (size, size),
        flags=mode | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _turned(patch: Patch, change: Change) -> Patch:
    return Patch(*(_turn(array, change) for array in (patch.image, patch.lines, patch.roi)))


def _turn(array: np.ndarray, change: Change) -> np.ndarray:
    """Flip and turn the last two axes; the result is contiguous and shares no memory."""
    if change.flip_rows:
        array = array[..., ::-1, :]
    if change.flip_cols:
        array = array[..., ::-1]
    return np.array(np.rot90(array, change.turns, axes=(-2, -1)), order="C")
