"""Two runs side by side: the same tables, and nothing told twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from linerefine.events import (
    Event,
    RoundFinished,
    SessionFinished,
    SessionsPlanned,
    SessionStarted,
)


def forget(folder: Path) -> None:
    """Remove what sessions and patch scores left."""
    for path in [*folder.glob("rounds/*"), *folder.glob("patches*"), *folder.glob("*.parquet")]:
        path.unlink(missing_ok=True)
    for path in [*folder.glob("predictions/*.npz"), folder / "summary.json"]:
        path.unlink()


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return all tables of a run without what a clock says."""
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("rounds", "patches")}
    timed = [c for c in frames["rounds"].columns if c.startswith("seconds")]
    return {**frames, "rounds": frames["rounds"].drop(columns=timed)}


def assert_same(one: Path, other: Path) -> None:
    mine, theirs = tables(one), tables(other)
    for name, frame in mine.items():
        pd.testing.assert_frame_equal(frame, theirs[name], check_exact=True)
    masks = sorted(path.name for path in one.glob("predictions/*.npz"))
    assert masks == sorted(path.name for path in other.glob("predictions/*.npz"))
    for name in masks:
        with np.load(one / "predictions" / name) as a, np.load(other / "predictions" / name) as b:
            assert all(np.array_equal(a[side], b[side]) for side in ("manual", "refined"))


def assert_told_once(events: list[Event]) -> None:
    """Every planned session begins, has rounds 0, 1, ... and ends, exactly once."""
    planned = next(e.keys for e in events if isinstance(e, SessionsPlanned))
    for kind in (SessionStarted, SessionFinished):
        assert Counter(e.key for e in events if isinstance(e, kind)) == Counter(planned)
    ends = [e for e in events if isinstance(e, SessionFinished)]
    rounds = Counter((e.key, e.round.index) for e in events if isinstance(e, RoundFinished))
    assert rounds == Counter((e.key, index) for e in ends for index in range(e.rounds + 1))
