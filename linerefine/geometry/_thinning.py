"""Guo and Hall's thinning, visiting only pixels that may still change.

Gives what scikit-image's ``morphology.thin`` gives, pixel for pixel, several
times faster: there each half-iteration looks at the whole image.

References
----------
Z. Guo and R. W. Hall, "Parallel thinning with two-subiteration algorithms",
Comm. ACM 32 (3), 359-373, 1989. DOI 10.1145/62065.62074
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from linerefine.types import Mask

__all__ = ["thin_pixels"]

# Counter-clockwise from east, as x1 ... x8 in the paper.
_NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def thin_pixels(mask: Mask) -> Mask:
    """Return the thinned mask; see `linerefine.geometry.centreline.thin`."""
    padded = np.pad(mask, 1).view(np.uint8)
    flat = padded.reshape(-1)
    steps = np.array([row * padded.shape[1] + col for row, col in _NEIGHBOURS], dtype=np.intp)
    queued = np.zeros(len(flat), dtype=np.bool_)
    everything = np.flatnonzero(flat)
    before = _delete(flat, everything, steps, phase=0)
    gone = _delete(flat, everything[flat[everything] > 0], steps, phase=1)
    phase = 0
    while len(before) + len(gone) > 0:
        # A pixel is due again only if a neighbour went since this phase last looked at it:
        # in that last look itself or in the other phase's after it.
        due = _set_neighbours(flat, np.concatenate([before, gone]), steps, queued)
        before, gone = gone, _delete(flat, due, steps, phase=phase)
        phase = 1 - phase
    return padded[1:-1, 1:-1].astype(np.bool_)


def _set_neighbours(
    flat: NDArray[np.uint8],
    pixels: NDArray[np.intp],
    steps: NDArray[np.intp],
    queued: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return the set neighbours of `pixels`, each once; `queued` is all False before and after."""
    found = []
    for step in steps:
        beside = pixels + step
        beside = beside[(flat[beside] > 0) & ~queued[beside]]
        queued[beside] = True
        found.append(beside)
    due = np.concatenate(found)
    queued[due] = False
    return due


def _delete(
    flat: NDArray[np.uint8], pixels: NDArray[np.intp], steps: NDArray[np.intp], *, phase: int
) -> NDArray[np.intp]:
    """Clear those of `pixels` that this half-iteration deletes, all at once; return them."""
    code = np.zeros(len(pixels), dtype=np.uint8)
    for bit, step in enumerate(steps):
        code |= flat[pixels + step] << np.uint8(bit)
    gone = pixels[_deletable(phase)[code]]
    flat[gone] = 0
    return gone


@lru_cache(maxsize=2)
def _deletable(phase: int) -> NDArray[np.bool_]:
    """Return for each of the 256 neighbourhoods whether its centre is deleted."""
    x = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.bool_)
    sides, corners, next_sides = x[:, 0::2], x[:, 1::2], np.roll(x[:, 0::2], -1, axis=1)
    crossings = (~sides & (corners | next_sides)).sum(axis=1)
    count = np.minimum((sides | corners).sum(axis=1), (corners | next_sides).sum(axis=1))
    if phase == 0:
        on_edge = ~((x[:, 1] | x[:, 2] | ~x[:, 7]) & x[:, 0])
    else:
        on_edge = ~((x[:, 5] | x[:, 6] | ~x[:, 3]) & x[:, 4])
    deletable: NDArray[np.bool_] = (crossings == 1) & (count >= 2) & (count <= 3) & on_edge
    deletable.flags.writeable = False
    return deletable
