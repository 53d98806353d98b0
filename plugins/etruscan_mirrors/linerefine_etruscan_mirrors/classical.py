"""The object of a picture without a trained network: sharpest outline, graph cut."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import DataError
from linerefine.types import Mask

__all__ = ["Picture", "classical_mask", "largest_component"]

Picture: TypeAlias = NDArray[np.uint8]
"""Grey levels, shape (H, W)."""

LEVELS = np.linspace(0.05, 0.95, 31)
"""Shares of the pixels below the grey levels that are tried."""

LEAST_AREA = 0.05
"""Least share of the picture that an object covers."""

TRUSTED = 0.8
"""Least intersection over union with the outline for a graph cut to be believed."""


def classical_mask(picture: Picture) -> Mask:
    """Return the object's pixels by outline and graph cut, shape (H, W).

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W)
        Grey levels, the object brighter or darker than its surroundings and
        covering the middle of the picture.

    Raises
    ------
    DataError
        If the picture has no contrast or nothing covers its middle.

    Notes
    -----
    The picture is cut at many grey levels; of the bright and the dark pieces
    that cover its middle, thin bridges cut, the one with the sharpest outline
    is taken. One threshold for all (Otsu's) fails where a white ruler lies
    beside dark patina. GrabCut then moves the border to where it is (Rother,
    Kolmogorov, Blake 2004, doi:10.1145/1015706.1015720).
    """
    guess = _outline_guess(picture)
    if not guess.any():
        msg = (
            "no object stands out from its surroundings in the middle of the picture. "
            "Draw an object mask and store it with the scan."
        )
        raise DataError(msg)
    refined = largest_component(_opened(_grab_cut(picture, guess), _bridge(picture)))
    agreement = np.count_nonzero(refined & guess) / np.count_nonzero(refined | guess)
    return refined if agreement > TRUSTED else guess


def _outline_guess(picture: Picture) -> Mask:
    """Return the bright or dark piece with the sharpest outline; empty if there is none."""
    import cv2

    smooth = cv2.GaussianBlur(cv2.medianBlur(picture, 5), (0, 0), 2)
    contrast = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    height, width = picture.shape
    rows, cols = np.ogrid[:height, :width]
    radius = min(height, width) / 6
    middle = np.hypot(rows - (height - 1) / 2, cols - (width - 1) / 2) <= radius
    best, sharpest = np.zeros(picture.shape, dtype=np.bool_), 0.0
    for level in np.unique(np.quantile(smooth, LEVELS).astype(int)):
        for side in (smooth > level, smooth <= level):
            piece = _piece_at(_opened(side, _bridge(picture)), middle)
            if not _may_be_object(piece, middle):
                continue
            inner = cv2.erode(piece.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            sharpness = float(np.median(contrast[piece & ~inner]))
            if sharpness > sharpest:
                best, sharpest = piece, sharpness
    return best


def _may_be_object(piece: Mask, middle: Mask) -> bool:
    """Say whether a piece is large, covers most of the middle and is not the surroundings."""
    border = np.concatenate([piece[0], piece[-1], piece[:, 0], piece[:, -1]])
    covered = np.count_nonzero(piece & middle) / np.count_nonzero(middle)
    return bool(piece.mean() > LEAST_AREA and covered > 0.5 and border.mean() < 0.5)


def _bridge(picture: Picture) -> int:
    """Return the width below which a connection between two things is cut, pixels."""
    return int(max(3, round(max(picture.shape) / 60)) | 1)


def _piece_at(mask: Mask, middle: Mask) -> Mask:
    """Return the piece that covers most of the middle, holes filled; empty if none does."""
    import cv2
    from scipy import ndimage

    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    votes = np.bincount(labels[middle & mask])
    if votes.size == 0:
        return np.zeros_like(mask)
    filled: Mask = ndimage.binary_fill_holes(labels == int(np.argmax(votes)))
    return filled


def _opened(mask: Mask, width: int) -> Mask:
    import cv2

    tip = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, tip) > 0)


def _grab_cut(picture: Picture, guess: Mask) -> Mask:
    """Return the foreground of a graph cut whose seeds are well inside and outside a guess."""
    import cv2

    reach = 2 * _bridge(picture) + 1
    tip = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    inner = cv2.erode(guess.astype(np.uint8), tip, borderValue=0)
    outer = cv2.dilate(guess.astype(np.uint8), tip)
    seeds = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[inner > 0] = cv2.GC_FGD
    seeds[outer == 0] = cv2.GC_BGD
    if not (seeds == cv2.GC_BGD).any() or not (seeds == cv2.GC_FGD).any():
        return guess
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
    features = cv2.merge([picture, smooth, cv2.medianBlur(picture, 7)])
    outside, inside = np.zeros((1, 65)), np.zeros((1, 65))
    unused = (0, 0, 1, 1)
    cv2.setRNGSeed(0)  # its mixtures start at random
    found, _, _ = cv2.grabCut(features, seeds, unused, outside, inside, 3, cv2.GC_INIT_WITH_MASK)
    return np.isin(found, (cv2.GC_FGD, cv2.GC_PR_FGD))


def largest_component(mask: Mask) -> Mask:
    """Return the largest 8-connected piece of a mask, holes filled; empty if it is."""
    import cv2
    from scipy import ndimage

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return np.zeros_like(mask)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    filled: Mask = ndimage.binary_fill_holes(labels == largest)
    return filled
