"""The tiles of an image as a simulated person works through them, worst first."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from linerefine.evaluation.scores import TileScore
from linerefine.geometry.tiles import tile_grid
from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Tile

__all__ = ["Desk", "Place"]


@dataclass
class Place:
    """One tile on the desk: its score, and a random stream of its own.

    A stream per tile makes tiles independent chains: what is drawn in one
    does not depend on the order in which the others are visited.
    """

    tile: Tile
    score: TileScore
    rng: np.random.Generator
    version: int = 0
    failures: int = 0


class Desk:
    """A queue of tiles by the score of their manual prediction, lowest first.

    Parameters
    ----------
    session : RefinementSession
    target : Target
        Of the whole image.
    metric : Metric
        Steers.
    size : int
        Edge of a tile, pixels.
    rng : numpy.random.Generator
        Spawns one stream per tile.
    skip_empty : bool
        Leave out tiles without target lines, as the authors' code does.
    """

    def __init__(
        self,
        session: RefinementSession,
        target: Target,
        metric: Metric,
        *,
        size: int,
        rng: np.random.Generator,
        skip_empty: bool,
    ) -> None:
        self._session = session
        tiles = [
            tile.clipped(session.shape) for tile in tile_grid(session.shape, size, inside=False)
        ]
        self.places: list[Place] = []
        self._queue: list[tuple[tuple[float, int], int, int]] = []
        for tile, stream in zip(tiles, rng.spawn(len(tiles)), strict=True):
            place = Place(tile, TileScore(target.crop(tile), metric), stream)
            if not place.score.target.roi.any() or (skip_empty and place.score.is_empty):
                continue
            self.places.append(place)
            self._push(len(self.places) - 1)

    def worst(self) -> Place | None:
        """Take the tile with the lowest score off the desk; None if it is empty."""
        while self._queue:
            _, index, version = heapq.heappop(self._queue)
            if self.places[index].version == version:
                return self.places[index]
        return None

    def put_back(self, place: Place) -> None:
        """Lay a tile on the desk again."""
        self._push(self.places.index(place))

    def refresh(self, box: Tile) -> None:
        """Re-order the tiles still on the desk that a changed rectangle touches."""
        waiting = {index for _, index, version in self._queue if self._is_current(index, version)}
        for index in sorted(waiting):
            if self.places[index].tile.overlaps(box):
                self._push(index)

    def _is_current(self, index: int, version: int) -> bool:
        return self.places[index].version == version

    def _push(self, index: int) -> None:
        place = self.places[index]
        place.version += 1
        value = place.score.value(self._session.manual_mask[place.tile.index])
        heapq.heappush(self._queue, (value, index, place.version))
