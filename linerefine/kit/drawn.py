"""A folder of drawn images for loaders that have no data of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.config import Component
from linerefine.errors import DataError
from linerefine.hooks import Entry
from linerefine.loaders.options import FolderOptions
from linerefine.registry import Registry
from linerefine.testing import DrawnLoader

__all__ = ["drawn_root"]


@contextmanager
def drawn_root(
    registry: Registry, entry: Entry[Any], options: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Complete the options of a folder loader that names no data by a folder of drawn images.

    Parameters
    ----------
    registry : Registry
        Makes the loader, to see whether it has data without a root.
    entry : Entry
        The loader's.
    options : mapping
        What the user gave.

    Yields
    ------
    options : dict
        Those given; with ``root`` if the loader reads folders as the core's
        ``folder`` does, was given none, and has no images without.
    """
    if not _needs_folder(registry, entry, options):
        yield dict(options)
        return
    with tempfile.TemporaryDirectory(prefix="linerefine-") as folder:
        completed = {**options, "root": folder}
        _draw(Path(folder), entry.options.model_validate(completed))
        yield completed


def _needs_folder(registry: Registry, entry: Entry[Any], options: Mapping[str, Any]) -> bool:
    if not issubclass(entry.options, FolderOptions) or options.get("root") is not None:
        return False
    loader = registry.make_loader(Component(name=entry.name, options=dict(options)))
    try:
        loader.names("train")
    except DataError:
        return True
    return False


def _draw(root: Path, options: Any) -> None:  # noqa: ANN401 - FolderOptions, or what extends them
    loader = DrawnLoader()
    for name in loader.names("train"):
        sample = loader.load(name)
        assert sample.lines is not None, "drawn samples have lines"
        pixels = (100 * sample.image[0] + 50).clip(0, 255)
        _write(root / options.images / f"{name}.png", pixels)
        _write(root / options.masks / f"{name}.png", 255 * sample.lines)


def _write(path: Path, values: NDArray[np.generic]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
