"""Simulated sessions on whole images: every refiner, every repeat, every image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from linerefine.cache import atomic_write
from linerefine.chance import stream
from linerefine.config import Component
from linerefine.evaluation.drive import drive
from linerefine.evaluation.summary import session_numbers
from linerefine.events import RoundFinished, SessionFinished, SessionKey, SessionStarted
from linerefine.experiment.bench import Bench
from linerefine.experiment.networks import first_prediction
from linerefine.models.segmenter import Segmenter
from linerefine.refiners.base import Refiner
from linerefine.samples import Sample
from linerefine.session import RefinementSession
from linerefine.tracking import rounds as table
from linerefine.types import Round

__all__ = [
    "all_rounds",
    "masks_path",
    "plan_sessions",
    "run_sessions",
    "session_for",
    "test_samples",
]


def run_sessions(
    bench: Bench, component: Component, refiner: Refiner, segmenter: Segmenter
) -> None:
    """Run the sessions of one refiner that the run folder does not hold yet.

    Each finished session is written at once; one that was interrupted is
    begun again from its first stroke.
    """
    for sample in test_samples(bench):
        for repeat in range(bench.config.evaluation.repeats):
            key = SessionKey(component.name, repeat, sample.name)
            stored = table.load_session(bench.folder.rounds, key)
            if stored is None:
                _run_one(bench, key, refiner, segmenter, sample)
            else:
                _announce(bench, key, stored, "stored")


def _run_one(
    bench: Bench, key: SessionKey, refiner: Refiner, segmenter: Segmenter, sample: Sample
) -> None:
    budget = bench.config.evaluation.budget
    bench.notify(SessionStarted(key, budget))
    session = session_for(bench, refiner, segmenter, sample)
    assert sample.target is not None  # test_samples yields annotated ones only
    result = drive(
        session,
        sample.target,
        bench.simulator,
        bench.config.evaluation,
        metrics=bench.metrics,
        # The same chance for every refiner, so that they are compared on equal terms.
        rng=stream(bench.config.seed, "session", key.repeat, key.image),
        on_round=lambda round_: bench.notify(RoundFinished(key, round_)),
    )
    if key.repeat == 0:
        _keep_masks(bench, key, session)
    table.write_session(bench.folder.rounds, key, result.rounds, bench.steering)
    _finish(bench, key, result.rounds, result.reason)


def masks_path(bench: Bench, refiner: str, image: str) -> Path:
    """Return where the final masks of a refiner's first repeat on an image are kept."""
    return bench.folder.predictions / f"{refiner}-{image.replace('/', '_')}.npz"


def _keep_masks(bench: Bench, key: SessionKey, session: RefinementSession) -> None:
    path = masks_path(bench, key.refiner, key.image)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, manual=session.manual_mask, refined=session.mask)


def _announce(bench: Bench, key: SessionKey, rounds: list[Round], reason: str) -> None:
    """Tell observers about a session that an earlier command finished."""
    bench.notify(SessionStarted(key, bench.config.evaluation.budget))
    for round_ in rounds:
        bench.notify(RoundFinished(key, round_))
    _finish(bench, key, rounds, reason)


def _finish(bench: Bench, key: SessionKey, rounds: Sequence[Round], reason: str) -> None:
    numbers = session_numbers(table.session_frame(key, rounds, bench.steering), bench.steering)
    bench.notify(SessionFinished(key, len(rounds) - 1, reason, numbers))


def plan_sessions(bench: Bench) -> tuple[SessionKey, ...]:
    """Return the keys of all sessions of a run, in the order they are run."""
    images = [sample.name for sample in test_samples(bench)]
    repeats = range(bench.config.evaluation.repeats)
    return tuple(
        SessionKey(component.name, repeat, image)
        for component in bench.config.refiners
        for image in images
        for repeat in repeats
    )


def session_for(
    bench: Bench, refiner: Refiner, segmenter: Segmenter, sample: Sample
) -> RefinementSession:
    """Return a fresh session on a sample."""
    return RefinementSession(
        sample.image,
        first_prediction(bench, segmenter, sample),
        refiner,
        bench.config.session,
        device=bench.device,
    )


def test_samples(bench: Bench) -> Iterator[Sample]:
    """Yield the annotated samples of the test split, one at a time."""
    for name in bench.loader.names("test"):
        sample = bench.loaded(name)
        if sample.lines is not None:
            yield sample


def all_rounds(bench: Bench) -> pd.DataFrame:
    """Return the table of every finished session of this run."""
    return table.read_sessions(bench.folder.rounds)
