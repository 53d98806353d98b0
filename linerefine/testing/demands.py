"""What all contract checks share: sentences, untouched inputs, untouched chance."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

__all__ = ["demand", "unchanged", "unchanged_randomness"]


def demand(condition: object, sentence: str) -> None:
    """Raise an AssertionError with a sentence unless the condition holds."""
    if not condition:
        raise AssertionError(sentence)


@contextmanager
def unchanged(who: str, **arrays: NDArray[np.generic]) -> Iterator[None]:
    """Demand that a block leaves arrays as they are."""
    before = {name: array.copy() for name, array in arrays.items()}
    yield
    for name, array in arrays.items():
        demand(
            np.array_equal(before[name], array),
            f"{who} changed its argument `{name}`; work on a copy of it.",
        )


@contextmanager
def unchanged_randomness(who: str) -> Iterator[None]:
    """Demand that a block leaves the global random state of all libraries alone."""
    before = _states()
    yield
    for library, state in _states().items():
        if library not in before:
            continue
        demand(
            state == before[library],
            f"{who} drew from or seeded the global random state of {library}; "
            f"draw from the generator it is given, or from one of its own.",
        )


def _states() -> dict[str, object]:
    """Return the global random states as comparable values; torch's only if it is loaded."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (only looked at)
    states: dict[str, object] = {
        "random": random.getstate(),
        "numpy.random": (name, np.asarray(keys).tobytes(), *rest),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states
