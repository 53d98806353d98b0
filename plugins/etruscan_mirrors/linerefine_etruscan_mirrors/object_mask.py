"""Where the mirror is in a scan: a mask on disk, Segment Anything, or a classical method."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Literal

import numpy as np

from linerefine.errors import ConfigError, DataError
from linerefine.types import Mask
from linerefine_etruscan_mirrors.classical import Picture, classical_mask, largest_component
from linerefine_etruscan_mirrors.files import View, read_channel, read_mask
from linerefine_etruscan_mirrors.preprocessing import shrink
from linerefine_etruscan_mirrors.sam import INSTALL, SegmentAnything, find_weights, is_installed

__all__ = ["ObjectMasks", "render", "sam_mask"]

log = logging.getLogger(__name__)

Method = Literal["disk", "sam", "classical"]

EDGE = 1024
"""Longest edge of the picture that masks are found on, pixels: SAM's own."""

CLASSICAL = "classical 1"
"""Changes when the method does, so that older cache entries are not used."""


class ObjectMasks:
    """Finds the object of each view by what the user asked for and what is at hand.

    Parameters
    ----------
    choice : {"auto", "sam", "classical", "disk"}
        What to do for a view without a mask on disk.
    weights : str or None
        Segment Anything's weights; None looks for cached ones.

    Raises
    ------
    ConfigError
        If Segment Anything is asked for and cannot be used.
    """

    def __init__(
        self, choice: Literal["auto", "sam", "classical", "disk"], weights: str | None
    ) -> None:
        self.choice = choice
        self._weights = find_weights(weights) if choice in {"auto", "sam"} else None
        if choice == "sam" and self._weights is None:
            lacking = "no weights are cached" if is_installed() else "transformers is absent"
            remedy = "" if is_installed() else f" {INSTALL}"
            msg = (
                f"loader.options.object_mask is 'sam', but {lacking}.{remedy} "
                "Name weights in loader.options.sam_weights, or choose 'auto'."
            )
            raise ConfigError(msg)
        self._sam = SegmentAnything(self._weights) if self._weights else None

    def identity(self, view: View) -> str:
        """Return what the mask of a view depends on besides its files."""
        if view.mask.is_file():
            return "disk"
        if self.choice == "disk":
            return "none"
        return f"sam {self._weights}" if self._weights else CLASSICAL

    def looks_at(self, view: View) -> tuple[str, ...]:
        """Return the channels that the mask of a view is made from."""
        if view.mask.is_file():
            return ()
        return ("albedo",) if view.albedo.is_file() else ("depth",)

    def find(self, view: View, shape: tuple[int, int]) -> tuple[Mask, Method]:
        """Return the object's pixels, shape (H, W), and how they were found.

        Parameters
        ----------
        view : View
            Its mask on disk wins over every other method.
        shape : tuple of int
            Height and width of the scan.

        Raises
        ------
        DataError
            If a file cannot be read or has another size, or nothing is found.
        """
        if view.mask.is_file():
            mask = read_mask(view.mask)
            if mask.shape != shape:
                msg = f"{view.mask} has {mask.shape} pixels, the scan {shape}."
                raise DataError(msg)
            return mask, "disk"
        if self.choice == "disk":
            msg = f"there is no object mask: {view.mask} does not exist. Set object_mask to 'auto'."
            raise DataError(msg)
        small, method = self._search(view)
        log.info("%s: object mask found by the %s method", view.name, method)
        return _enlarged(small, shape), method

    def _search(self, view: View) -> tuple[Mask, Method]:
        """Return the object on a small picture, and how it was found."""
        if self._sam is not None:
            found = sam_mask(render(getattr(view, self.looks_at(view)[0])), self._sam)
            if found.any():
                return found, "sam"
            if self.choice == "sam":
                msg = "Segment Anything found no object. Draw a mask, or set object_mask to 'auto'."
                raise DataError(msg)
            log.warning("%s: Segment Anything found no object: classical method", view.name)
        if not view.albedo.is_file():
            msg = (
                f"there is neither an object mask ({view.mask}) nor an albedo ({view.albedo}) to "
                "find the object on. Supply one of them, or loader.options.sam_weights."
            )
            raise DataError(msg)
        return classical_mask(render(view.albedo)), "classical"


def render(path: Path) -> Picture:
    """Return albedo or depth as a small grey picture, at most `EDGE` pixels long.

    Square roots are shown, so that a white ruler does not make all else dark.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    pixels = read_channel(path)
    planes = pixels if pixels.ndim == 3 else pixels[None]
    factor = math.ceil(max(planes.shape[1:]) / EDGE)
    small = np.mean([shrink(plane, factor) for plane in planes], axis=0)
    small = np.sqrt(small - min(float(small.min()), 0.0))
    low, high = np.percentile(small, [0.5, 99.5])
    stretched = (small - low) / (high - low) if high > low else np.zeros_like(small)
    return np.asarray(np.rint(np.clip(stretched, 0, 1) * 255), dtype=np.uint8)


def sam_mask(picture: Picture, sam: SegmentAnything) -> Mask:
    """Return the object that Segment Anything finds, prompted by the classical guess.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W)
        Grey levels.
    sam : SegmentAnything
        The model.

    Returns
    -------
    mask : ndarray of bool, shape (H, W)
        One piece without holes; empty if nothing is found.

    Notes
    -----
    The prompt is the guess's bounding box and two points: the pixel deepest
    inside it and the middle of the picture if it belongs to the guess. Where
    the classical method finds nothing, the inner nine tenths are the guess.
    """
    import cv2

    guess = _guess(picture)
    depth = cv2.distanceTransform(guess.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    points = [np.unravel_index(int(np.argmax(depth)), guess.shape)]
    middle = (guess.shape[0] // 2, guess.shape[1] // 2)
    if guess[middle]:
        points.append(middle)
    rows, cols = np.flatnonzero(guess.any(axis=1)), np.flatnonzero(guess.any(axis=0))
    box = (int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1)
    return largest_component(sam(picture, points=np.array(points, dtype=np.float64), box=box))


def _guess(picture: Picture) -> Mask:
    try:
        return classical_mask(picture)
    except DataError:
        log.debug("no object stands out; Segment Anything is shown the whole picture")
    guess = np.zeros(picture.shape, dtype=np.bool_)
    row, col = (length // 20 for length in picture.shape)
    guess[row : picture.shape[0] - row, col : picture.shape[1] - col] = True
    return guess


def _enlarged(mask: Mask, shape: tuple[int, int]) -> Mask:
    import cv2

    soft = cv2.resize(
        mask.astype(np.uint8) * np.uint8(255), shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(soft > 127)
