"""The shared loop: one person whose strokes make both curves, accepted if they help by hand.

In words (paper, section 5; the authors' loop is one setting of this one):

1. The desk holds the tiles of the image, the lowest manual score on top.
2. Take the top tile; ask the simulator for an erase stroke and an add stroke.
3. Preview both; keep the one after which the refined tile scores higher.
4. If pasting it improves the manual tile too, draw it and put the tile back;
   else the tile is retired after ``config.attempts`` such failures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

from linerefine.evaluation.clock import Clock
from linerefine.evaluation.desk import Desk, Place
from linerefine.evaluation.ledger import Ledger
from linerefine.evaluation.options import Option
from linerefine.evaluation.proposals import Proposals
from linerefine.evaluation.task import Task
from linerefine.types import Round

__all__ = ["shared_rounds"]


def shared_rounds(task: Task, ledger: Ledger) -> Iterator[Round]:
    """Lay the desk; return the rounds that follow, from round 1, until nothing improves."""
    desk = Desk.of(task, by="manual")
    return _rounds(task, ledger, desk, Proposals(task, desk, ledger.clock))


def _rounds(task: Task, ledger: Ledger, desk: Desk, proposals: Proposals) -> Iterator[Round]:
    while (place := desk.worst()) is not None:
        option = _choose(place, proposals.take(place), ledger.clock)
        if option is None:
            place.failures += 1
            if place.failures < task.config.attempts:
                desk.put_back(place)
            continue
        place.failures = 0
        started = perf_counter()
        desk.update(option)
        proposals.forget(option.update.box)
        desk.put_back(place)
        ledger.clock.lap("score", started)
        yield ledger.draw(place.tile, option)


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
