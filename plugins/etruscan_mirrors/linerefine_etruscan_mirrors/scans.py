"""One view on the working grid: read, checked, preprocessed once, then kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import DataError
from linerefine.types import Mask
from linerefine_etruscan_mirrors.files import (
    View,
    pixels_per_mm,
    read_channel,
    read_drawing,
    size,
)
from linerefine_etruscan_mirrors.object_mask import ObjectMasks
from linerefine_etruscan_mirrors.options import MirrorOptions
from linerefine_etruscan_mirrors.preprocessing import (
    Moments,
    Statistics,
    normalise,
    preprocess_depth,
    shrink,
    shrink_mask,
)
from linerefine_etruscan_mirrors.store import Entry, Store, key_of, save_mask

__all__ = ["BadScanError", "Scan", "ScanReader", "channel_names"]

log = logging.getLogger(__name__)

RECIPE = 1
"""Raised when preprocessing changes, so that older cache entries are not used."""

_PLANES = {
    "depth": ("depth",),
    "normals": ("normal_x", "normal_y", "normal_z"),
    "albedo": ("albedo",),
}


class BadScanError(DataError):
    """The files of one view are missing, damaged or do not fit each other."""


@dataclass(frozen=True)
class Scan:
    """What is known of a preprocessed view without reading its pixels.

    Parameters
    ----------
    view : View
        Its files.
    shape, source_shape : tuple of int
        Height and width on the working grid and of the files.
    scale : int
        Source pixels per working pixel.
    pixel_size_mm : float
        Edge of a working pixel.
    moments : tuple of Moments
        Of the mirror pixels, one per channel, before normalisation.
    mask_method : str
        ``disk``, ``sam`` or ``classical``.
    key : str
        Stands for the contents of the files and the options.
    """

    view: View
    shape: tuple[int, int]
    source_shape: tuple[int, int]
    scale: int
    pixel_size_mm: float
    moments: tuple[Moments, ...]
    mask_method: str
    key: str


def channel_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the image planes that options name by file."""
    return tuple(plane for channel in channels for plane in _PLANES[channel])


