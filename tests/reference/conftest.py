"""Outputs of the authors' unmodified functions, read at run time and never committed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]


def reference_file() -> Path:
    shared = os.environ.get("LINEREFINE_SHARED", str(REPOSITORY.parent / "shared"))
    return Path(shared) / "reference" / "reference.npz"


@pytest.fixture(scope="session")
def reference() -> dict[str, np.ndarray]:
    """All arrays by name; packed masks unpacked to bool."""
    path = reference_file()
    if not path.exists():
        pytest.skip(f"reference values absent: {path} does not exist (set LINEREFINE_SHARED)")
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, array in arrays.items():
        if array.dtype == np.uint8 and array.ndim == 3:
            arrays[name] = np.unpackbits(array, axis=-1).astype(bool)
    return arrays
