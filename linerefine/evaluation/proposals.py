"""What the simulated person would draw in a tile, and what would come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from linerefine.evaluation.clock import Clock
from linerefine.evaluation.desk import Desk, Place
from linerefine.evaluation.options import Option, options_of
from linerefine.evaluation.task import Task
from linerefine.types import Operation, Stroke, Tile

__all__ = ["Proposals"]


@dataclass(frozen=True, eq=False)
class _Proposal:
    """The options of one tile, and where its random stream stood before they were drawn."""

    options: tuple[Option, ...]
    chance: Any


class Proposals:
    """Asks simulator and refiner what could be done in a tile, several tiles at a time.

    Tiles are chains of their own: what is proposed in one depends on its
    pixels, the crops around its strokes and its random stream alone. So the
    tiles that are next on the desk can be asked for together with the one
    that is due, in one call of the refiner. If a stroke is then drawn where a
    waiting proposal looked, that one is thrown away and its random stream set
    back, as if it had never been made.

    Parameters
    ----------
    task : Task
        ``lockstep`` tiles are asked for at a time; 1 asks for the one that is due.
    desk : Desk
    clock : Clock
    """

    def __init__(self, task: Task, desk: Desk, clock: Clock) -> None:
        self._session = task.session
        self._simulator = task.simulator
        # Ties go to erase, as the authors'.
        order = (Operation.ERASE, Operation.ADD)
        self._operations = [operation for operation in order if operation in task.operations]
        self._desk = desk
        self._together = task.lockstep
        self._clock = clock
        self._waiting: dict[Place, _Proposal] = {}

    def take(self, place: Place) -> tuple[Option, ...]:
        """Return what could be drawn in a tile: an erase and an add stroke, each may lack."""
        if place not in self._waiting:
            ahead = self._desk.next(self._together - 1) if self._together > 1 else []
            self._make([place, *(other for other in ahead if other not in self._waiting)])
        return self._waiting.pop(place).options

    def forget(self, box: Tile) -> None:
        """Throw away what looked at a rectangle that has changed."""
        for place, proposal in list(self._waiting.items()):
            looked_at = (place.tile, *(option.update.box for option in proposal.options))
            if any(tile.overlaps(box) for tile in looked_at):
                place.rng.bit_generator.state = proposal.chance
                del self._waiting[place]

    def _make(self, places: Sequence[Place]) -> None:
        started = perf_counter()
        chances = [place.rng.bit_generator.state for place in places]
        strokes = [self._strokes(place) for place in places]
        self._clock.lap("simulate", started)
        asked = [stroke for each in strokes for stroke in each]
        batch = 1 if self._together == 1 else max(len(asked), 1)
        options = iter(options_of(self._session, asked, batch=batch, clock=self._clock))
        for place, drawn, chance in zip(places, strokes, chances, strict=True):
            self._waiting[place] = _Proposal(tuple(next(options) for _ in drawn), chance)

    def _strokes(self, place: Place) -> list[Stroke]:
        session, tile = self._session, place.tile
        strokes = []
        for operation in self._operations:
            stroke = self._simulator.next_stroke(
                session.mask[tile.index],
                place.score.target,
                session.hints[tile.index],
                operations=frozenset({operation}),
                rng=place.rng,
            )
            if stroke is not None:
                strokes.append(stroke.shifted(tile.top, tile.left))
        return strokes
