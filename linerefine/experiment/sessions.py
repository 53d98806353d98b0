"""Simulated sessions on whole images: every refiner, every repeat, every image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from linerefine.cache import atomic_write
from linerefine.chance import stream
from linerefine.evaluation.drive import drive
from linerefine.evaluation.numbers import session_numbers
from linerefine.evaluation.sessions import by_hand
from linerefine.events import RoundFinished, SessionFinished, SessionKey, SessionStarted
from linerefine.experiment.bench import Bench
from linerefine.experiment.stored import refiner_named, stored_prediction, stored_refiner
from linerefine.geometry.tiles import crop
from linerefine.refiners.base import Refiner
from linerefine.samples import Sample
from linerefine.session import RefinementSession
from linerefine.tracking import rounds as table
from linerefine.types import Logits, Mask, Operation, Round, Stroke, Tile

__all__ = [
    "Played",
    "all_rounds",
    "announce",
    "book",
    "compared_with",
    "masks_path",
    "plan_sessions",
    "play",
    "session_for",
    "settle_backend",
    "test_samples",
]


@dataclass(frozen=True, eq=False)
class Played:
    """A finished session, on its way to the tables.

    Parameters
    ----------
    key : SessionKey
        Which session.
    rounds : tuple of Round
        Round 0 first.
    reason : str
        Why it ended.
    masks : tuple of two ndarray of bool, shape (H, W), or None
        Manual and refined at the end; of the first repeat only.
    """

    key: SessionKey
    rounds: tuple[Round, ...]
    reason: str
    masks: tuple[Mask, Mask] | None = None


def play(bench: Bench, key: SessionKey, refiner: Refiner, sample: Sample) -> Played:
    """Run one session and write nothing; observers of the bench are told of each round."""
    bench.notify(SessionStarted(key, bench.config.evaluation.budget))
    assert sample.target is not None  # sessions are planned on annotated samples only
    with bench.fast.running(key.refiner, refiner, bench.session_calls):
        session = session_for(bench, refiner, sample, key.refiner)
        result = drive(
            session,
            sample.target,
            bench.simulator_for(key.refiner),
            bench.config.evaluation,
            metrics=bench.metrics,
            # The same chance for every refiner, so that they are compared on equal terms.
            rng=stream(bench.config.seed, "session", key.repeat, key.image),
            operations=_operations(bench, key.refiner),
            lockstep=_lockstep(bench),
            on_round=lambda round_: bench.notify(RoundFinished(key, round_)),
        )
    masks = (session.manual_mask, session.mask) if key.repeat == 0 else None
    return Played(key, result.rounds, result.reason, masks)


def settle_backend(bench: Bench, name: str) -> None:
    """Let the back-end of a refiner be chosen on one real crop, before work is handed out.

    Whoever runs its sessions then takes what was chosen from the run folder,
    so that all of them compute alike.
    """
    sample = next(test_samples(bench), None)
    if sample is None:
        return
    refiner = stored_refiner(bench, name)
    assert sample.lines is not None  # what test_samples yields is annotated
    rows, cols = np.nonzero(sample.lines if sample.lines.any() else sample.roi)
    size, middle = bench.config.session.crop, len(rows) // 2
    top, left = int(rows[middle]) - size // 2, int(cols[middle]) - size // 2
    place = Tile(top, left, top + size, left + size)
    dot = Stroke(np.full((1, 2), size // 2), 3.0, Operation.ADD)
    image, initial = crop(sample.image, place), crop(stored_prediction(bench, sample), place)
    with bench.fast.running(name, refiner, bench.session_calls):
        session = RefinementSession(
            image, initial, refiner, bench.config.session, device=bench.device
        )
        session.preview([dot])


def book(bench: Bench, played: Played) -> None:
    """Write a finished session to the run folder."""
    if played.masks is not None:
        _keep_masks(bench, played.key, *played.masks)
    table.write_session(bench.folder.rounds, played.key, played.rounds, bench.steering)


def _operations(bench: Bench, refiner: str) -> frozenset[Operation]:
    """Return what the person may do in the sessions of a refiner."""
    named = refiner_named(bench, refiner).operations
    return frozenset(Operation[operation.upper()] for operation in named)


def _lockstep(bench: Bench) -> int:
    """Return how many tiles are asked for at a time."""
    asked = bench.config.evaluation.lockstep
    if asked != "auto":
        return asked
    if bench.device.type == "cpu":
        return 1
    # Crops around strokes reach into other tiles, whose proposals are then thrown away.
    return 16 if bench.config.session.placement == "grid" else 4


def masks_path(bench: Bench, refiner: str, image: str) -> Path:
    """Return where the final masks of a refiner's first repeat on an image are kept."""
    return bench.folder.predictions / f"{refiner}-{image.replace('/', '_')}.npz"


