"""Which view a path given by a person stands for."""

from __future__ import annotations

from pathlib import Path

from linerefine.errors import DataError
from linerefine_etruscan_mirrors.files import Layout, View

__all__ = ["view_of_path"]


def view_of_path(path: Path, layout: Layout) -> View:
    """Return the view of a depth map or of a folder that holds one scan.

    Parameters
    ----------
    path : Path
        ``<object>/PS/<view>_U.tif``, ``<object>/PS`` or ``<object>``; a depth
        map outside such folders is taken with what lies beside it.
    layout : Layout
        Names of folders and files.

    Raises
    ------
    DataError
        If it is neither, or the folder holds no scan or several.
    """
    place = path.absolute()
    return _of_folder(place, layout) if place.is_dir() else _of_file(place, layout)


def _of_file(path: Path, layout: Layout) -> View:
    suffix = layout.depth_suffix
    name = path.name[: -len(suffix)] if path.name.endswith(suffix) else ""
    if not name:
        msg = f"{path} is no depth map: its name was expected to end in '{suffix}' after a view."
        raise DataError(msg)
    folder = path.parent
    if folder.name == layout.scans:
        return View(folder.parent.name, name, folder.parent.parent, layout)
    return View(folder.name, name, folder.parent, layout.model_copy(update={"scans": "."}))


def _of_folder(folder: Path, layout: Layout) -> View:
    inner = folder / layout.scans
    searched = inner if inner.is_dir() else folder
    found = sorted(searched.glob(f"*{layout.depth_suffix}"))
    if len(found) == 1:
        return _of_file(found[0], layout)
    if not found:
        msg = f"{searched} holds no depth map (*{layout.depth_suffix})."
    else:
        listed = ", ".join(path.name for path in found)
        msg = f"{searched} holds {len(found)} scans: {listed}. Name one of these files."
    raise DataError(msg)
