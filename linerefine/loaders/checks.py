"""What is wrong inside the files of samples: damage, sizes, and masks that mark no lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from linerefine.errors import DataError
from linerefine.loaders.images import Header, marked, read_header, read_mask, read_stored
from linerefine.loaders.layout import Files

__all__ = ["Checked", "check_files", "with_remedies"]

MOST_LINE = 0.5
"""Share of line pixels above which a mask is taken to be the wrong way round."""

LARGEST_LABEL = 31
"""Masks of whole numbers up to this one count classes and are no pictures of lines."""


Mistakes: TypeAlias = list[tuple[str, str]]


class Checked:
    """What was found in the files of one sample.

    Parameters
    ----------
    mistakes : list of tuple of str
        What is wrong, naming the file, and how to mend it.
    is_float : bool
        Whether the image may hold NaN, which no header tells.
    has_lines : bool
        Whether its mask marks any pixel.
    """

    def __init__(self) -> None:
        self.mistakes: Mistakes = []
        self.is_float = False
        self.has_lines = False


def check_files(files: Files, *, dark_lines: bool, roi: str) -> Checked:
    """Compare sizes by the headers of a sample's files, and look at what its masks mark.

    Parameters
    ----------
    files : Files
    dark_lines : bool
        Whether the dark pixels of masks are line.
    roi : str
        What the folder of ROI masks is called.
    """
    checked = Checked()
    mistakes = checked.mistakes
    image = _header(files.image, mistakes)
    checked.is_float = image is not None and image.is_float
    for path in files.others():
        other = _header(path, mistakes)
        if other is None:
            continue
        if image is not None and other.shape != image.shape:
            fact = f"{path} is {_size(other)} pixels, {files.image} {_size(image)}; must agree."
            mistakes.append((fact, "Export one of the two anew, at the size of the other."))
        try:
            if path == files.roi:
                _check_roi(path, roi, mistakes)
            else:
                marks = _check_mask(path, dark_lines, mistakes)
                checked.has_lines |= path == files.mask and marks
        except DataError as error:
            mistakes.append((str(error), ""))
    return checked


def with_remedies(mistakes: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Iterate over mistakes as sentences, each remedy where it is needed for the first time."""
    said: set[str] = set()
    for fact, remedy in mistakes:
        yield f"{fact} {remedy}" if remedy and remedy not in said else fact
        said.add(remedy)


def _check_roi(path: Path, roi: str, mistakes: Mistakes) -> None:
    if not read_mask(path).any():
        remedy = f"Mend it, or rename the folder '{roi}' if all pixels of all images count."
        mistakes.append((f"{path}: no pixel counts, its ROI is empty.", remedy))


def _check_mask(path: Path, dark_lines: bool, mistakes: Mistakes) -> bool:
    """Say what is wrong with the values of a mask; return whether it marks any pixel."""
    stored = read_stored(path)
    mask = marked(path, stored, dark=dark_lines)
    values = np.unique(stored)
    remedy = "Write lines as 255 and everything else as 0."
    if stored.dtype.kind in "iu" and len(values) > 2 and values[-1] <= LARGEST_LABEL:
        held = ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")
        fact = f"{path} holds the values {held}; a mask must be 0 and one other value."
        mistakes.append((fact, remedy))
    elif (share := float(mask.mean())) > MOST_LINE:
        other = "bright" if dark_lines else "dark"
        if share < 1:
            remedy = f"If its {other} pixels are the lines: --set loader.options.lines={other}"
        fact = f"{path} marks {100 * share:.0f} % of all pixels as line, expected less than half."
        mistakes.append((fact, remedy))
    return bool(mask.any())


def _header(path: Path, mistakes: Mistakes) -> Header | None:
    try:
        return read_header(path)
    except DataError as error:
        mistakes.append((str(error), ""))
        return None


def _size(header: Header) -> str:
    height, width = header.shape
    return f"{height} x {width}"
