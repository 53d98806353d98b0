"""The units that a run is cut into, and whoever does them, one at a time.

A unit is small and says only what to do; a `Worker` holds what it takes to do
it, builds that once and reads everything else from the run folder. So it makes
no difference which process of which machine does a unit, or how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.patches import patch_scores
from linerefine.experiment.sessions import Played, play
from linerefine.experiment.stored import stored_refiner, stored_segmenter
from linerefine.refiners.base import Refiner

__all__ = ["PatchScores", "PatchWork", "Result", "SessionWork", "Unit", "Worker"]


@dataclass(frozen=True)
class SessionWork:
    """One session: a refiner, a repeat, an image."""

    key: SessionKey

    def __str__(self) -> str:
        """Return what messages call it."""
        return f"session {self.key.refiner}, repeat {self.key.repeat + 1}, {self.key.image}"


@dataclass(frozen=True)
class PatchWork:
    """Scores of one refiner on the patches of the test images."""

    refiner: str

    def __str__(self) -> str:
        """Return what messages call it."""
        return f"patch scores of {self.refiner}"


@dataclass(frozen=True, eq=False)
class PatchScores:
    """What `PatchWork` leads to: one row per pass."""

    refiner: str
    rows: list[dict[str, Any]]


Unit: TypeAlias = SessionWork | PatchWork
Result: TypeAlias = Played | PatchScores


class Worker:
    """Does units at a bench; keeps the last refiner at hand."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._at_hand: tuple[str, Refiner] | None = None

    def do(self, unit: Unit) -> Result:
        """Return what a unit leads to; the same for whoever does it.

        Raises
        ------
        LineRefineError
            If data, networks or first predictions cannot be used.
        """
        match unit:
            case SessionWork(key):
                sample = self._bench.loaded(key.image)
                return play(self._bench, key, self._refiner(key.refiner), sample)
            case PatchWork(name):
                segmenter = stored_segmenter(self._bench)
                rows = patch_scores(self._bench, name, self._refiner(name), segmenter)
                return PatchScores(name, rows)

    def _refiner(self, name: str) -> Refiner:
        if self._at_hand is None or self._at_hand[0] != name:
            self._at_hand = name, stored_refiner(self._bench, name)
        return self._at_hand[1]
