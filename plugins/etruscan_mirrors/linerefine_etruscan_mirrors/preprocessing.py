"""From a scanned depth map to a network's input: high-pass, clipping, normalisation.

All arrays are single precision and all steps work on strips or in place, so
that a scan of 6716 x 8964 pixels needs well under a gigabyte.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.types import Mask

__all__ = [
    "Moments",
    "Statistics",
    "gaussian_kernel",
    "high_pass",
    "low_pass",
    "normalise",
    "preprocess_depth",
    "shrink",
    "shrink_mask",
    "standardise",
]

Image = NDArray[np.float32]

TRUNCATE = 4.0
"""Kernel radius in standard deviations, as the authors' (SciPy's default)."""

STRIP_VALUES = 1 << 22
"""Values worked on at a time."""


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of one channel over mirror pixels."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Moments:
    """Additive moments of one channel over one view's mirror pixels.

    Parameters
    ----------
    count : int
        Number of pixels.
    mean : float
        Their mean.
    squares : float
        Sum of squared differences from that mean.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, image: Image, where: Mask | None = None) -> Moments:
        """Return the moments of the pixels of `image`, shape (H, W), where `where` is set."""
        total = cls()
        for rows in strips(image.shape):
            part = image[rows] if where is None else image[rows][where[rows]]
            values = part.astype(np.float64)
            if values.size:
                mean = float(values.mean())
                total += cls(values.size, mean, float(np.square(values - mean).sum()))
        return total

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of pixels together."""
        count = self.count + other.count
        if count == 0:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.count / count
        between = apart * apart * self.count * other.count / count
        return Moments(count, mean, self.squares + other.squares + between)

    def statistics(self) -> Statistics:
        """Return mean and population standard deviation; (0, 1) of nothing."""
        if self.count == 0:
            return Statistics(0.0, 1.0)
        return Statistics(self.mean, math.sqrt(self.squares / self.count))


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of rows that cover an array of shape (H, W) in pieces of bounded size."""
    step = max(1, STRIP_VALUES // max(1, shape[1]))
    for top in range(0, shape[0], step):
        yield slice(top, min(top + step, shape[0]))


def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Return a sampled Gaussian of sum 1, cut at four standard deviations, shape (2r + 1,)."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * np.square(offsets / sigma))
    kernel: NDArray[np.float64] = weights / weights.sum()
    return kernel


def low_pass(image: Image, sigma: float) -> Image:
    """Return an image smoothed by a Gaussian, borders repeated.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Finite values.
    sigma : float
        Standard deviation in pixels.

    Returns
    -------
    smooth : ndarray of float32, shape (H, W)
        Equal to ``scipy.ndimage.gaussian_filter(image, sigma, mode="nearest")``
        within single precision.

    Notes
    -----
    Convolution by Fourier transform along one axis at a time: the time does
    not grow with sigma, which is 40 pixels and more at full resolution.
    """
    kernel = gaussian_kernel(sigma)
    smooth = np.empty_like(image)
    level = np.float32(image.mean(dtype=np.float64))  # small numbers keep their digits
    for rows in strips(image.shape):
        smooth[rows] = _convolve_rows(image[rows] - level, kernel)
    for cols in strips(image.T.shape):
        smooth[:, cols] = _convolve_rows(np.ascontiguousarray(smooth[:, cols].T), kernel).T
    smooth += level
    return smooth


def _convolve_rows(rows: Image, kernel: NDArray[np.float64]) -> Image:
    from scipy import fft  # half a second to import

    radius, width = len(kernel) // 2, rows.shape[1]
    size = fft.next_fast_len(width + 2 * radius, real=True)
    spectrum = fft.rfft(kernel, size).astype(np.complex64)
    padded = np.pad(rows, ((0, 0), (radius, radius)), mode="edge")
    found: Image = fft.irfft(fft.rfft(padded, size, axis=1) * spectrum, size, axis=1)
    return found[:, 2 * radius : 2 * radius + width]


def high_pass(depth: Image, sigma: float) -> Image:
    """Return a depth map without its low frequencies, at its mean height.

    Parameters
    ----------
    depth : ndarray of float32, shape (H, W)
        Finite heights.
    sigma : float
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    relief : ndarray of float32, shape (H, W)
        ``depth - low_pass(depth) + mean(depth)``.
    """
    relief = low_pass(depth, sigma)
    np.subtract(depth, relief, out=relief)
    relief += np.float32(depth.mean(dtype=np.float64))
    return relief


def standardise(relief: Image, clip: float, *, where: Mask | None = None) -> Image:
    """Return heights in [0, 1], outliers clipped; works in place.

    Parameters
    ----------
    relief : ndarray of float32, shape (H, W)
        Overwritten with the result.
    clip : float
        Standard deviations from the mean beyond which heights are cut.
    where : ndarray of bool, shape (H, W), or None
        Pixels whose mean, deviation, least and greatest value count; all if
        None, as the authors' code does.
    """
    statistics = Moments.of(relief, where).statistics()
    if statistics.sd == 0:
        relief[...] = 0
        return relief
    relief -= np.float32(statistics.mean)
    relief /= np.float32(statistics.sd)
    np.clip(relief, -clip, clip, out=relief)
    counted: Any = True if where is None else where
    low = relief.min(where=counted, initial=clip)
    high = relief.max(where=counted, initial=-clip)
    relief -= low
    relief /= high - low
    return np.clip(relief, 0, 1, out=relief)


def preprocess_depth(
    depth: Image, sigma: float, *, clip: float = 3.0, where: Mask | None = None
) -> Image:
    """Return the relief of a depth map in [0, 1], shape (H, W), float32.

    Parameters
    ----------
    depth : ndarray of float32, shape (H, W)
        Finite heights.
    sigma : float
        Standard deviation of the high-pass in pixels.
    clip : float
        See `standardise`.
    where : ndarray of bool, shape (H, W), or None
        Mirror pixels, for statistics of these only.
    """
    return standardise(high_pass(depth, sigma), clip, where=where)


def shrink(image: Image, scale: int) -> Image:
    """Return means of ``scale`` x ``scale`` pixels; ragged borders repeat their last pixel.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Source pixels.
    scale : int
        Source pixels per working pixel.

    Returns
    -------
    small : ndarray of float32, shape (ceil(H / scale), ceil(W / scale))
    """
    if scale == 1:
        return image
    height, width = image.shape
    rows, cols = -height % scale, -width % scale
    if rows or cols:
        image = np.pad(image, ((0, rows), (0, cols)), mode="edge")
    small = np.zeros((image.shape[0] // scale, image.shape[1] // scale), dtype=np.float32)
    for row in range(scale):
        for col in range(scale):
            small += image[row::scale, col::scale]
    small /= np.float32(scale * scale)
    return small


def shrink_mask(mask: Mask, scale: int) -> Mask:
    """Return every ``scale``-th pixel, shape (ceil(H / scale), ceil(W / scale)), a copy."""
    return np.ascontiguousarray(mask[::scale, ::scale])


def normalise(image: Image, statistics: Iterable[Statistics]) -> Image:
    """Return ``(image - mean) / sd`` channel by channel, in new memory.

    Parameters
    ----------
    image : ndarray of float32, shape (C, H, W)
        May be a memory map.
    statistics : iterable of Statistics
        One per channel. A channel without spread is only centred.

    Raises
    ------
    ShapeError
        If channels and statistics differ in number.
    """
    given = tuple(statistics)
    if len(given) != len(image):
        msg = f"image has shape {image.shape}, but {len(given)} statistics came, one per channel."
        raise ShapeError(msg)
    result = np.array(image, dtype=np.float32)
    for plane, known in zip(result, given, strict=True):
        plane -= np.float32(known.mean)
        plane /= np.float32(known.sd or 1.0)
    return result
