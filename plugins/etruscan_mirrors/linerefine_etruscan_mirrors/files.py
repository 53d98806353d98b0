"""The scans' files: where they lie, how they are read and written.

Layout on disk, with the default `Layout`::

    <root>/<object>/PS/<view>_N.tif              normals, 3 channels
    <root>/<object>/PS/<view>_RHO.tif            albedo
    <root>/<object>/PS/<view>_U.tif              depth
    <root>/<object>/drawings/<view>_drawings.png traced lines, or <root>/drawings/...
    <root>/<object>/masks/<view>_mask.png        object mask, or <root>/masks/...

An object is one mirror, a view one of its sides: ``ANSA-VI-1700_R`` is the back
(*Rückseite*) of ``ANSA-VI-1700``, ``_A`` (*Ansicht*) its front.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import DataError, ShapeError
from linerefine.types import Mask
from linerefine_etruscan_mirrors.images import (
    pixels_per_mm,
    read_channel,
    read_drawing,
    read_mask,
    size,
    write_png,
    write_tiff,
)
from linerefine_etruscan_mirrors.layout import Layout

__all__ = [
    "Layout",
    "View",
    "discover",
    "orphan_drawings",
    "pixels_per_mm",
    "read_channel",
    "read_drawing",
    "read_mask",
    "size",
    "write_view",
]

REMEDY = "--data-root must be the folder holding the object folders."


@dataclass(frozen=True)
class View:
    """One side of one object and the paths of its files, which need not exist.

    Parameters
    ----------
    object_name : str
        Name of the object's folder.
    name : str
        Name of the view: what its files' names begin with.
    root : Path
        Folder that holds the object folders.
    layout : Layout
        Names of folders and files.
    """

    object_name: str
    name: str
    root: Path
    layout: Layout

    @property
    def folder(self) -> Path:
        """Folder of the object."""
        return self.root / self.object_name

    @property
    def normals(self) -> Path:
        """Path of the normal map."""
        return self.folder / self.layout.scans / (self.name + self.layout.normals_suffix)

    @property
    def albedo(self) -> Path:
        """Path of the albedo."""
        return self.folder / self.layout.scans / (self.name + self.layout.albedo_suffix)

    @property
    def depth(self) -> Path:
        """Path of the depth map."""
        return self.folder / self.layout.scans / (self.name + self.layout.depth_suffix)

    @property
    def drawing(self) -> Path:
        """Path of the drawing: the object's own, else one at the root, if there is one."""
        return self._own_or_shared(self.layout.drawings, self.layout.drawing_suffix)

    @property
    def mask(self) -> Path:
        """Path of the object mask: the object's own, else one at the root, if there is one."""
        return self._own_or_shared(self.layout.masks, self.layout.mask_suffix)

    def _own_or_shared(self, folder: str, suffix: str) -> Path:
        own = self.folder / folder / (self.name + suffix)
        shared = self.root / folder / (self.name + suffix)
        return shared if shared.is_file() and not own.is_file() else own


def discover(root: Path, layout: Layout) -> list[View]:
    """Return all views under a data root, sorted by object, then name.

    A view is there as soon as one of its three scan files is.

    Parameters
    ----------
    root : Path
        Folder that holds the object folders.
    layout : Layout
        Names of folders and files.

    Raises
    ------
    DataError
        If the root is missing or no folder, is empty or holds no view, or if
        two objects hold a view of the same name.
    """
    _check_root(root)
    views = [
        View(folder.name, name, root, layout)
        for folder in sorted(path for path in root.iterdir() if _is_visible_folder(path))
        for name in sorted(_scan_names(folder / layout.scans, layout))
    ]
    if not views:
        raise DataError(_nothing_found(root, layout))
    _refuse_duplicates(views)
    return views


