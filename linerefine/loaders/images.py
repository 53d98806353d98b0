"""Image files in, arrays out: PNG, JPEG and TIFF of 8 or 16 bits or floats."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from linerefine.errors import DataError
from linerefine.types import Mask

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

__all__ = ["Header", "marked", "read_header", "read_mask", "read_pixels", "read_stored"]

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,  # Pillow, of a broken PNG chunk
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_ORIENTATION = 0x0112
_TIFF_MIN_IS_WHITE, _TIFF_PALETTE = 0, 3


@dataclass(frozen=True)
class Header:
    """What a file says about itself without being decoded.

    Parameters
    ----------
    shape : tuple of int
        Height and width in pixels, as displayed.
    is_float : bool
        Whether pixels are floating point numbers, which may be NaN.
    """

    shape: tuple[int, int]
    is_float: bool


def read_header(path: Path) -> Header:
    """Return size and kind of an image, and make sure that the file is not cut off.

    Raises
    ------
    DataError
        If the file is missing, no image, or ends early.
    """
    _require(path)
    try:
        return _tiff_header(path) if _is_tiff(path) else _plain_header(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def read_pixels(path: Path) -> NDArray[np.float32]:
    """Return an image as it is displayed, without its alpha channel.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF; grey, palette or colour; 8 or 16 bits or floats.

    Returns
    -------
    pixels : ndarray of float32, shape (H, W, C)
        C is 1 (grey) or 3 (red, green, blue). Unsigned integers are scaled to
        [0, 1] by the largest value of their type; others are left as they
        are, NaN included.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not one image of 1 to 4 channels.
    """
    return _unit(_colours(read_stored(path)))


def read_stored(path: Path) -> NDArray[Any]:
    """Return an image's numbers as they are stored, alpha channel included.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF; grey, palette or colour; 8 or 16 bits or floats.

    Returns
    -------
    stored : ndarray, shape (H, W, C)
        In the file's own type; C is 1 (grey), 2 (grey, alpha), 3 (colour) or
        4 (colour, alpha).

    Raises
    ------
    DataError
        If the file is missing, damaged, or not one image of 1 to 4 channels.
    """
    _require(path)
    try:
        stored = _decode_tiff(path) if _is_tiff(path) else _decode_plain(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if stored.ndim == 2:
        stored = stored[..., np.newaxis]
    if stored.ndim != 3 or not 1 <= stored.shape[-1] <= 4 or 0 in stored.shape:
        msg = f"{path} has shape {stored.shape}, expected one image of 1 to 4 channels."
        raise DataError(msg)
    return stored


def read_mask(path: Path, *, dark: bool = False) -> Mask:
    """Return the line pixels of a mask image.

    Parameters
    ----------
    path : Path
        Any image that `read_pixels` reads. Of colours the brightest channel
        counts; alpha does not.
    dark : bool
        Whether the pixels up to half of the largest value are meant, not
        those above.

    Returns
    -------
    mask : ndarray of bool, shape (H, W)
        Pixels above half of the largest value in the file, so that 0/1,
        0/255, 0/65535 and blurred edges all mean what they look like. An
        all-zero file is an empty mask.

    Raises
    ------
    DataError
        If the file cannot be read, or holds a value that is not finite.
    """
    return marked(path, read_stored(path), dark=dark)


def marked(path: Path, stored: NDArray[Any], *, dark: bool = False) -> Mask:
    """Return what `read_mask` returns, of pixels that `read_stored` read from ``path``."""
    values = _unit(_colours(stored)).max(axis=2)
    if not np.isfinite(values).all():
        msg = f"{path} holds values that are not finite; a mask must be 0 and one other value."
        raise DataError(msg)
    bright = values > max(float(values.max()), 0.0) / 2
    return np.asarray(~bright if dark else bright)


def _colours(stored: NDArray[Any]) -> NDArray[Any]:
    """Leave out an alpha channel."""
    return stored[..., : 3 if stored.shape[-1] >= 3 else 1]


def _unit(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Scale unsigned integers to [0, 1]."""
    if stored.dtype == np.bool_:
        return stored.astype(np.float32)
    pixels = stored.astype(np.float32)
    if stored.dtype.kind == "u":
        pixels /= np.float32(np.iinfo(stored.dtype).max)
    return pixels


