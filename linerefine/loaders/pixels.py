"""From decoded pixels to the normalised channels of a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linerefine.types import Mask

__all__ = ["normalised", "resized", "resized_mask", "selected"]

_COLOURS = ("red", "green", "blue")
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def selected(pixels: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float32]:
    """Return the named channels of an image.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W, 1) or (H, W, 3)
    channels : sequence of {"grey", "red", "green", "blue"}
        Of a grey image every channel is the only one there is.

    Returns
    -------
    image : ndarray of float32, shape (C, H, W)
    """
    if pixels.shape[2] == 1:
        return np.repeat(pixels.transpose(2, 0, 1), len(channels), axis=0)
    return np.stack(
        [
            pixels @ _LUMA if channel == "grey" else pixels[..., _COLOURS.index(channel)]
            for channel in channels
        ]
    )


def resized(image: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Return an image of shape (C, H, W) on a coarser or finer grid.

    A coarse pixel is the mean of those it stands for; finer ones are
    interpolated linearly.
    """
    if scale == 1:
        return image
    import cv2

    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = _scaled(image.shape[2], scale), _scaled(image.shape[1], scale)
    return np.stack([cv2.resize(plane, size, interpolation=way) for plane in image])


def resized_mask(mask: Mask, scale: float) -> Mask:
    """Return a mask on a coarser or finer grid: set where at least half of a pixel is."""
    if scale == 1:
        return mask
    share = resized(mask[np.newaxis].astype(np.float32), scale)[0]
    return np.asarray(share >= np.float32(0.5 - 1e-6))


def normalised(image: NDArray[np.float32], roi: Mask) -> NDArray[np.float32]:
    """Return channels of mean 0 and deviation 1 inside the ROI; a flat one is all 0.

    Parameters
    ----------
    image : ndarray of float32, shape (C, H, W)
        Finite inside the ROI.
    roi : ndarray of bool, shape (H, W)
        Not empty.
    """
    planes = []
    for plane in image:
        inside = plane[roi].astype(np.float64)
        deviation = float(inside.std())
        flat = deviation <= 1e-12 * max(1.0, float(np.abs(inside).max()))
        planes.append((plane - inside.mean()) / (1.0 if flat else deviation))
    return np.stack(planes).astype(np.float32)


def _scaled(length: int, scale: float) -> int:
    return max(1, round(length * scale))
