"""Everything trained networks are measured by, cut into units that may be done anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.patches import keep_patch_scores, stored_patch_scores
from linerefine.experiment.sessions import announce, book, compared_with
from linerefine.experiment.work import PatchScores, PatchWork, Result, SessionWork, Unit
from linerefine.experiment.workers import Workers
from linerefine.tracking.rounds import has_session

__all__ = ["evaluate"]


def evaluate(bench: Bench, workers: Workers, keys: Sequence[SessionKey]) -> list[dict[str, Any]]:
    """Run the patch scores and sessions that the run folder does not hold yet.

    Each finished session is written at once; one that was interrupted is
    begun again from its first stroke.

    Parameters
    ----------
    bench : Bench
        Networks are trained, first predictions stored.
    workers : Workers
        Who does it.
    keys : sequence of SessionKey
        All sessions of the run.

    Returns
    -------
    rows : list of dict
        Patch scores, in the order of the refiners.
    """
    diary = _Diary(bench, frozenset(keys))
    units = list(_open_units(bench, keys, diary))
    # Closed here and not when the garbage is collected, so that an interrupt ends the workers.
    with closing(workers.run(bench, units)) as results:
        for done, result in enumerate(results, start=1):
            diary.keep(result, is_told=workers.is_live)
            if not workers.is_live:
                bench.notify.progress("patch scores and sessions", done, len(units))
    names = [part.key for part in bench.config.refiners]
    return [row for name in names for row in stored_patch_scores(bench, name) or ()]


def _open_units(bench: Bench, keys: Sequence[SessionKey], diary: _Diary) -> Iterator[Unit]:
    """Yield what is left to do, refiner by refiner; announce what an earlier command did."""
    names = [part.key for part in bench.config.refiners]
    for name in dict.fromkeys([*(key.refiner for key in keys), *names]):
        has_patches = bench.config.evaluation.patch_passes > 0
        if has_patches and stored_patch_scores(bench, name) is None:
            yield PatchWork(name)
        for key in keys:
            if key.refiner == name and not diary.has(key):
                yield SessionWork(key)


class _Diary:
    """Announces finished sessions, each after the one that its numbers compare it with."""

    def __init__(self, bench: Bench, keys: frozenset[SessionKey]) -> None:
        self._bench = bench
        self._open = set(keys)
        self._waiting: dict[SessionKey, list[tuple[SessionKey, str]]] = {}

    def has(self, key: SessionKey) -> bool:
        """Say whether an earlier command finished a session, and announce it if so."""
        if not has_session(self._bench.folder.rounds, key):
            return False
        self._tell(key, "stored")
        return True

    def keep(self, result: Result, *, is_told: bool) -> None:
        """Write a result down; observers hear of it unless its rounds were told as they ended."""
        if isinstance(result, PatchScores):
            keep_patch_scores(self._bench, result.refiner, result.rows)
            return
        book(self._bench, result)
        self._tell(result.key, result.reason, is_told=is_told)

    def _tell(self, key: SessionKey, reason: str, *, is_told: bool = False) -> None:
        first = compared_with(self._bench, key)
        if first in self._open and first != key:
            self._waiting.setdefault(first, []).append((key, reason))
            return
        announce(self._bench, key, reason, is_told=is_told)
        self._open.discard(key)
        for waiting in self._waiting.pop(key, ()):
            self._tell(*waiting)
