"""Masks painted on an image: what was found, missed and made up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.types import Mask, Tile

__all__ = ["CLASSES", "busiest", "painted", "shares"]

# Told apart by colour-blind readers, and by brightness on a grey image.
CLASSES = {"found": "#56B4E9", "missed": "#F0E442", "false": "#D55E00"}
"""Colours of true positives, false negatives and false positives."""

_EDGE = 900  # longest edge of a painted picture, pixels
_WINDOW = 384  # edge of the part shown at full resolution, pixels


def painted(
    image: NDArray[np.float32], target: Mask | None, mask: Mask, roi: Mask | None, tile: Tile
) -> NDArray[np.uint8]:
    """Return part of an image with a mask painted on it.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Shown in grey, from its 1st to its 99th percentile inside the ROI.
    target : ndarray of bool, shape (H, W), or None
        The reference; without one, everything drawn counts as found.
    mask : ndarray of bool, shape (H, W)
        What is drawn.
    roi : ndarray of bool, shape (H, W), or None
        Pixels that count; the rest is darkened and carries no colour.
    tile : Tile
        The part.

    Returns
    -------
    picture : ndarray of uint8, shape (h, w, 3)
        Scaled down by a whole number until no edge is longer than 900 pixels.
        A block with any line in it keeps the colour of most of its line
        pixels, so that thin lines stay visible.
    """
    inside = np.ones(tile.shape, dtype=np.bool_) if roi is None else roi[tile.index]
    drawn = mask[tile.index] & inside
    wanted = drawn if target is None else target[tile.index] & inside
    factor = math.ceil(max(tile.shape) / _EDGE)
    small = _blocks(np.nan_to_num(image[tile.index]), factor).mean(axis=(1, 3))
    is_inside: Mask = np.asarray(_blocks(inside, factor).any(axis=(1, 3)))
    grey = _grey(small, is_inside) * np.where(is_inside, 1.0, 0.35)
    kinds = (drawn & wanted, wanted & ~drawn, drawn & ~wanted)
    counts = np.stack([_blocks(kind, factor).sum(axis=(1, 3)) for kind in kinds])
    picture = np.repeat((255 * grey)[..., None], 3, axis=2).astype(np.uint8)
    palette = np.array([_rgb(colour) for colour in CLASSES.values()], dtype=np.uint8)
    has_line = counts.any(axis=0)
    picture[has_line] = palette[counts.argmax(axis=0)[has_line]]
    return picture


def shares(target: Mask, mask: Mask, roi: Mask | None) -> tuple[float, float]:
    """Return the share of the lines that is missed, and of what is drawn that is wrong.

    Parameters
    ----------
    target, mask : ndarray of bool, shape (H, W)
        The reference, and what is drawn.
    roi : ndarray of bool, shape (H, W), or None
        Pixels that count.
    """
    inside = np.ones_like(mask) if roi is None else roi
    wanted, drawn = int((target & inside).sum()), int((mask & inside).sum())
    missed, wrong = int((target & ~mask & inside).sum()), int((mask & ~target & inside).sum())
    return missed / max(wanted, 1), wrong / max(drawn, 1)


def busiest(one: Mask, other: Mask) -> Tile:
    """Return the window in which two masks differ most; the whole image if it is small.

    Parameters
    ----------
    one, other : ndarray of bool, shape (H, W)
        For example a prediction before and after.

    Returns
    -------
    window : Tile
        384 pixels square, or less at small images; inside the image.
    """
    height, width = one.shape
    edge_rows, edge_cols = min(_WINDOW, height), min(_WINDOW, width)
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    sums[1:, 1:] = (one != other).cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    window = (
        sums[edge_rows:, edge_cols:]
        - sums[:-edge_rows, edge_cols:]
        - sums[edge_rows:, :-edge_cols]
        + sums[:-edge_rows, :-edge_cols]
    )
    top, left = (int(index) for index in np.unravel_index(int(window.argmax()), window.shape))
    return Tile(top, left, top + edge_rows, left + edge_cols)


def _grey(image: NDArray[Any], inside: Mask) -> NDArray[Any]:
    """Return an image scaled to [0, 1]."""
    low, high = np.percentile(image[inside], (1, 99)) if inside.any() else (0.0, 1.0)
    return np.clip((image - low) / max(float(high - low), 1e-9), 0, 1)


def _blocks(array: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return an array cut into blocks, shape (h, factor, w, factor); edges are repeated."""
    rows, cols = (-edge % factor for edge in array.shape)
    padded = np.pad(array, ((0, rows), (0, cols)), mode="edge")
    return padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
