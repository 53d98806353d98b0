"""What the simulated person would draw in a tile, and what would come of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from linerefine.evaluation.changes import Flips
from linerefine.evaluation.clock import Clock
from linerefine.evaluation.desk import Desk, Place
from linerefine.interfaces import UserSimulator
from linerefine.session import RefinementSession, Update
from linerefine.types import Operation, Stroke, Tile

__all__ = ["Option", "Proposals"]


@dataclass(frozen=True, eq=False)
class Option:
    """A stroke, what it would change, and which pixels of both masks that flips."""

    stroke: Stroke
    update: Update
    manual: Flips
    refined: Flips


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
    session : RefinementSession
    simulator : UserSimulator
    desk : Desk
    together : int
        Tiles asked for at a time; 1 asks for the one that is due.
    clock : Clock
    """

    def __init__(
        self,
        session: RefinementSession,
        simulator: UserSimulator,
        desk: Desk,
        together: int,
        clock: Clock,
    ) -> None:
        self._session = session
        self._simulator = simulator
        self._desk = desk
        self._together = together
        self._clock = clock
        self._waiting: dict[Place, _Proposal] = {}

    def take(self, place: Place) -> tuple[Option, ...]:
        """Return what could be drawn in a tile: an erase and an add stroke, either may lack."""
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
        options = iter(self._options([stroke for each in strokes for stroke in each]))
        for place, drawn, chance in zip(places, strokes, chances, strict=True):
            self._waiting[place] = _Proposal(tuple(next(options) for _ in drawn), chance)

    def _strokes(self, place: Place) -> list[Stroke]:
        session, tile = self._session, place.tile
        strokes = []
        for operation in (Operation.ERASE, Operation.ADD):  # ties go to erase, as the authors'
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

    def _options(self, strokes: Sequence[Stroke]) -> Iterable[Option]:
        started, before = perf_counter(), self._session.seconds
        batch = 1 if self._together == 1 else len(strokes)
        updates = self._session.preview(strokes, batch=max(batch, 1))
        network = self._session.seconds - before
        self._clock.add("network", network)
        now = self._clock.lap("merge", started + network)
        options = [self._option(*pair) for pair in zip(strokes, updates, strict=True)]
        self._clock.lap("score", now)
        return options

    def _option(self, stroke: Stroke, update: Update) -> Option:
        box, marked = update.box, update.marked
        refined = Flips.between(self._session.mask[box.index], update.mask, box)
        # Pasting a stroke changes the manual mask under the stroke and nowhere else.
        before = self._session.manual_mask[marked.index]
        after = update.manual[marked.within(box).index]
        return Option(
            stroke, update, Flips.between(before, np.ascontiguousarray(after), marked), refined
        )
