"""Make one data root of several, so that a refiner can be trained on all of them together.

Usage: python scripts/gather_sets.py OUT ROOT [ROOT ...] [--experiment NAME ...] [--group REGEX]

Every ROOT holds ``images`` and ``masks``, perhaps ``fov``, and a splits.json in it or beside it.
OUT gets links to the files, their names begun with the name of their root, and a splits.json that
joins the roots' own. With --experiment it also gets what that experiment's loader reads in profile
``quick``, written as files: drawn mirrors, say. If one set has a ``fov``, all pixels of the others
count. Second annotators stay behind, unless every set has one.
Then: linerefine run folder --data-root OUT
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from linerefine.configure import resolve
from linerefine.errors import DataError, LineRefineError
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
    parser.add_argument("--group", help="regular expression of names that stay together")
    wanted = parser.parse_args()
    try:
        loaders = {name: loader_of(name) for name in wanted.experiment}
        splits = gather(wanted.out, wanted.roots, wanted.group, loaders)
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
) -> dict[str, list[str]]:
    """Link the files of all roots into one, and return the names of each split."""
    splits: dict[str, list[str]] = defaultdict(list)
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
        for split in SPLITS:
            splits[split] += [f"{root.name}-{name}" for name in division.names(split)]
        for folder in folders:
            _link(root / folder, out / folder, root.name)
        if has_fov and "fov" not in folders:
            _frame(root, out / "fov")
    for name, loader in loaders.items():
        for split in SPLITS:
            samples = map(loader.load, loader.names(split))
            splits[split] += [_write(sample, out, name) for sample in samples]
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


if __name__ == "__main__":
    main()
