"""The pixels of the scans' files: TIFFs of floats, PNGs of lines and masks."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linerefine.cache import atomic_write
from linerefine.errors import DataError
from linerefine.machine import install_command
from linerefine.types import Mask

if TYPE_CHECKING:
    import PIL.Image
    import tifffile

__all__ = [
    "MM_PER_INCH",
    "pixels_per_mm",
    "read_channel",
    "read_drawing",
    "read_mask",
    "size",
    "write_png",
    "write_tiff",
]

MM_PER_INCH = 25.4
"""The paper's code divides by 25."""


def read_channel(path: Path) -> NDArray[np.float32]:
    """Read one file of a scan.

    Parameters
    ----------
    path : Path
        An 8-bit, 16-bit or floating-point TIFF of one or more channels.

    Returns
    -------
    channel : ndarray of float32, shape (H, W) or (C, H, W)
        Samples as stored; unsigned integers are divided by the largest value of
        their type. A fourth channel of a colour image (alpha) is dropped.
        Channels that are interleaved on disk are returned as a view with
        strides to match.

    Raises
    ------
    DataError
        If the file is missing, no TIFF, truncated, of an unexpected shape or
        type, or holds NaN or infinite values.
    """
    with _open_tiff(path) as page:
        pixels = _channels_first(path, page.asarray(), page.axes)
    if pixels.dtype.kind == "u":
        pixels = np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)
    elif pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
    else:
        msg = f"{path} has samples of type {pixels.dtype}, expected unsigned integers or floats."
        raise DataError(msg)
    _refuse_non_finite(path, pixels)
    return pixels


def size(path: Path) -> tuple[int, int]:
    """Return height and width of a TIFF or PNG from its header alone.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    if path.suffix.lower() in {".tif", ".tiff"}:
        with _open_tiff(path) as page:
            return int(page.imagelength), int(page.imagewidth)
    with _open_image(path) as image:
        return image.height, image.width


def pixels_per_mm(path: Path, *, inch: float = MM_PER_INCH) -> float:
    """Return the resolution that a TIFF states.

    Parameters
    ----------
    path : Path
        A TIFF with resolution tags.
    inch : float
        Millimetres to the inch. The paper's code takes 25.

    Raises
    ------
    DataError
        If the file cannot be read, or the resolution is missing, zero, without
        a unit, or differs between rows and columns by more than 1 %.
    """
    remedy = "Write the resolution into the file, or set loader.options.pixels_per_mm."
    with _open_tiff(path) as page:
        across = _rational(page, "XResolution")
        down = _rational(page, "YResolution")
        tag = page.tags.get("ResolutionUnit")
        unit = 2 if tag is None else int(tag.value)  # TIFF 6.0, sec. 8: the default is inch
    if not (math.isfinite(across) and across > 0):
        msg = f"{path} states no resolution (tag XResolution is missing or zero). {remedy}"
        raise DataError(msg)
    if unit not in {2, 3}:
        msg = f"{path} states a resolution of {across:g} without inch or centimetre. {remedy}"
        raise DataError(msg)
    if math.isfinite(down) and abs(down - across) > 0.01 * across:
        msg = f"{path} states {across:g} pixels across but {down:g} down per unit. {remedy}"
        raise DataError(msg)
    return across / (inch if unit == 2 else 10.0)


def read_drawing(path: Path) -> Mask:
    """Read a drawing: the alpha channel if there is one, else the first, above zero.

    Returns
    -------
    lines : ndarray of bool, shape (H, W)
        Line pixels.

    Raises
    ------
    DataError
        If the file is missing or cannot be decoded, or if its alpha channel is
        opaque everywhere, so that each pixel would be line.
    """
    with _open_image(path) as image:
        has_alpha = "A" in image.getbands() or "transparency" in image.info
        if has_alpha:
            lines = np.asarray(image.convert("RGBA").getchannel("A")) > 0
        else:
            lines = _first_channel(image) > 0
    if has_alpha and lines.all():
        msg = (
            f"drawing {path} has an alpha channel that is opaque everywhere, so every pixel "
            "would be line. Export it on a transparent ground or without alpha channel."
        )
        raise DataError(msg)
    return lines


def read_mask(path: Path) -> Mask:
    """Read an object mask: its first channel, above zero.

    Returns
    -------
    mask : ndarray of bool, shape (H, W)
        Pixels on the object.

    Raises
    ------
    DataError
        If the file is missing or cannot be decoded.
    """
    with _open_image(path) as image:
        return _first_channel(image) > 0


def write_tiff(path: Path, array: NDArray[np.float32], resolution: float) -> None:
    """Write a float TIFF, tiled and packed; it appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists. Missing folders are made.
    array : ndarray of float32, shape (H, W) or (3, H, W)
        Samples, written as they are.
    resolution : float
        Pixels per millimetre; written in pixels per inch.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    import tifffile

    dots_per_inch = resolution * MM_PER_INCH
    with atomic_write(path) as scratch:
        tifffile.imwrite(
            scratch,
            array,
            photometric="minisblack" if array.ndim == 2 else "rgb",
            planarconfig=None if array.ndim == 2 else "separate",
            tile=(256, 256),
            compression="zlib",
            compressionargs={"level": 1},
            resolution=(dots_per_inch, dots_per_inch),
            resolutionunit="INCH",
            metadata=None,
        )


