"""The units that a run is cut into, and whoever does them, one at a time.

A unit is small and says only what to do; a `Worker` holds what it takes to do
it, builds that once and reads everything else from the run folder. So it makes
no difference which process of which machine does a unit, or how often.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.patches import patch_scores
from linerefine.experiment.sessions import Played, play
from linerefine.experiment.stored import stored_refiner, stored_segmenter
from linerefine.refiners.base import Refiner
from linerefine.samples import Sample

__all__ = ["PatchScores", "PatchWork", "Result", "SessionWork", "Unit", "Worker"]

T = TypeVar("T")

SAMPLES_KEPT = 2
"""Consecutive units are mostly about one image, which is not decoded again."""


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
    """Does units at a bench; keeps the last refiner and the last few samples at hand."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._refiners: OrderedDict[str, Refiner] = OrderedDict()
        self._samples: OrderedDict[str, Sample] = OrderedDict()

    def do(self, unit: Unit) -> Result:
        """Return what a unit leads to; the same for whoever does it.

        Raises
        ------
        LineRefineError
            If data, networks or first predictions cannot be used.
        """
        match unit:
            case SessionWork(key):
                sample = _recalled(self._samples, key.image, self._bench.loader.load, SAMPLES_KEPT)
                return play(self._bench, key, self._refiner(key.refiner), sample)
            case PatchWork(name):
                segmenter = stored_segmenter(self._bench)
                rows = patch_scores(self._bench, name, self._refiner(name), segmenter)
                return PatchScores(name, rows)

    def _refiner(self, name: str) -> Refiner:
        return _recalled(self._refiners, name, lambda n: stored_refiner(self._bench, n), 1)


def _recalled(kept: OrderedDict[str, T], name: str, make: Callable[[str], T], most: int) -> T:
    """Return what is kept under a name, or make it and forget the oldest."""
    if name not in kept:
        while len(kept) >= most:
            kept.popitem(last=False)
        kept[name] = make(name)
    kept.move_to_end(name)
    return kept[name]
