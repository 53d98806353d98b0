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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from linerefine.config import EvaluationConfig
from linerefine.evaluation.clock import Clock
from linerefine.evaluation.desk import Desk, Place
from linerefine.evaluation.proposals import Option, Proposals
from linerefine.evaluation.scores import ImageScores, by_additivity, scored_at_both_ends
from linerefine.interfaces import Metric, UserSimulator
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Round, Stroke

__all__ = ["DriveResult", "drive"]


@dataclass(frozen=True)
class DriveResult:
    """The rounds of one session, round 0 first, and why it ended."""

    rounds: tuple[Round, ...]
    reason: str


@dataclass
class _Ledger:
    """Scores, effort and time of one session so far."""

    manual: ImageScores
    refined: ImageScores
    clock: Clock = field(default_factory=Clock)
    effort: int = 0
    length: float = 0.0

    def note(self, option: Option, hinted: int) -> None:
        self.effort += hinted
        self.length += option.stroke.length
        self.manual.update(option.manual)
        self.refined.update(option.refined)

    def book(self, index: int, place: Place | None, stroke: Stroke | None) -> Round:
        started = perf_counter()
        manual, refined = self.manual.scores, self.refined.scores
        self.clock.lap("score", started)
        tile = None if place is None else place.tile
        return Round(
            index, tile, stroke, self.effort, self.length, manual, refined, self.clock.read()
        )


def drive(
    session: RefinementSession,
    target: Target,
    simulator: UserSimulator,
    config: EvaluationConfig,
    *,
    metrics: Mapping[str, Metric],
    rng: np.random.Generator,
    lockstep: int = 1,
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
        The first one steers. Those that are not additive are scored in round 0
        and in the last round only; rounds are then told one round later.
    rng : numpy.random.Generator
        The only source of chance.
    lockstep : int
        Tiles that are worked on together, in one call of the refiner. The
        rounds are the same for any number, as far as the refiner's answer to
        a crop does not depend on what else is in the batch.
    on_round : callable
        Called with every `Round` as it ends, round 0 included.

    Returns
    -------
    result : DriveResult
    """
    metrics, others = by_additivity(metrics)
    desk = Desk(
        session,
        target,
        next(iter(metrics.values())),
        size=session.config.crop,
        rng=rng,
        skip_empty=config.empty_tiles == "skip",
    )
    ledger = _Ledger(
        ImageScores(session.manual_mask, target, metrics),
        ImageScores(session.mask, target, metrics),
    )
    proposals = Proposals(session, simulator, desk, lockstep, ledger.clock)
    rounds = []
    played = _rounds(session, config, desk, proposals, ledger)
    for round_ in scored_at_both_ends(played, session, target, others, config.budget):
        rounds.append(round_)
        started = perf_counter()
        on_round(round_)
        ledger.clock.lap("log", started)
        if round_.index == config.budget:
            return DriveResult(tuple(rounds), "budget spent")
    return DriveResult(tuple(rounds), "nothing left to improve")


def _rounds(
    session: RefinementSession,
    config: EvaluationConfig,
    desk: Desk,
    proposals: Proposals,
    ledger: _Ledger,
) -> Iterator[Round]:
    yield ledger.book(0, None, None)
    index = 0
    while (place := desk.worst()) is not None:
        option = _choose(place, proposals.take(place), ledger.clock)
        if option is None:
            place.failures += 1
            if place.failures < config.attempts:
                desk.put_back(place)
            continue
        index += 1
        place.failures = 0
        _apply(option, session, desk, ledger)
        proposals.forget(option.update.box)
        desk.put_back(place)
        yield ledger.book(index, place, option.stroke)


def _choose(place: Place, options: Sequence[Option], clock: Clock) -> Option | None:
    """Return the better option for the refined tile if it also helps the manual one."""
    if not options:
        return None
    started = perf_counter()
    score = place.score
    values = [
        score.order(score.shifted(place.refined, option.refined.within(place.tile)))
        for option in options
    ]
    best = options[max(range(len(options)), key=values.__getitem__)]
    improved = score.shifted(place.manual, best.manual.within(place.tile))
    is_better = score.order(improved) > score.order(place.manual)
    clock.lap("score", started)
    return best if is_better else None


def _apply(option: Option, session: RefinementSession, desk: Desk, ledger: _Ledger) -> None:
    started, box, marked = perf_counter(), option.update.box, option.update.marked
    hinted = np.count_nonzero(session.hints[marked.index])
    session.apply(option.stroke)
    hinted = np.count_nonzero(session.hints[marked.index]) - hinted
    now = ledger.clock.lap("log", started)
    ledger.note(option, int(hinted))
    desk.update(box, option.manual, option.refined)
    ledger.clock.lap("score", now)