def _keep_masks(bench: Bench, key: SessionKey, manual: Mask, refined: Mask) -> None:
    path = masks_path(bench, key.refiner, key.image)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, manual=manual, refined=refined)


def announce(bench: Bench, key: SessionKey, reason: str, *, is_told: bool = False) -> None:
    """Tell observers about a session that the run folder holds.

    Parameters
    ----------
    bench : Bench
        Whose observers.
    key : SessionKey
        Which session.
    reason : str
        Why it ended.
    is_told : bool
        Whether they have heard of its rounds.
    """
    rounds = table.load_session(bench.folder.rounds, key)
    assert rounds is not None  # whoever announces has written it, or seen that it is there
    if not is_told:
        bench.notify(SessionStarted(key, bench.config.evaluation.budget))
        for round_ in rounds:
            bench.notify(RoundFinished(key, round_))
    evaluation = bench.config.evaluation
    numbers = session_numbers(
        table.session_frame(key, rounds, bench.steering),
        bench.steering,
        loop=evaluation.loop,
        budget=evaluation.budget,
        manual=_by_hand(bench, key),
    )
    bench.notify(SessionFinished(key, len(rounds) - 1, reason, numbers))


def compared_with(bench: Bench, key: SessionKey) -> SessionKey | None:
    """Return the manual person's session that a session is compared with, None if none is."""
    if bench.config.evaluation.loop == "shared":
        return None
    return SessionKey(by_hand(bench.config.refiners), key.repeat, key.image)


def _by_hand(bench: Bench, key: SessionKey) -> pd.DataFrame | None:
    other = compared_with(bench, key)
    rounds = None if other is None else table.load_session(bench.folder.rounds, other)
    if other is None or rounds is None:
        return None
    return table.session_frame(other, rounds, bench.steering)


def plan_sessions(bench: Bench, images: Sequence[str]) -> tuple[SessionKey, ...]:
    """Return the keys of all sessions on some images, in the order they are run.

    Those that others are compared with come first (`compared_with`).
    """
    evaluation, names = bench.config.evaluation, [part.key for part in bench.config.refiners]
    repeats = range(evaluation.repeats)
    if evaluation.loop == "independent":
        names.sort(key=by_hand(bench.config.refiners).__ne__)
    return tuple(
        SessionKey(name, repeat, image) for name in names for image in images for repeat in repeats
    )


def session_for(bench: Bench, refiner: Refiner, sample: Sample, name: str) -> RefinementSession:
    """Return a fresh session of the refiner `name` on a sample whose first prediction is stored."""
    return session_on(bench, refiner, sample, stored_prediction(bench, sample), name)


def session_on(
    bench: Bench, refiner: Refiner, sample: Sample, initial: Logits, name: str
) -> RefinementSession:
    """Return a fresh session of the refiner `name` on a sample and its first prediction."""
    looks = f"{name} looks at {sample.name}"
    return RefinementSession(
        sample.image,
        initial,
        refiner,
        bench.config.session,
        device=bench.device,
        progress=lambda _, done, total: bench.notify.progress(looks, done, total),
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
