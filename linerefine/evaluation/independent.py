"""The independent loop: a person corrects what they see, and every stroke counts.

In words:

1. The desk holds the tiles of the image, the lowest score of what is shown on top.
2. Take the top tile; ask the simulator for one stroke on the mask that is shown.
3. Draw it, whatever comes of it, and put the tile back.
4. A tile in which there is nothing to draw is left, and comes back when an
   answer to a later stroke changes what is shown of it.

A refiner is never asked what would happen: one call per stroke. Each stroke
depends on the one before, so tiles are not worked on together.

Nobody goes in circles: what the person has added and erased by turns, TURNS
times over, they leave as it is, and so what no stroke can change any more, where
the first one has the last word (``session.overlap``).
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from linerefine.evaluation.clock import Clock
from linerefine.evaluation.desk import Desk, Place
from linerefine.evaluation.ledger import Ledger
from linerefine.evaluation.options import Option, options_of
from linerefine.evaluation.task import Task
from linerefine.samples import Target
from linerefine.types import Mask, Round, Stroke, Tile

__all__ = ["independent_rounds"]

TURNS = 2
"""How often the person may change their mind about a pixel."""


def independent_rounds(task: Task, ledger: Ledger) -> Iterator[Round]:
    """Lay the desk; return the rounds that follow, from round 1, until nothing is left to draw."""
    return _rounds(task, ledger, Desk.of(task, by="refined", recalls=True))


def _rounds(task: Task, ledger: Ledger, desk: Desk) -> Iterator[Round]:
    turns = _Turns(task)
    while (place := desk.worst()) is not None:
        stroke = _stroke(task, place, turns, ledger.clock)
        if stroke is None:
            continue
        # Worked out, not looked at: the stroke is drawn in any case, from this one answer.
        (option,) = options_of(task.session, [stroke], batch=1, clock=ledger.clock)
        started = perf_counter()
        turns.count(option)
        desk.update(option)
        desk.put_back(place)
        ledger.clock.lap("score", started)
        yield ledger.draw(place.tile, option)


class _Turns:
    """How often each pixel was erased after it had been added, or the other way round."""

    def __init__(self, task: Task) -> None:
        self._session = task.session
        self._times = np.zeros(task.session.shape, dtype=np.uint8)

    def count(self, option: Option) -> None:
        """Count what a stroke turns; it is not drawn yet."""
        marked = option.update.marked
        before = self._session.hints[marked.index]
        after = option.update.hints[marked.within(option.update.box).index]
        times = self._times[marked.index]
        times += (before * after < 0) & (times < TURNS)

    def seen(self, tile: Tile, target: Target) -> Mask:
        """Return the mask of a tile as the person sees it, who has made peace with some pixels."""
        is_settled = self._times[tile.index] >= TURNS
        if self._session.config.overlap == "first":
            is_settled |= self._session.hints[tile.index] != 0
        return np.where(is_settled, target.mask, self._session.mask[tile.index])


def _stroke(task: Task, place: Place, turns: _Turns, clock: Clock) -> Stroke | None:
    started, tile = perf_counter(), place.tile
    stroke = task.simulator.next_stroke(
        turns.seen(tile, place.score.target),
        place.score.target,
        task.session.hints[tile.index],
        operations=task.operations,
        rng=place.rng,
    )
    clock.lap("simulate", started)
    return None if stroke is None else stroke.shifted(tile.top, tile.left)
