"""Sample data: drawn fundus photographs, written once to the user's cache.

They lie there in the layout of real data and are read by the same loader.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linerefine.cache import atomic_folder
from linerefine.caches import use_cache
from linerefine.types import Progress

__all__ = ["drawn_folder"]

log = logging.getLogger(__name__)


def drawn_folder(images: int, size: int, seed: int, progress: Progress) -> Path:
    """Return a folder of drawn fundus photographs; draws them if it is not there yet.

    Parameters
    ----------
    images : int
        How many, two of each child: ``Drawn_01L``, ``Drawn_01R``, ...
    size : int
        Edge of an image, pixels.
    seed : int
        Of all that is drawn. An image depends on it, on its size and on its
        own number only.
    progress : callable
        Called after each image.

    Returns
    -------
    root : Path
        Holds ``images/ masks/ masks2/ fov/``. Its name changes with the
        parameters and with the code that draws, so a folder once written
        stays as it is.

    Raises
    ------
    DataError
        If the disk is full or the cache cannot be written.
    """
    folder = use_cache() / "retina_demo" / _version(images, size, seed)
    if folder.is_dir():
        return folder
    log.info("drawing %d sample images into %s", images, folder)
    with atomic_folder(folder) as temporary:
        for number in range(images):
            for part, name, content in _drawn(number, size, seed):
                (temporary / part).mkdir(exist_ok=True)
                _write_png(temporary / part / f"{name}.png", content)
            progress("drawing sample images", number + 1, images)
    return folder


def _drawn(number: int, size: int, seed: int) -> Iterator[tuple[str, str, NDArray[np.generic]]]:
    """Iterate over the files of one image: folder, stem, content."""
    from linerefine_retina_demo.fundus import draw_fundus

    is_right = number % 2 == 1
    name = f"Drawn_{number // 2 + 1:02}{'R' if is_right else 'L'}"
    rng = np.random.default_rng([seed, number])
    fundus = draw_fundus(size, is_right=is_right, rng=rng)
    yield "images", name, fundus.image
    yield "masks", name, fundus.lines
    yield "masks2", name, fundus.other_lines
    yield "fov", name, fundus.field


def _version(images: int, size: int, seed: int) -> str:
    """Return a short hash of everything that decides what the folder holds."""
    from linerefine_retina_demo import fundus

    source = inspect.getsource(fundus)
    return hashlib.sha256(f"{source} {images} {size} {seed}".encode()).hexdigest()[:12]


def _write_png(path: Path, content: NDArray[np.generic]) -> None:
    from PIL import Image

    stored = content.astype(np.uint8) * 255 if content.dtype == np.bool_ else content
    Image.fromarray(stored).save(path)
