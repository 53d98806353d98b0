"""A simulated person works on one image until nothing is left to do or the budget is spent.

Two kinds of person: `linerefine.evaluation.shared`, as in the paper, and
`linerefine.evaluation.independent`, who knows the target with their eyes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

import numpy as np

from linerefine.config import EvaluationConfig
from linerefine.evaluation.independent import independent_rounds
from linerefine.evaluation.ledger import Ledger
from linerefine.evaluation.scores import by_additivity, scored_at_both_ends
from linerefine.evaluation.shared import shared_rounds
from linerefine.evaluation.task import Task
from linerefine.interfaces import Metric, UserSimulator
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Operation, Round

__all__ = ["DriveResult", "drive"]

_LOOPS: Mapping[str, Callable[[Task, Ledger], Iterator[Round]]] = {
    "shared": shared_rounds,
    "independent": independent_rounds,
}
_ENDS = {"shared": "nothing left to improve", "independent": "nothing left to draw"}


@dataclass(frozen=True)
class DriveResult:
    """The rounds of one session, round 0 first, and why it ended."""

    rounds: tuple[Round, ...]
    reason: str


def drive(
    session: RefinementSession,
    target: Target,
    simulator: UserSimulator,
    config: EvaluationConfig,
    *,
    metrics: Mapping[str, Metric],
    rng: np.random.Generator,
    operations: frozenset[Operation] = frozenset(Operation),
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
        Loop, budget, attempts, and whether empty tiles are worked on.
    metrics : mapping of str to Metric
        The first one steers. Those that are not additive are scored in round 0
        and in the last round only; rounds are then told one round later.
    rng : numpy.random.Generator
        The only source of chance.
    operations : frozenset of Operation
        What the person may do in this session (paper, Table 2).
    lockstep : int
        Tiles that are worked on together, in one call of the refiner. The
        rounds are the same for any number, as far as the refiner's answer to
        a crop does not depend on what else is in the batch. The independent
        loop takes one tile at a time whatever this says.
    on_round : callable
        Called with every `Round` as it ends, round 0 included.

    Returns
    -------
    result : DriveResult
    """
    metrics, others = by_additivity(metrics)
    metric = next(iter(metrics.values()))
    task = Task(session, target, simulator, operations, config, metric, rng, lockstep)
    ledger = Ledger(session, target, metrics)
    rounds: list[Round] = []
    following = _LOOPS[config.loop](task, ledger)
    played = chain([ledger.begin()], following)
    for round_ in scored_at_both_ends(played, session, target, others, config.budget):
        rounds.append(round_)
        started = perf_counter()
        on_round(round_)
        ledger.clock.lap("log", started)
        if round_.index == config.budget:
            return DriveResult(tuple(rounds), "budget spent")
    return DriveResult(tuple(rounds), _ENDS[config.loop])
