"""Any images with masks of lines beside them: ``images/ masks/ [masks2/] [fov/]``."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import DataError
from linerefine.interfaces import ModalityLoader
from linerefine.loaders.layout import (
    Files,
    Survey,
    beside,
    quoted,
    raise_together,
    survey_files,
    unused_folders,
)
from linerefine.loaders.options import FolderOptions
from linerefine.loaders.pixels import normalised, resized, resized_mask, selected
from linerefine.loaders.splits import (
    Division,
    check_split_file,
    divide,
    grouping,
    read_split_file,
    split_file_of,
)
from linerefine.samples import Sample
from linerefine.types import Mask, Progress, Split

__all__ = ["Folder", "FolderOptions"]

log = logging.getLogger(__name__)

_RGB = ("red", "green", "blue")


class Folder(ModalityLoader):
    """Images, masks and optional further masks in folders, matched by stem.

    Parameters
    ----------
    options : FolderOptions

    Notes
    -----
    Files are PNG, JPEG or TIFF of 8 or 16 bits or floats. A mask's line
    pixels are those above half of its largest value; with ``lines="dark"`` the
    others. Where a folder is named such as ``masks/{name}_mask``, files that
    are not called so are left alone. Pixels outside the ROI
    are set to 0, the mean of those inside. With ``scale`` below 1 an image
    pixel is the mean of those it stands for, and a line pixel one of which at
    least half is line; lines thinner than ``1 / scale`` pixels get lost.

    The split is, in this order: ``split_file``; ``splits.json`` in the root,
    or beside it with the root's name as key; sorted names in the given
    shares. If a split file has no ``test``, its ``val`` is reported on as test
    and the last fifth of the groups of ``train`` decides when to stop.

    Nothing is read before the first call of a method. To reuse this loader,
    override `estimate_roi`, or give other options.
    """

    def __init__(self, options: FolderOptions | None = None) -> None:
        self.options = options or FolderOptions()
        chosen = self.options.channels
        self.channels = _RGB if chosen == "rgb" else (chosen,)

    @property
    def root(self) -> Path:
        """The data root.

        Raises
        ------
        DataError
            If none was named.
        """
        if self.options.root is None:
            msg = (
                f"no data root is named. --data-root must be the folder that holds "
                f"'{self.options.images}' and '{self.options.masks}'."
            )
            raise DataError(msg)
        return self.options.root.expanduser()

    def prepare(self, progress: Progress) -> None:
        """Check names, headers, masks and split file, and images of floats by their values.

        Raises
        ------
        DataError
            Lists everything that is missing, damaged or does not fit.
        """
        from linerefine.loaders.checks import check_files, with_remedies  # Pillow, where used

        o, survey = self.options, self._survey
        inside: list[tuple[str, str]] = []
        has_lines = False
        for done, files in enumerate(survey.files.values(), 1):
            found = check_files(files, dark_lines=o.lines == "dark", roi=o.roi)
            inside += found.mistakes
            if found.is_float and not found.mistakes:
                inside += self._loading_mistakes(files)
            has_lines |= found.has_lines
            progress("checking files", done, len(survey.files))
        mistakes = [*survey.mistakes, *with_remedies(inside)]
        mistakes += self._split_mistakes()
        if not mistakes and not has_lines:
            mistakes.append(
                f"none of the {len(survey.files)} masks in {self.root / o.masks} marks a line; "
                f"line pixels must be brighter than the rest."
            )
        raise_together(mistakes, self.root)
        self._division  # noqa: B018 (too few images are found here, not in an hour)

    def names(self, split: Split) -> Sequence[str]:
        """Return the names of a split, sorted; looks at names only."""
        return self._division.names(split)

    def load(self, name: str) -> Sample:
        """Return one sample."""
        files = self._files.get(name)
        if files is None:
            close = difflib.get_close_matches(name, self._files, 1)
            hint = (
                f"Did you mean '{close[0]}'?" if close else f"It holds {len(self._files)} others."
            )
            msg = f"no image named '{name}' in {self.root}. {hint}"
            raise DataError(msg)
        return self._read(files)

    def open(self, source: str) -> Sample:
        """Return any single image, without lines.

        The ROI is the file in ``fov/`` if the image lies in such a layout,
        else what `estimate_roi` says.
        """
        path = Path(source).expanduser()
        o = self.options
        roi = beside(path.absolute(), o.root, o.images, o.roi)
        return self._read(Files(path.stem, path, roi=roi))

    def notes(self) -> dict[str, str]:
        """Return how the images were divided, and what was not looked at.

        Whether they are photographs or drawn, a folder does not say.
        """
        o = self.options
        notes = {"split": self._division.rule}
        unused = unused_folders(self.root, (o.images, o.masks, o.second, o.roi))
        if unused:
            notes["unused"] = (
                f"folders {quoted(unused)}; a second annotator's masks are named by "
                f"--set loader.options.second=NAME, pixels that count by loader.options.roi"
            )
        return notes

    def estimate_roi(self, pixels: NDArray[np.float32]) -> Mask:
        """Return the pixels that count in an image without an ROI file: here, all.

        Parameters
        ----------
        pixels : ndarray of float32, shape (H, W, 1) or (H, W, 3)
            The image as stored: red, green, blue; integers scaled to [0, 1].

        Returns
        -------
        roi : ndarray of bool, shape (H, W)
        """
        return np.ones(pixels.shape[:2], dtype=np.bool_)

    @cached_property
    def _survey(self) -> Survey:
        o = self.options
        return survey_files(self.root, images=o.images, masks=o.masks, second=o.second, roi=o.roi)

    @cached_property
    def _files(self) -> Mapping[str, Files]:
        raise_together(self._survey.mistakes, self.root)
        return self._survey.files

    @cached_property
    def _split_file(self) -> Path | None:
        file = self.options.split_file
        return file.expanduser() if file else split_file_of(self.root)

    def _split_mistakes(self) -> Sequence[str]:
        if self._split_file is None:
            return ()
        try:
            return check_split_file(self._split_file, self.root, self._survey.files)
        except DataError as error:
            return [str(error)]

    @cached_property
    def _division(self) -> Division:
        o, names = self.options, list(self._files)
        group = grouping(o.group)
        file = self._split_file
        if file is None:
            division = divide(names, group, o.split_fractions)
        else:
            division = read_split_file(file, self.root, names, group)
        counts = ", ".join(f"{len(division.names(s))} {s}" for s in ("train", "val", "test"))
        log.info("split %s: %s", division.rule, counts)
        return division

    def _loading_mistakes(self, files: Files) -> list[tuple[str, str]]:
        try:
            self._read(files)
        except DataError as error:
            return [(str(error), "")]
        return []

    def _read(self, files: Files) -> Sample:
        from linerefine.loaders.images import read_mask, read_pixels  # Pillow only where used

        pixels = read_pixels(files.image)
        roi = self.estimate_roi(pixels) if files.roi is None else read_mask(files.roi)
        dark = self.options.lines == "dark"
        masks = {path: read_mask(path, dark=dark) for path in (files.mask, files.second) if path}
        for path, mask in {files.roi or files.image: roi, **masks}.items():
            _require_shape(path, mask, files.image, pixels)
        lines = [resized_mask(mask, self.options.scale) for mask in masks.values()]
        image, roi = self._image(files.image, pixels, roi)
        return Sample(
            name=files.name,
            image=image,
            roi=roi,
            lines=lines[0] if lines else None,
            other_lines=tuple(lines[1:]),
            source_shape=(pixels.shape[0], pixels.shape[1]),
        )

    def _image(
        self, path: Path, pixels: NDArray[np.float32], roi: Mask
    ) -> tuple[NDArray[np.float32], Mask]:
        """Return the channels and the ROI of a sample, on the working grid."""
        image = selected(pixels, self.channels)
        wrong = roi & ~np.isfinite(image).all(axis=0)
        if wrong.any():
            msg = (
                f"{path}: {np.count_nonzero(wrong)} pixels that count are NaN or infinite, expected"
                f" numbers. Mend the file, or leave these pixels out in '{self.options.roi}'."
            )
            raise DataError(msg)
        image = resized(np.where(np.isfinite(image), image, np.float32(0)), self.options.scale)
        roi = resized_mask(roi, self.options.scale)
        if not roi.any():
            msg = f"{path}: no pixel counts, its ROI is empty. Mend it in '{self.options.roi}'."
            raise DataError(msg)
        if self.options.normalise:
            image = normalised(image, roi)
        image = np.where(roi, -image if self.options.invert else image, np.float32(0))
        return np.ascontiguousarray(image), roi


def _require_shape(path: Path, mask: Mask, image: Path, pixels: NDArray[np.float32]) -> None:
    """Refuse a mask that does not fit its image, for callers that did not prepare."""
    if mask.shape != pixels.shape[:2]:
        given, expected = (" x ".join(map(str, shape)) for shape in (mask.shape, pixels.shape[:2]))
        msg = f"{path} is {given} pixels, {image} {expected}; must agree."
        raise DataError(msg)
