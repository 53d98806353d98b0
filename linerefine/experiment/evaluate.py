"""Everything trained networks are measured by, cut into units that may be done anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.patches import keep_patch_scores, stored_patch_scores
from linerefine.experiment.sessions import announce_rounds, announce_stored, book
from linerefine.experiment.work import PatchScores, PatchWork, Result, SessionWork, Unit
from linerefine.experiment.workers import Workers

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
    units = list(_open_units(bench, keys))
    # Closed here and not when the garbage is collected, so that an interrupt ends the workers.
    with closing(workers.run(bench, units)) as results:
        for done, result in enumerate(results, start=1):
            _keep(bench, result, is_told=workers.is_live)
            if not workers.is_live:
                bench.notify.progress("patch scores and sessions", done, len(units))
    names = [part.key for part in bench.config.refiners]
    return [row for name in names for row in stored_patch_scores(bench, name) or ()]


def _open_units(bench: Bench, keys: Sequence[SessionKey]) -> Iterator[Unit]:
    """Yield what is left to do, refiner by refiner; announce what an earlier command did."""
    for component in bench.config.refiners:
        has_patches = bench.config.evaluation.patch_passes > 0
        if has_patches and stored_patch_scores(bench, component.key) is None:
            yield PatchWork(component.key)
        for key in keys:
            if key.refiner == component.key and not announce_stored(bench, key):
                yield SessionWork(key)


def _keep(bench: Bench, result: Result, *, is_told: bool) -> None:
    if isinstance(result, PatchScores):
        keep_patch_scores(bench, result.refiner, result.rows)
        return
    if not is_told:
        announce_rounds(bench, result.key, result.rounds)
    book(bench, result)
