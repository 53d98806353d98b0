"""Small samples whose lines are known because they were drawn."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from linerefine.samples import Sample
from linerefine.types import Mask

__all__ = ["KINDS", "LEVEL", "Kind", "drawn_sample"]

Kind: TypeAlias = Literal["cross", "vee", "ring", "empty"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""What can be drawn: crossing lines, a V, a ring, nothing."""

LEVEL = 0.5
"""Line pixels of a drawn image are above this in every channel, all others below."""

_THICKNESS = 3
_NOISE = 0.4


def drawn_sample(
    kind: Kind = "cross",
    size: int | tuple[int, int] = 64,
    channels: int = 1,
    rng: np.random.Generator | None = None,
) -> Sample:
    """Return a sample of bright lines on a dark, noisy ground.

    Parameters
    ----------
    kind : {"cross", "vee", "ring", "empty"}
        What is drawn, three pixels wide; also the sample's name.
    size : int or tuple of int
        Edge, or height and width, in pixels.
    channels : int
        Channels of the image; each has noise of its own.
    rng : numpy.random.Generator or None
        Source of the noise; None gives the same noise every time.

    Returns
    -------
    sample : Sample
        All pixels count. Image pixels above 0.5 are exactly the lines.

    Examples
    --------
    >>> sample = drawn_sample("ring", size=32, channels=2)
    >>> sample.image.shape, bool((sample.lines == (sample.image[0] > 0.5)).all())
    ((2, 32, 32), True)
    """
    shape = (size, size) if isinstance(size, int) else size
    lines = _drawn(kind, shape)
    noise = (rng or np.random.default_rng(0)).uniform(-_NOISE, _NOISE, (channels, *shape))
    image = (np.where(lines, 1.0, 0.0) + noise).astype(np.float32)
    return Sample(kind, image, np.ones(shape, dtype=np.bool_), lines)


def _drawn(kind: Kind, shape: tuple[int, int]) -> Mask:
    import cv2  # only where used

    canvas = np.zeros(shape, np.uint8)
    if kind == "ring":
        height, width = shape
        cv2.circle(canvas, (width // 2, height // 2), min(shape) // 3, 1, _THICKNESS)
    for path in _paths(kind):
        points = np.rint(np.array(path) * np.array(shape)[::-1]).astype(np.int32)
        cv2.polylines(canvas, [points], isClosed=False, color=1, thickness=_THICKNESS)
    lines: NDArray[np.bool_] = canvas.astype(np.bool_)
    return lines


def _paths(kind: Kind) -> list[list[tuple[float, float]]]:
    """Return polylines as (x, y) shares of the width and the height."""
    if kind == "cross":
        return [[(0.15, 0.2), (0.8, 0.85)], [(0.85, 0.15), (0.2, 0.8)]]
    return [[(0.15, 0.15), (0.5, 0.85), (0.85, 0.15)]] if kind == "vee" else []
