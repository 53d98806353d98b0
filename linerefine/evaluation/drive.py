"""A simulated person works on one image until nothing improves or the budget is spent.

In words (paper, section 5; the authors' loop is one setting of this one):

1. The desk holds the tiles of the image, the lowest manual score on top.
2. Take the top tile; ask the simulator for an erase stroke and an add stroke.
3. Preview both; keep the one after which the refined tile scores higher.
4. If pasting it improves the manual tile too, apply it, score the image from
   what changed, and put the tile back; else the tile is retired after
   ``config.attempts`` such failures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from linerefine.config import EvaluationConfig
from linerefine.evaluation.desk import Desk, Place
from linerefine.evaluation.scores import ImageScores
from linerefine.interfaces import Metric, UserSimulator
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Mask, Operation, Round, Stroke, Tile

__all__ = ["DriveResult", "drive"]


@dataclass(frozen=True)
class DriveResult:
    """The rounds of one session, round 0 first, and why it ended."""

    rounds: tuple[Round, ...]
    reason: str


@dataclass
class _Ledger:
    """Scores and effort of one session so far."""

    session: RefinementSession
    manual: ImageScores
    refined: ImageScores
    effort: int = 0
    length: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, part: str, since: float) -> float:
        now = perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - since
        return now

    def book(self, index: int, place: Place | None, stroke: Stroke | None) -> Round:
        tile = None if place is None else place.tile
        seconds, self.seconds = self.seconds, {}
        return Round(
            index,
            tile,
            stroke,
            self.effort,
            self.length,
            self.manual.scores,
            self.refined.scores,
            seconds,
        )


def drive(
    session: RefinementSession,
    target: Target,
    simulator: UserSimulator,
    config: EvaluationConfig,
    *,
    metrics: Mapping[str, Metric],
    rng: np.random.Generator,
    on_round: Callable[[Round], None] = lambda _: None,
) -> DriveResult:
    """Let a simulator work on a session.

    Parameters
    ----------
    session : RefinementSession
        Fresh; left in its final state.
    target : Target
        Read by the simulator and the scores, never by the session.
    simulator : UserSimulator
        Prepared.
    config : EvaluationConfig
        Budget, attempts, and whether empty tiles are worked on.
    metrics : mapping of str to Metric
        The first one steers.
    rng : numpy.random.Generator
        The only source of chance.
    on_round : callable
        Called with every `Round` as it ends, round 0 included.

    Returns
    -------
    result : DriveResult
    """
    desk = Desk(
        session,
        target,
        next(iter(metrics.values())),
        size=session.config.crop,
        rng=rng,
        skip_empty=config.empty_tiles == "skip",
    )
    ledger = _Ledger(
        session,
        ImageScores(session.manual_mask, target, metrics),
        ImageScores(session.mask, target, metrics),
    )
    rounds = []
    for round_ in _rounds(session, simulator, config, desk, ledger):
        rounds.append(round_)
        on_round(round_)
        if round_.index == config.budget:
            return DriveResult(tuple(rounds), "budget spent")
    return DriveResult(tuple(rounds), "nothing left to improve")


def _rounds(
    session: RefinementSession,
    simulator: UserSimulator,
    config: EvaluationConfig,
    desk: Desk,
    ledger: _Ledger,
) -> Iterator[Round]:
    yield ledger.book(0, None, None)
    index = 0
    while (place := desk.worst()) is not None:
        stroke = _choose(session, simulator, place, ledger)
        if stroke is None:
            place.failures += 1
            if place.failures < config.attempts:
                desk.put_back(place)
            continue
        index += 1
        place.failures = 0
        _apply(session, stroke, desk, ledger)
        desk.put_back(place)
        yield ledger.book(index, place, stroke)


def _choose(
    session: RefinementSession, simulator: UserSimulator, place: Place, ledger: _Ledger
) -> Stroke | None:
    """Return the better of an erase and an add stroke if it also helps the manual mask."""
    start = perf_counter()
    tile = place.tile
    strokes = []
    for operation in (Operation.ERASE, Operation.ADD):  # ties go to erase, as the authors'
        stroke = simulator.next_stroke(
            session.mask[tile.index],
            place.score.target,
            session.hints[tile.index],
            operations=frozenset({operation}),
            rng=place.rng,
        )
        if stroke is not None:
            strokes.append(stroke.shifted(tile.top, tile.left))
    start = ledger.lap("simulate", start)
    if not strokes:
        return None
    updates = session.preview(strokes)
    start = ledger.lap("network", start)
    values = [
        place.score.value(_patched(session.mask, update.box, update.mask, tile))
        for update in updates
    ]
    best = max(range(len(strokes)), key=values.__getitem__)
    manual = session.manual_mask
    improved = _patched(manual, updates[best].box, updates[best].manual, tile)
    is_better = place.score.value(improved) > place.score.value(manual[tile.index])
    ledger.lap("score", start)
    return strokes[best] if is_better else None


def _apply(session: RefinementSession, stroke: Stroke, desk: Desk, ledger: _Ledger) -> None:
    start = perf_counter()
    (update,) = session.preview([stroke])
    hinted = np.count_nonzero(session.hints[update.box.index])
    session.apply(stroke)
    start = ledger.lap("network", start)
    ledger.effort += int(np.count_nonzero(update.hints) - hinted)
    ledger.length += stroke.length
    ledger.manual.update(update.box, update.manual)
    ledger.refined.update(update.box, update.mask)
    desk.refresh(update.marked)
    ledger.lap("score", start)


def _patched(mask: Mask, box: Tile, content: Mask, tile: Tile) -> Mask:
    """Return a tile of the mask as it would be with a rectangle replaced."""
    patched = mask[tile.index].copy()
    shared = Tile(
        max(box.top, tile.top),
        max(box.left, tile.left),
        min(box.bottom, tile.bottom),
        min(box.right, tile.right),
    )
    if shared.top < shared.bottom and shared.left < shared.right:
        patched[shared.within(tile).index] = content[shared.within(box).index]
    return patched