class ScanReader:
    """Reads views as the options ask, through a store.

    Parameters
    ----------
    options : MirrorOptions
        Channels, preprocessing, masks.
    store : Store
        Where results are kept.
    """

    def __init__(self, options: MirrorOptions, store: Store) -> None:
        self.options = options
        self.store = store
        self.masks = ObjectMasks(options.object_mask, options.sam_weights)

    def check(self, view: View) -> tuple[tuple[int, int], float]:
        """Return height, width and resolution of a view from its files' headers.

        Raises
        ------
        BadScanError
            If a file is missing, sizes disagree, or no resolution is stated.
        """
        with _as_bad_scan(view):
            _require(view, self.options.channels)
            shape = _common_shape(view)
            return shape, self._resolution(view)

    def scan(self, view: View, scale: int) -> Scan:
        """Return a view preprocessed; does the work unless it was done before.

        Raises
        ------
        BadScanError
            If a file is missing, damaged, not finite or of another size.
        DataError
            If the cache cannot be written.
        """
        shape, resolution = self.check(view)
        key = self._key(view, scale, resolution)
        entry = self.store.entry(
            "scans",
            key,
            lambda folder: self._preprocess(view, shape, scale, resolution, folder),
        )
        return Scan(
            view=view,
            shape=_working(shape, scale),
            source_shape=shape,
            scale=scale,
            pixel_size_mm=scale / resolution,
            moments=tuple(Moments(**plane) for plane in entry.facts["moments"]),
            mask_method=entry.facts["mask_method"],
            key=key,
        )

    def image(self, scan: Scan, statistics: Sequence[Statistics]) -> NDArray[np.float32]:
        """Return the normalised channels as a memory map, shape (C, H, W), float32."""
        parts = {"scan": scan.key, "statistics": [asdict(known) for known in statistics]}

        def normalised(folder: Path) -> Mapping[str, Any]:
            relief = self._entry(scan, "image").array("image")
            np.save(folder / "image.npy", normalise(relief, statistics))
            return {}

        return self.store.entry("normalised", key_of(parts), normalised, reads=["image"]).array(
            "image"
        )

    def roi(self, scan: Scan) -> Mask:
        """Return the mirror pixels on the working grid."""
        return self._entry(scan, "roi").mask("roi", scan.shape[1])

    def lines(self, scan: Scan) -> Mask:
        """Return the drawing on the working grid.

        Raises
        ------
        BadScanError
            If it cannot be read or has another size than the scan.
        """
        path = scan.view.drawing
        with _as_bad_scan(scan.view):
            digest = self._digest(path)

        def read(folder: Path) -> Mapping[str, Any]:
            with _as_bad_scan(scan.view):
                drawn = read_drawing(path)
                _check_size(path, drawn.shape, scan.source_shape)
            save_mask(folder / "lines.npy", shrink_mask(drawn, scan.scale))
            return {}

        parts = {"recipe": RECIPE, "drawing": digest, "scale": scan.scale}
        entry = self.store.entry("lines", key_of(parts), read, reads=["lines"])
        return entry.mask("lines", scan.shape[1])

    def _entry(self, scan: Scan, array: str) -> Entry:
        def again(folder: Path) -> Mapping[str, Any]:
            resolution = scan.scale / scan.pixel_size_mm
            return self._preprocess(scan.view, scan.source_shape, scan.scale, resolution, folder)

        return self.store.entry("scans", scan.key, again, reads=[array])

    def _resolution(self, view: View) -> float:
        if self.options.pixels_per_mm is not None:
            return self.options.pixels_per_mm
        stating = next(
            path for path in (view.normals, view.depth, view.albedo) if path.is_file()
        )  # the authors read the normals' tag
        return pixels_per_mm(stating, inch=self.options.inch)

    def _key(self, view: View, scale: int, resolution: float) -> str:
        with _as_bad_scan(view):
            used = {name: getattr(view, name) for name in ("depth", "normals", "albedo", "mask")}
            wanted = {*self.options.channels, "mask", *self.masks.looks_at(view)}
            files = {
                name: self._digest(path)
                for name, path in used.items()
                if name in wanted and path.is_file()
            }
        relevant = ("channels", "sigma_mm", "clip", "statistics")
        return key_of(
            {
                "recipe": RECIPE,
                "files": files,
                "resolution": resolution,
                "scale": scale,
                "object_mask": self.masks.identity(view),
                **self.options.model_dump(mode="json", include=set(relevant)),
            }
        )

    def _digest(self, path: Path) -> str:
        try:
            return self.store.digest(path)
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror or error}."
            raise DataError(msg) from error

    def _preprocess(
        self, view: View, shape: tuple[int, int], scale: int, resolution: float, folder: Path
    ) -> Mapping[str, Any]:
        """Write relief and ROI of one view; return its facts."""
        log.info("preprocessing %s (%d x %d pixels)", view.name, *shape)
        with _as_bad_scan(view):
            mask, method = self.masks.find(view, shape)
            if not mask.any():
                msg = f"the object mask ({method}) marks no pixel, so there is nothing to work on."
                raise DataError(msg)
            planes = list(self._planes(view, mask, scale, resolution))
        roi = shrink_mask(mask, scale)
        moments = [asdict(Moments.of(plane, roi)) for plane in planes]
        np.save(folder / "image.npy", np.stack(planes))
        save_mask(folder / "roi.npy", roi)
        return {"moments": moments, "mask_method": method, "view": view.name}

    def _planes(
        self, view: View, mask: Mask, scale: int, resolution: float
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the channels on the working grid, shape (H, W), before normalisation."""
        for channel in self.options.channels:
            path: Path = getattr(view, channel)
            pixels = read_channel(path)
            _check_size(path, pixels.shape[-2:], mask.shape)
            if channel == "depth":
                where = mask if self.options.statistics == "roi" else None
                height = _single(path, pixels)
                sigma = self.options.sigma_mm * resolution
                pixels = preprocess_depth(height, sigma, clip=self.options.clip, where=where)[None]
            elif channel == "albedo":
                pixels = (pixels if pixels.ndim == 3 else pixels[None]).mean(axis=0, keepdims=True)
            elif pixels.ndim != 3 or len(pixels) != 3:
                msg = f"{path} has shape {pixels.shape}, expected normals of shape (3, H, W)."
                raise DataError(msg)
            yield from (shrink(plane, scale) for plane in pixels)


def _single(path: Path, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a depth map of one channel; three equal ones count as one."""
    if pixels.ndim == 2:
        return pixels
    if len(pixels) == 1 or all(np.array_equal(pixels[0], plane) for plane in pixels[1:]):
        return np.ascontiguousarray(pixels[0])
    msg = f"{path} has shape {pixels.shape}, expected a depth map of one channel."
    raise DataError(msg)


def _require(view: View, channels: Sequence[str]) -> None:
    for channel in channels:
        path: Path = getattr(view, channel)
        if not path.is_file():
            label = {"depth": "depth map", "normals": "normal map"}.get(channel, channel)
            msg = (
                f"there is no {label}: {path} does not exist. --data-root must be the folder "
                "holding the object folders."
            )
            raise DataError(msg)


def _common_shape(view: View) -> tuple[int, int]:
    """Return the size that all files of a view share."""
    files = (view.depth, view.normals, view.albedo, view.drawing, view.mask)
    sizes = {path: size(path) for path in files if path.is_file()}
    first, shape = next(iter(sizes.items()))
    for path, other in sizes.items():
        if other != shape:
            msg = (
                f"{path} has {other[0]} x {other[1]} pixels (height x width), but {first} "
                f"{shape[0]} x {shape[1]}; all files of a view must have one size."
            )
            raise DataError(msg)
    return shape


def _check_size(path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        msg = f"{path} has {shape} pixels, expected {expected} as its header and the scan say."
        raise DataError(msg)


def _working(shape: tuple[int, int], scale: int) -> tuple[int, int]:
    return -(-shape[0] // scale), -(-shape[1] // scale)


@contextmanager
def _as_bad_scan(view: View) -> Iterator[None]:
    """Say of an unusable file to which view it belongs."""
    try:
        yield
    except BadScanError:
        raise
    except DataError as error:
        msg = f"view '{view.name}': {error}"
        raise BadScanError(msg) from error