def orphan_drawings(root: Path, layout: Layout) -> list[Path]:
    """Return the drawings for which there is no scan, sorted.

    Parameters
    ----------
    root : Path
        Folder that holds the object folders.
    layout : Layout
        Names of folders and files.

    Raises
    ------
    DataError
        If the root is missing or no folder, or is empty.
    """
    _check_root(root)
    orphans: list[Path] = []
    known: set[str] = set()
    for folder in sorted(path for path in root.iterdir() if _is_visible_folder(path)):
        names = _scan_names(folder / layout.scans, layout)
        known |= names
        if folder.name != layout.drawings:
            orphans += _drawings_without(folder / layout.drawings, names, layout)
    return sorted(orphans + _drawings_without(root / layout.drawings, known, layout))


def write_view(
    view: View,
    *,
    depth: NDArray[np.float32],
    normals: NDArray[np.float32],
    albedo: NDArray[np.float32],
    lines: Mask,
    mask: Mask | None,
    resolution: float,
) -> None:
    """Write one view in the scans' own layout; each file appears whole or not at all.

    Parameters
    ----------
    view : View
        Where to write; missing folders are made.
    depth, albedo : ndarray of float32, shape (H, W)
        Written as tiled float TIFFs.
    normals : ndarray of float32, shape (3, H, W)
        Unit normals.
    lines : ndarray of bool, shape (H, W)
        Written to the alpha channel of the drawing, in black.
    mask : ndarray of bool, shape (H, W), or None
        Object mask; None writes no file.
    resolution : float
        Pixels per millimetre.

    Raises
    ------
    DataError
        If a file cannot be written.
    ShapeError
        If the arrays' sizes differ.
    """
    _check_sizes(view, depth.shape, albedo=albedo, normals=normals, lines=lines, mask=mask)
    for path, array in ((view.depth, depth), (view.normals, normals), (view.albedo, albedo)):
        write_tiff(path, array, resolution)
    layout = view.layout
    lines_path = view.folder / layout.drawings / (view.name + layout.drawing_suffix)
    write_png(lines_path, lines, as_alpha=True)
    if mask is not None:
        mask_path = view.folder / layout.masks / (view.name + layout.mask_suffix)
        write_png(mask_path, mask, as_alpha=False)


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _check_root(root: Path) -> None:
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        msg = (
            f"data root {root} {state}. --data-root must be the folder holding the object folders."
        )
        raise DataError(msg)
    if not any(root.iterdir()):
        msg = (
            f"data root {root} is empty. --data-root must be the folder holding the object folders."
        )
        raise DataError(msg)


def _nothing_found(root: Path, layout: Layout) -> str:
    sought = ", ".join(f"*/{layout.scans}/*{suffix}" for suffix in layout.scan_suffixes)
    if _scan_names(root / layout.scans, layout):
        remedy = f"It is itself an object's folder: give --data-root {root.parent}."
    else:
        remedy = REMEDY
    return f"data root {root} holds no scan; looked for {sought}. {remedy}"


def _refuse_duplicates(views: list[View]) -> None:
    owners: dict[str, str] = {}
    for view in views:
        other = owners.setdefault(view.name, view.object_name)
        if other != view.object_name:
            msg = (
                f"view '{view.name}' is found in two objects, '{other}' and "
                f"'{view.object_name}'. Names of views must be unique: rename one."
            )
            raise DataError(msg)


def _names(folder: Path, suffix: str) -> set[str]:
    if not folder.is_dir():
        return set()
    return {
        path.name[: -len(suffix)]
        for path in folder.iterdir()
        if path.name.endswith(suffix) and path.name != suffix and not path.name.startswith(".")
    }


def _scan_names(folder: Path, layout: Layout) -> set[str]:
    return set().union(*(_names(folder, suffix) for suffix in layout.scan_suffixes))


def _drawings_without(folder: Path, scans: set[str], layout: Layout) -> list[Path]:
    suffix = layout.drawing_suffix
    return [folder / (name + suffix) for name in sorted(_names(folder, suffix) - scans)]


def _check_sizes(view: View, shape: tuple[int, ...], **arrays: NDArray[Any] | None) -> None:
    for name, array in arrays.items():
        if array is not None and array.shape[-2:] != shape:
            msg = f"view '{view.name}': {name} has shape {array.shape}, depth {shape}."
            raise ShapeError(msg)
