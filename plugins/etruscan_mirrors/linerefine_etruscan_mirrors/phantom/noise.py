"""Random fields with a given grain, made at the resolution they need and then enlarged."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["blurred", "bumps", "enlarged", "fractal", "white"]

Field = NDArray[np.float32]

GRAIN = 1.2
"""Least standard deviation of the blur in cells of the coarse grid."""


def white(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Return independent normal values, shape (H, W)."""
    return rng.standard_normal(shape, dtype=np.float32)


def blurred(field: Field, sigma: float) -> Field:
    """Return a field after a Gaussian blur of `sigma` pixels, shape (H, W)."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), dtype=np.float32)


def bumps(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> Field:
    """Return Gaussian-blurred white noise of unit variance.

    Parameters
    ----------
    shape : pair of int
        Rows and columns.
    sigma : float
        Standard deviation of the blur in pixels.
    rng : numpy.random.Generator
        Where the values come from.

    Returns
    -------
    field : ndarray of float32, shape (H, W)
        Mean about 0, variance about 1.
    """
    levels = max(int(np.floor(np.log2(max(sigma / GRAIN, 1.0)))), 0)
    pitch = 2**levels
    margin = int(np.ceil(3 * sigma / pitch)) + 3
    rows, cols = (-(-extent // pitch) + 2 * margin for extent in shape)
    # Each doubling blurs by one pixel of the finer grid; together (pitch^2 - 1) / 3.
    blur = np.sqrt(max((sigma / pitch) ** 2 - (1 - pitch**-2) / 3, 0.01))
    coarse = blurred(white((rows, cols), rng), blur)
    coarse *= np.float32(2 * np.sqrt(np.pi) * sigma / pitch)  # what blurring takes from the spread
    return enlarged(coarse[margin:-margin, margin:-margin], levels, shape)


def enlarged(coarse: Field, levels: int, shape: tuple[int, int]) -> Field:
    """Return a field doubled in size so many times, smoothly, then cut to `shape`.

    Sample ``[i, j]`` of the coarse grid lies at ``[i, j] * 2 ** levels`` of the fine one.
    """
    for _ in range(levels):
        coarse = np.asarray(cv2.pyrUp(coarse), dtype=np.float32)
    return np.ascontiguousarray(coarse[: shape[0], : shape[1]], dtype=np.float32)


def fractal(
    shape: tuple[int, int],
    sigmas: Sequence[float],
    weights: Sequence[float],
    rng: np.random.Generator,
) -> Field:
    """Return a weighted sum of `bumps` of several sizes, shape (H, W)."""
    total = np.zeros(shape, dtype=np.float32)
    for sigma, weight in zip(sigmas, weights, strict=True):
        layer = bumps(shape, sigma, rng)
        layer *= np.float32(weight)
        total += layer
    return total
