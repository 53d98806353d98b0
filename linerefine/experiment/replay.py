"""A stored session played again: the same strokes, the same answers, this time to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from linerefine.errors import RunError
from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.sessions import session_for
from linerefine.experiment.stored import stored_refiner
from linerefine.session import RefinementSession
from linerefine.tracking.rounds import load_session
from linerefine.tracking.strips import Story, StoryState
from linerefine.types import Round, Tile

__all__ = ["busiest_tile", "replay", "story"]


def replay(
    bench: Bench, key: SessionKey, *, rounds: int | None = None
) -> Iterator[tuple[Round, RefinementSession]]:
    """Play a stored session again with the stored refiner.

    Parameters
    ----------
    bench : Bench
        Its run folder holds the session, the refiner and the first prediction.
    key : SessionKey
        Which session.
    rounds : int, optional
        Stop after so many strokes.

    Yields
    ------
    round : Round
        As it was stored, round 0 first.
    session : RefinementSession
        One object throughout, in the state after that round.

    Raises
    ------
    RunError
        If the run folder does not hold the session, or what it needs.
    """
    stored = _stored(bench, key)
    sample = bench.loaded(key.image)
    refiner = stored_refiner(bench, key.refiner)
    with bench.fast.running(key.refiner, refiner, len(stored)):
        session = session_for(bench, refiner, sample, key.refiner)
        for round_ in stored if rounds is None else stored[: rounds + 1]:
            if round_.stroke is not None:
                session.apply(round_.stroke)
            yield round_, session


def busiest_tile(rounds: Sequence[Round]) -> Tile | None:
    """Return the tile that got most strokes, the first of equals; None if there is no stroke."""
    counts = Counter(round_.tile for round_ in rounds if round_.tile is not None)
    return counts.most_common(1)[0][0] if counts else None


def story(bench: Bench, key: SessionKey, *, strokes: int = 12) -> Story | None:
    """Return what happened in the tile of a session that got most strokes.

    Parameters
    ----------
    bench : Bench
        As for `replay`.
    key : SessionKey
        Which session.
    strokes : int
        Most strokes; the first ones of that tile.

    Returns
    -------
    story : Story or None
        The part of the tile inside the image; None if nothing was drawn.

    Raises
    ------
    RunError
        If the run folder does not hold the session, or what it needs.
    """
    stored = _stored(bench, key)
    tile = busiest_tile(stored)
    if tile is None:
        return None
    here = [round_.index for round_ in stored if round_.tile == tile][:strokes]
    sample = bench.loaded(key.image)
    inside = tile.clipped(sample.shape)
    states = tuple(
        _state(round_, session, inside)
        for round_, session in replay(bench, key, rounds=here[-1])
        if round_.index in {0, *here}
    )
    return Story(
        image=np.asarray(sample.image[0][inside.index]),
        target=None if sample.lines is None else sample.lines[inside.index],
        states=states,
        roi=sample.roi[inside.index],
    )


def _state(round_: Round, session: RefinementSession, tile: Tile) -> StoryState:
    stroke = None if round_.stroke is None else round_.stroke.shifted(-tile.top, -tile.left)
    return StoryState(session.mask[tile.index].copy(), session.hints[tile.index].copy(), stroke)


def _stored(bench: Bench, key: SessionKey) -> list[Round]:
    rounds = load_session(bench.folder.rounds, key)
    if rounds is None:
        msg = (
            f"{bench.folder.path} holds no session of refiner '{key.refiner}', repeat "
            f"{key.repeat}, image '{key.image}'. Resume the run to have it made."
        )
        raise RunError(msg)
    return rounds