def write_png(path: Path, mask: Mask, *, as_alpha: bool) -> None:
    """Write a mask as PNG; it appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists. Missing folders are made.
    mask : ndarray of bool, shape (H, W)
        Pixels to set.
    as_alpha : bool
        Black on a transparent ground, else white on black.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    from PIL import Image

    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    if as_alpha:
        image = Image.merge("LA", (Image.new("L", image.size), image))
    with atomic_write(path) as scratch:
        image.save(scratch, format="PNG", compress_level=1)


@contextmanager
def _open_tiff(path: Path) -> Iterator[tifffile.TiffPage]:
    """Open a TIFF's first page; failures inside the block become DataErrors."""
    import tifffile  # with its decoders a tenth of a second: only where used

    try:
        with tifffile.TiffFile(path) as file:
            yield file.pages.first
    except FileNotFoundError as error:
        msg = f"{path} does not exist."
        raise DataError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise DataError(msg) from error
    except (ValueError, IndexError, KeyError, zlib.error, struct.error, RuntimeError) as error:
        if "imagecodecs" in str(error):  # tifffile's word for a decoder that it lacks
            remedy = install_command("imagecodecs")
            msg = f"{path} cannot be decoded: {error}. Install it: {remedy}."
            raise DataError(msg) from error
        msg = f"{path} is damaged, truncated or no TIFF ({error}). Copy it again from its source."
        raise DataError(msg) from error


@contextmanager
def _open_image(path: Path) -> Iterator[PIL.Image.Image]:
    """Open an image with Pillow; failures inside the block become DataErrors."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        msg = f"{path} does not exist."
        raise DataError(msg) from error
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        msg = f"{path} is no image that can be read ({error})."
        raise DataError(msg) from error
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        msg = f"{path} is damaged or truncated ({error}). Copy it again from its source."
        raise DataError(msg) from error


def _first_channel(image: PIL.Image.Image) -> NDArray[Any]:
    if image.mode in {"P", "CMYK", "YCbCr", "HSV", "LAB"}:
        image = image.convert("RGB")
    return np.asarray(image if len(image.getbands()) == 1 else image.getchannel(0))


def _rational(page: tifffile.TiffPage, name: str) -> float:
    tag = page.tags.get(name)
    if tag is None:
        return math.nan
    numerator, denominator = tag.value
    return numerator / denominator if denominator else math.nan


def _channels_first(path: Path, pixels: NDArray[Any], axes: str) -> NDArray[Any]:
    if pixels.ndim == 3 and "S" in axes:
        pixels = np.moveaxis(pixels, axes.index("S"), 0)
        if len(pixels) in {2, 4}:
            pixels = pixels[:-1]
        if len(pixels) == 1:
            pixels = pixels[0]
    if pixels.ndim not in {2, 3} or 0 in pixels.shape:
        msg = f"{path} has shape {pixels.shape}, expected one image of one or more channels."
        raise DataError(msg)
    return pixels


def _refuse_non_finite(path: Path, pixels: NDArray[np.float32]) -> None:
    bad = sum(int(plane.size - np.isfinite(plane).sum()) for plane in np.atleast_3d(pixels))
    if bad:
        msg = (
            f"{path} holds {bad} values that are NaN or infinite, of {pixels.size}. "
            "Fill them in the program that wrote the scan."
        )
        raise DataError(msg)
