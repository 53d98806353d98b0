"""Pieces of line of which the image does not tell whether somebody wants them.

Imports no torch: patches are read by processes that have none.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.geometry.centreline import centreline, segment_pixels
from linerefine.types import Mask

__all__ = ["dispute"]

REACH = 10.0
"""Pixels from its centreline up to which a line belongs to a piece."""

CLEAREST = 0.6
"""Most of its contrast that is left to a faded piece."""

RIM = 2
"""Pixels around a line that fade with it."""

GROUND = 8.0
"""Standard deviation, pixels, of the mean that stands for the ground below a line."""

GRAIN = 1.0
"""Standard deviation, pixels: what is finer is grain of the image, which stays where a line fades."""


def dispute(
    image: NDArray[np.float32], lines: Mask, rng: np.random.Generator, *, share: float
) -> tuple[NDArray[np.float32], Mask]:
    """Let some pieces of line fade, and leave to chance which of them are wanted.

    Parameters
    ----------
    image : ndarray of float32, shape (C, H, W)
        Normalised channels.
    lines : ndarray of bool, shape (H, W)
        The target.
    rng : numpy.random.Generator
        The only source of chance.
    share : float
        Chance, in [0, 1], of each piece to be disputed.

    Returns
    -------
    image : ndarray of float32, shape (C, H, W)
        Disputed pieces faded, to at most CLEAREST of their contrast; their grain stays.
    lines : ndarray of bool, shape (H, W)
        Without the pieces that nobody wants.

    Notes
    -----
    A piece is what lies nearest to one unbranched segment of the target's
    centreline. A disputed one fades, and a coin decides whether it is wanted:
    the image hardly tells, only a stroke on it does, and it tells it of the
    whole piece. What a network learns from this is how far a stroke reaches,
    and that what is clear is not meant.
    """
    segments = segment_pixels(centreline(lines))
    if share == 0 or not segments.any():
        return image, lines
    pieces, distance = _nearest_piece(segments)
    numbers = int(pieces.max()) + 1
    is_disputed = rng.random(numbers) < share
    is_unwanted = is_disputed & (rng.random(numbers) < 0.5)
    left = np.where(is_disputed, rng.uniform(0, CLEAREST, numbers), 1).astype(np.float32)
    faded = _faded(image, lines, np.where(distance <= REACH, left[pieces], 1))
    return faded, lines & ~is_unwanted[pieces]


def _nearest_piece(segments: Mask) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the number of each pixel's nearest segment, and how far away that is."""
    _, components = cv2.connectedComponents(segments.astype(np.uint8), connectivity=8)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~segments).astype(np.uint8),
        cv2.DIST_L2,
        cv2.DIST_MASK_5,
        labelType=cv2.DIST_LABEL_PIXEL,
    )
    piece_of = np.zeros(int(nearest.max()) + 1, dtype=np.int32)
    piece_of[nearest[segments]] = components[segments]
    return piece_of[nearest], distance


def _faded(
    image: NDArray[np.float32], lines: Mask, left: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return an image whose lines stand out from their ground by a share of what they did."""
    wide = cv2.dilate(lines.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))
    loss = cv2.GaussianBlur(np.where(wide > 0, 1 - left, 0).astype(np.float32), (0, 0), RIM / 2)
    ground_weight = (wide == 0).astype(np.float32)
    known = cv2.GaussianBlur(ground_weight, (0, 0), GROUND) + 1e-6
    faded = np.empty_like(image)
    for channel, into in zip(image, faded, strict=True):
        ground = cv2.GaussianBlur(channel * ground_weight, (0, 0), GROUND) / known
        into[:] = channel - loss * cv2.GaussianBlur(channel - ground, (0, 0), GRAIN)
    return faded
