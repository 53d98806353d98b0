"""The tiles of an image as a simulated person works through them, worst first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from linerefine.evaluation.options import Option
from linerefine.evaluation.scores import TileScore
from linerefine.evaluation.task import Task
from linerefine.geometry.tiles import tile_grid
from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Tile

__all__ = ["Desk", "Place"]


@dataclass(eq=False)
class Place:
    """One tile on the desk: its scores, and a random stream of its own.

    A stream per tile makes tiles independent chains: what is drawn in one
    does not depend on the order in which the others are visited.

    Parameters
    ----------
    index : int
        Number of the tile; of equally bad tiles the first is worked on first.
    tile : Tile
    score : TileScore
    rng : numpy.random.Generator
    manual, refined : ndarray of float64, shape (S,)
        Statistics of both masks, as the score measures them.
    version : int
        Counts how often the tile was laid on the desk.
    is_waiting : bool
        Whether it lies there.
    failures : int
        Fruitless tries in a row.
    """

    index: int
    tile: Tile
    score: TileScore
    rng: np.random.Generator
    manual: NDArray[np.float64]
    refined: NDArray[np.float64]
    version: int = 0
    is_waiting: bool = False
    failures: int = 0


class Desk:
    """A queue of tiles by the score of one of their two predictions, lowest first.

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
    by : {"manual", "refined"}
        Which prediction's score decides.
    recalls : bool
        Whether a tile that was taken off comes back when that prediction of it changes.
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
        by: Literal["manual", "refined"] = "manual",
        recalls: bool = False,
    ) -> None:
        self._size = size
        self._by: Literal["manual", "refined"] = by
        self._recalls = recalls
        tiles = [
            tile.clipped(session.shape) for tile in tile_grid(session.shape, size, inside=False)
        ]
        self._places: dict[tuple[int, int], Place] = {}
        self._queue: list[tuple[tuple[float, float], int, int, Place]] = []
        for tile, stream in zip(tiles, rng.spawn(len(tiles)), strict=True):
            score = TileScore(target.crop(tile), metric)
            if not score.target.roi.any() or (skip_empty and score.is_empty):
                continue
            masks = (session.manual_mask[tile.index], session.mask[tile.index])
            manual, refined = (score.measure(mask) for mask in masks)
            place = Place(len(self._places), tile, score, stream, manual, refined)
            self._places[tile.top // size, tile.left // size] = place
            self.put_back(place)

    @classmethod
    def of(cls, task: Task, *, by: Literal["manual", "refined"], recalls: bool = False) -> Self:
        """Return the desk of a task before anything is drawn."""
        return cls(
            task.session,
            task.target,
            task.metric,
            size=task.session.config.crop,
            rng=task.rng,
            skip_empty=task.config.empty_tiles == "skip",
            by=by,
            recalls=recalls,
        )

    def worst(self) -> Place | None:
        """Take the tile with the lowest score off the desk; None if it is empty."""
        while self._queue:
            _, _, version, place = heapq.heappop(self._queue)
            if place.version == version:
                place.is_waiting = False
                return place
        return None

    def next(self, count: int) -> list[Place]:
        """Return the tiles with the lowest scores, lowest first, and leave them on the desk."""
        current = (entry for entry in self._queue if entry[3].version == entry[2])
        return [place for *_, place in heapq.nsmallest(count, current)]

    def put_back(self, place: Place) -> None:
        """Lay a tile on the desk, where its score says."""
        place.version += 1
        place.is_waiting = True
        value = place.score.order(place.manual if self._by == "manual" else place.refined)
        heapq.heappush(self._queue, (value, place.index, place.version, place))

    def update(self, option: Option) -> None:
        """Take note of what drawing a stroke changes."""
        for place in self._touching(option.update.box):
            manual, refined = (
                flips.within(place.tile) for flips in (option.manual, option.refined)
            )
            place.manual = place.score.shifted(place.manual, manual)
            place.refined = place.score.shifted(place.refined, refined)
            decisive = manual if self._by == "manual" else refined
            if len(decisive.rows) and (place.is_waiting or self._recalls):
                self.put_back(place)

    def _touching(self, box: Tile) -> Iterator[Place]:
        for row in range(box.top // self._size, (box.bottom - 1) // self._size + 1):
            for col in range(box.left // self._size, (box.right - 1) // self._size + 1):
                if (row, col) in self._places:
                    yield self._places[row, col]
