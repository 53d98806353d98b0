"""Where the refiner looks for a stroke: around it, or in the fixed tile it lies in."""

from __future__ import annotations

from linerefine.config import SessionConfig
from linerefine.types import Stroke, Tile

__all__ = ["bounding", "place"]

LATTICE = 32
"""Crops start on multiples of this, so that neighbouring strokes share features."""


def bounding(one: Tile, other: Tile) -> Tile:
    """Return the smallest rectangle around both."""
    return Tile(
        min(one.top, other.top),
        min(one.left, other.left),
        max(one.bottom, other.bottom),
        max(one.right, other.right),
    )


def place(stroke: Stroke, box: Tile, shape: tuple[int, int], config: SessionConfig) -> Tile:
    """Return the crop a refiner sees for a stroke.

    Parameters
    ----------
    stroke : Stroke
        What was drawn.
    box : Tile
        Pixels the stroke marks, inside the image.
    shape : tuple of int
        Height and width of the image.
    config : SessionConfig
        ``placement``, ``crop`` and ``margin``.

    Returns
    -------
    crop : Tile
        Height and width are multiples of 32. Around the stroke it holds the
        box and the margin, except where the image ends; it reaches past the
        image only if that is smaller. On the grid it is the tile that holds
        the path, or the tiles, for a path that crosses their borders.
    """
    if config.placement == "grid":
        path = stroke.path.clip((0, 0), (shape[0] - 1, shape[1] - 1))
        (top, left), (bottom, right) = path.min(axis=0).tolist(), path.max(axis=0).tolist()
        size = config.crop
        return Tile(
            top // size * size,
            left // size * size,
            (bottom // size + 1) * size,
            (right // size + 1) * size,
        )
    top, bottom = _span(box.top, box.bottom, shape[0], config)
    left, right = _span(box.left, box.right, shape[1], config)
    return Tile(top, left, bottom, right)


def _span(first: int, last: int, extent: int, config: SessionConfig) -> tuple[int, int]:
    """Return where the crop begins and ends along one axis."""
    needed = last - first + 2 * config.margin + LATTICE
    size = max(config.crop, -(-needed // 32) * 32)
    start = ((first + last - size) // 2 + LATTICE // 2) // LATTICE * LATTICE
    start = max(0, min(start, extent - size))
    return start, start + size