def _plain_header(path: Path) -> Header:
    with Image.open(path) as image:
        _finish(path, image)
        width, height = image.size
        if image.getexif().get(_ORIENTATION, 1) >= 5:
            width, height = height, width
        return Header((height, width), is_float=False)


def _finish(path: Path, image: Image.Image) -> None:
    """Decode the image unless its end mark shows that nothing is cut off."""
    end = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}.get(image.format or "")
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 64, 0))
        is_whole = end is not None and end in stream.read()
    if not is_whole:
        image.load()


def _decode_plain(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        image.load()  # Pillow refuses files that end early; cv2 fills them with grey
        if image.format == "PNG" and _is_deep_colour(path):
            return _decode_by_cv2(path)
        return _as_array(ImageOps.exif_transpose(image))


def _is_deep_colour(path: Path) -> bool:
    """Say whether a PNG has 16-bit colours, of which Pillow drops the lower half."""
    with path.open("rb") as stream:
        depth, colour = stream.read(26)[24:26]
    return depth == 16 and colour != 0


def _as_array(image: Image.Image) -> NDArray[Any]:
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La"):
        image = image.convert("RGB")
    stored = np.asarray(image)
    if image.mode == "I" and stored.min() >= 0 and stored.max() <= 0xFFFF:
        return stored.astype(np.uint16)  # how some Pillow versions hold 16-bit grey
    return stored


def _tiff_header(path: Path) -> Header:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = _only_page(path, file)
        dtype = page.dtype
        is_float = dtype is not None and dtype.kind == "f"
        return Header((page.imagelength, page.imagewidth), is_float)


def _only_page(path: Path, file: TiffFile) -> TiffPage:
    """Return the page of a TIFF; refuse stacks, and files that are cut off."""
    page = file.pages.first
    if len(file.pages) > 1 and file.series[0].shape != page.shape:
        msg = f"{path} holds {len(file.pages)} pages, expected one image."
        raise DataError(msg)
    ends = np.add(page.dataoffsets, page.databytecounts)
    if ends.size == 0 or int(ends.max()) > path.stat().st_size:
        msg = "the file ends before its last pixel"
        raise ValueError(msg)
    return page


def _decode_tiff(path: Path) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = _only_page(path, file)
        if page.photometric == _TIFF_PALETTE:
            with Image.open(path) as image:
                return _as_array(image)
        try:
            stored: NDArray[Any] = page.asarray()
        except (ValueError, KeyError) as error:
            if "imagecodecs" not in str(error):
                raise
            return _decode_by_cv2(path)  # LZW, JPEG, PackBits
        if page.axes.startswith("S"):
            stored = np.moveaxis(stored, 0, -1)  # one plane per colour
        if page.photometric == _TIFF_MIN_IS_WHITE and stored.dtype.kind in "bu":
            stored = ~stored
        return stored


def _decode_by_cv2(path: Path) -> NDArray[Any]:
    import cv2

    # Through memory: cv2.imread cannot open every name on every platform.
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        msg = "cv2 cannot decode it"
        raise ValueError(msg)
    return stored if stored.ndim == 2 else stored[..., [2, 1, 0, 3][: stored.shape[2]]]


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _require(path: Path) -> None:
    if not path.is_file():
        what = "is a folder, expected an image file" if path.is_dir() else "does not exist"
        msg = f"{path} {what}."
        raise DataError(msg)


def _unreadable(path: Path, error: Exception) -> DataError:
    detail = (str(error).splitlines() or [""])[0].rstrip(".")
    msg = (
        f"{path} cannot be read as an image ({path.stat().st_size} bytes; "
        f"{type(error).__name__}: {detail}). It is damaged, cut off or of another format."
    )
    return DataError(msg)
