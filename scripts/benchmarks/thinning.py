"""Our thinning beside scikit-image's, which it equals."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from skimage.morphology import thin as reference

from benchmarks.drawn import Row, drawn
from linerefine.geometry import thin


def thinning(megapixels: int = 15) -> list[Row]:
    """Return one row with both times in seconds and their ratio; refuses a difference."""
    lines = drawn(megapixels).lines
    assert lines is not None
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
            "image": " x ".join(map(str, lines.shape)),
            "ours, s": seconds[0],
            "scikit-image, s": seconds[1],
            "ratio": seconds[1] / seconds[0],
        }
    ]
