"""A stroke that could be drawn, and what would come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from linerefine.evaluation.changes import Flips
from linerefine.evaluation.clock import Clock
from linerefine.session import RefinementSession, Update
from linerefine.types import Stroke

__all__ = ["Option", "options_of"]


@dataclass(frozen=True, eq=False)
class Option:
    """A stroke, what it would change, and which pixels of both masks that flips."""

    stroke: Stroke
    update: Update
    manual: Flips
    refined: Flips


def options_of(
    session: RefinementSession, strokes: Sequence[Stroke], *, batch: int, clock: Clock
) -> list[Option]:
    """Return what each of some strokes would change, each on its own.

    Parameters
    ----------
    session : RefinementSession
        Stays as it is; applying one of the strokes next costs no second call.
    strokes : sequence of Stroke
    batch : int
        Most crops in one call of the refiner.
    clock : Clock
        Booked are ``network``, ``merge`` and ``score``.
    """
    started, before = perf_counter(), session.seconds
    updates = session.preview(strokes, batch=batch)
    network = session.seconds - before
    clock.add("network", network)
    now = clock.lap("merge", started + network)
    options = [_option(session, *pair) for pair in zip(strokes, updates, strict=True)]
    clock.lap("score", now)
    return options


def _option(session: RefinementSession, stroke: Stroke, update: Update) -> Option:
    box, marked = update.box, update.marked
    refined = Flips.between(session.mask[box.index], update.mask, box)
    # Pasting a stroke changes the manual mask under the stroke and nowhere else.
    before = session.manual_mask[marked.index]
    after = np.ascontiguousarray(update.manual[marked.within(box).index])
    return Option(stroke, update, Flips.between(before, after, marked), refined)
