"""One seed, many independent streams, each found again by its name."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["seed_for", "stream"]


def stream(seed: int, *words: str | int) -> np.random.Generator:
    """Return the random stream that belongs to a seed and some words.

    The order in which streams are asked for does not matter, so a resumed run
    draws what an uninterrupted one would have drawn.

    Parameters
    ----------
    seed : int
        The run's seed, >= 0.
    *words : str or int
        What the stream is for, such as ``"session", 2, "PHANTOM-01_R"``.

    Examples
    --------
    >>> a, b = stream(0, "session", 1), stream(0, "session", 1)
    >>> float(a.random()) == float(b.random())
    True
    """
    keys = [w if isinstance(w, int) else zlib.crc32(w.encode()) for w in words]
    return np.random.default_rng([seed, *keys])


def seed_for(seed: int, *words: str | int) -> int:
    """Return a 63-bit seed for libraries that take a number."""
    return int(stream(seed, *words).integers(2**63))
