"""What a session begins with: the first prediction, or what the refiner makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from linerefine.config import SessionConfig
from linerefine.geometry.tiles import blend, crop, tile_grid
from linerefine.session.consult import Consultation
from linerefine.types import Logits, Progress, Tile

__all__ = ["looked_at", "revised"]


def revised(
    consultation: Consultation, initial: Logits, config: SessionConfig, progress: Progress
) -> Logits:
    """Return what a refiner makes of a first prediction before there are strokes.

    Parameters
    ----------
    consultation : Consultation
        The image and the refiner, which is asked about one crop at a time.
    initial : ndarray of float32, shape (H, W)
        Logits of the first prediction.
    config : SessionConfig
        Crops overlap by two margins, over which their answers blend; on the grid not at all.
    progress : callable
        Told how many of the crops are done.

    Returns
    -------
    logits : ndarray of float32, shape (H, W)
        `initial` itself if the refiner has no opinion yet.
    """
    if not consultation.revises:
        return initial
    tiles, overlap = looked_at(initial.shape, config)

    def answers() -> Iterator[tuple[Tile, Logits]]:
        for done, tile in enumerate(tiles):
            progress("looking at the image", done, len(tiles))
            yield tile, consultation.revised(tile, crop(initial, tile))
        progress("looking at the image", len(tiles), len(tiles))

    return blend(answers(), initial.shape, overlap)


def looked_at(shape: tuple[int, int], config: SessionConfig) -> tuple[list[Tile], int]:
    """Return the crops of an image that a refiner is asked about, and by how much they overlap."""
    on_grid = config.placement == "grid"
    overlap = 0 if on_grid else min(2 * config.margin, config.crop // 2)
    return tile_grid(shape, config.crop, config.crop - overlap, inside=not on_grid), overlap
