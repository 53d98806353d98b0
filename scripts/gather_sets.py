"""Make one data root of several, so that a refiner can be trained on all of them together.

Usage: python scripts/gather_sets.py OUT ROOT [ROOT ...] [--experiment NAME ...] [--even]
       [--group REGEX]

Every ROOT holds ``images`` and ``masks``, perhaps ``fov``, and a splits.json in it or beside it.
OUT gets links to the files, their names begun with the name of their root, and a splits.json that
joins the roots' own. With --experiment it also gets what that experiment's loader reads in profile
``quick``, written as files: drawn mirrors, say. If one set has a ``fov``, all pixels of the others
count. Second annotators stay behind, unless every set has one.

Training draws as many patches from a small image as from a tile of a large one, so a set of many
small images would be most of what a network sees. With --even the training images of other sets
are listed several times, each time as a link of its own, so that sets give about as many patches.
Then: linerefine run folder --data-root OUT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from linerefine.config import TilingConfig
from linerefine.configure import resolve
from linerefine.errors import DataError, LineRefineError
from linerefine.geometry import tile_grid
from linerefine.interfaces import ModalityLoader
from linerefine.loaders.splits import SPLITS, grouping, read_split_file, split_file_of
from linerefine.registry import Registry
from linerefine.samples import Sample

NEEDED, OPTIONAL = ("images", "masks"), ("masks2", "fov")


def main() -> None:
    """Make the links and the split file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--experiment", action="append", default=[], help="etruscan_mirrors, say")
    parser.add_argument("--even", action="store_true", help="about as many patches of each set")
    parser.add_argument("--group", help="regular expression of names that stay together")
    wanted = parser.parse_args()
    try:
        loaders = {name: loader_of(name) for name in wanted.experiment}
        splits = gather(wanted.out, wanted.roots, wanted.group, loaders, even=wanted.even)
    except LineRefineError as error:
        parser.error(str(error))
    counts = ", ".join(f"{len(names)} {split}" for split, names in splits.items())
    print(f"{counts} images in {wanted.out}")


def loader_of(experiment: str) -> ModalityLoader:
    """Return the loader that an experiment reads its images with, ready."""
    registry = Registry.discover()
    loader = registry.make_loader(resolve(registry, experiment, profile="quick").loader)
    loader.prepare(lambda _what, _done, _total: None)
    return loader


def gather(
    out: Path,
    roots: list[Path],
    group: str | None = None,
    loaders: Mapping[str, ModalityLoader] | None = None,
    *,
    even: bool = False,
) -> dict[str, list[str]]:
    """Link the files of all roots into one, and return the names of each split."""
    sets: dict[str, dict[str, list[str]]] = {}
    loaders = loaders or {}
    called = [root.name for root in roots] + [*loaders]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        msg = f"more than one set is called {', '.join(twice)}; file names begin so: rename one."
        raise DataError(msg)
    optional = ("fov",) if loaders else OPTIONAL
    shared = [each for each in optional if all((root / each).is_dir() for root in roots)]
    folders = [*NEEDED, *shared]
    has_fov = bool(loaders) or any((root / "fov").is_dir() for root in roots)
    for root in roots:
        names = sorted({path.stem for path in (root / "images").iterdir()})
        file = split_file_of(root)
        if file is None:
            msg = f"{root} has no splits.json in it or beside it; write one."
            raise DataError(msg)
        division = read_split_file(file, root, names, grouping(group))
        sets[root.name] = {
            split: [f"{root.name}-{name}" for name in division.names(split)] for split in SPLITS
        }
        for folder in folders:
            _link(root / folder, out / folder, root.name)
        if has_fov and "fov" not in folders:
            _frame(root, out / "fov")
    for name, loader in loaders.items():
        sets[name] = {
            split: [_write(sample, out, name) for sample in map(loader.load, loader.names(split))]
            for split in SPLITS
        }
    splits = {split: [name for each in sets.values() for name in each[split]] for split in SPLITS}
    if even:
        splits["train"] += _again(out, [each["train"] for each in sets.values()])
    (out / "splits.json").write_text(json.dumps(splits, indent=1), encoding="utf-8")
    return splits


def _link(source: Path, into: Path, prefix: str) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        link = into / f"{prefix}-{path.name}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())


def _write(sample: Sample, into: Path, prefix: str) -> str:
    """Write a sample as the files of one image, and return its name there."""
    channels = sample.image.shape[0]
    if channels not in (1, 3):
        msg = f"{prefix} reads images of {channels} channels; files for a folder have 1 or 3."
        raise DataError(msg)
    if sample.lines is None:
        msg = f"nobody has traced the lines of {sample.name}, which {prefix} lists."
        raise DataError(msg)
    name = f"{prefix}-{sample.name}"
    files = [into / "images" / f"{name}.tif"]
    files += [into / folder / f"{name}.png" for folder in ("masks", "fov")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # it may be a link from before: never write through it
    pixels = np.moveaxis(sample.image, 0, -1) if channels == 3 else sample.image[0]
    tifffile.imwrite(files[0], pixels, photometric="rgb" if channels == 3 else "minisblack")
    for file, mask in zip(files[1:], (sample.lines, sample.roi), strict=True):
        Image.fromarray(mask).save(file)
    return name


def _frame(root: Path, into: Path) -> None:
    """Link a root's field of view; write one in which all pixels count if it has none."""
    if (root / "fov").is_dir():
        _link(root / "fov", into, root.name)
        return
    into.mkdir(parents=True, exist_ok=True)
    for path in (root / "images").iterdir():
        with Image.open(path) as image:
            frame = into / f"{root.name}-{path.stem}.png"
            frame.unlink(missing_ok=True)  # it may be a link from before: never write through it
            Image.new("L", image.size, 255).save(frame)


def _again(out: Path, sets: list[list[str]]) -> list[str]:
    """Link the images of sets with fewer tiles again, and return the names of these links."""
    masks = {path.stem: path for path in (out / "masks").iterdir()}
    tiles = [sum(_tiles(masks[name]) for name in names) for names in sets]
    added = []
    for names, count in zip(sets, tiles, strict=True):
        for number in range(2, round(max(tiles) / max(count, 1)) + 1):
            for folder in (path for path in out.iterdir() if path.is_dir()):
                files = {path.stem: path for path in folder.iterdir()}
                for name in names:
                    link = folder / f"{name}_{number}{files[name].suffix}"
                    link.unlink(missing_ok=True)
                    link.symlink_to(files[name].resolve())
            added += [f"{name}_{number}" for name in names]
    return added


def _tiles(mask: Path) -> int:
    """Return in how many tiles training cuts an image, at most, by the size of its mask."""
    with Image.open(mask) as image:
        cols, rows = image.size
    tiling = TilingConfig()
    size = min(tiling.train_rows, rows), min(tiling.train_cols, cols)
    return len(tile_grid((rows, cols), size, (size[0] // 2 or 1, size[1] // 2 or 1)))


if __name__ == "__main__":
    main()
