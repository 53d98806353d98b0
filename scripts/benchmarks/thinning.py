"""Our thinning beside scikit-image's, which it equals."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from skimage.morphology import thin as reference

from benchmarks.scenes import scene
from linerefine.geometry import thin


def thinning(shape: tuple[int, int] = (3358, 4482)) -> list[dict[str, Any]]:
    """Return one row with both times in seconds and their ratio; refuses a difference."""
    lines, _ = scene(shape)
    started = perf_counter()
    ours = thin(lines)
    middle = perf_counter()
    theirs = reference(lines)
    seconds = middle - started, perf_counter() - middle
    if not np.array_equal(ours, theirs):
        msg = "thin differs from scikit-image's"
        raise RuntimeError(msg)
    return [
        {
            "image": f"{shape[0]} x {shape[1]}",
            "ours, s": seconds[0],
            "scikit-image, s": seconds[1],
            "ratio": seconds[1] / seconds[0],
        }
    ]
