"""Draws what was decided, and keeps the scores, the effort and the time of a session."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import numpy as np

from linerefine.evaluation.clock import Clock
from linerefine.evaluation.consequences import Consequences, revision
from linerefine.evaluation.options import Option
from linerefine.evaluation.scores import ImageScores
from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Round, Tile

__all__ = ["Ledger"]


class Ledger:
    """The account of one session, from stroke to stroke.

    Parameters
    ----------
    session : RefinementSession
        Fresh; strokes are drawn in it.
    target : Target
        Of the whole image.
    metrics : mapping of str to Metric
    """

    def __init__(
        self, session: RefinementSession, target: Target, metrics: Mapping[str, Metric]
    ) -> None:
        self.clock = Clock()
        self._session = session
        self._target = target
        self._manual = ImageScores(session.manual_mask, target, metrics)
        self._refined = ImageScores(session.mask, target, metrics)
        self._drawn = 0
        self._effort = 0
        self._length = 0.0

    def begin(self) -> Round:
        """Return round 0: the first prediction, and what the refiner made of it by itself."""
        self.clock.add("network", self._session.seconds)
        manual, refined = self._scores()
        regret, repaired = revision(self._session, self._target)
        return Round(0, None, None, 0, 0.0, manual, refined, self.clock.read(), regret, repaired)

    def draw(self, tile: Tile, option: Option) -> Round:
        """Draw a stroke and return the round that it makes.

        Parameters
        ----------
        tile : Tile
            Where the person was at work.
        option : Option
            The stroke, looked at in the present state of the session.
        """
        started = perf_counter()
        came = Consequences.of(option, self._session, self._target)
        self.clock.lap("score", started)
        self._apply(option)
        manual, refined = self._scores()
        return Round(
            self._drawn,
            tile,
            option.stroke,
            self._effort,
            self._length,
            manual,
            refined,
            self.clock.read(),
            came.regret,
            came.repaired,
            came.compliance,
        )

    def _apply(self, option: Option) -> None:
        started, marked = perf_counter(), option.update.marked
        hinted = np.count_nonzero(self._session.hints[marked.index])
        self._session.apply(option.stroke)
        self._effort += int(np.count_nonzero(self._session.hints[marked.index]) - hinted)
        self._length += option.stroke.length
        self._drawn += 1
        now = self.clock.lap("log", started)
        self._manual.update(option.manual)
        self._refined.update(option.refined)
        self.clock.lap("score", now)

    def _scores(self) -> tuple[dict[str, float], dict[str, float]]:
        started = perf_counter()
        scores = self._manual.scores, self._refined.scores
        self.clock.lap("score", started)
        return scores
