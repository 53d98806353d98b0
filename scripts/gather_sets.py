"""Make one data root of several, so that a refiner can be trained on all of them together.

Usage: python scripts/gather_sets.py OUT ROOT [ROOT ...] [--group REGEX]

Every ROOT holds ``images`` and ``masks``, perhaps ``fov``, and a splits.json in it or beside it.
OUT gets links to the files, their names begun with the name of their root, and a splits.json that
joins the roots' own. If one root has a ``fov``, all pixels of the others count. Second annotators
stay behind, unless every root has one. Then: linerefine run folder --data-root OUT
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from PIL import Image

from linerefine.errors import DataError
from linerefine.loaders.splits import SPLITS, grouping, read_split_file, split_file_of

NEEDED, OPTIONAL = ("images", "masks"), ("masks2", "fov")


def main() -> None:
    """Make the links and the split file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--group", help="regular expression of names that stay together")
    wanted = parser.parse_args()
    try:
        splits = gather(wanted.out, wanted.roots, wanted.group)
    except DataError as error:
        parser.error(str(error))
    counts = ", ".join(f"{len(names)} {split}" for split, names in splits.items())
    print(f"{counts} images in {wanted.out}")


def gather(out: Path, roots: list[Path], group: str | None = None) -> dict[str, list[str]]:
    """Link the files of all roots into one, and return the names of each split."""
    splits: dict[str, list[str]] = defaultdict(list)
    shared = [each for each in OPTIONAL if all((root / each).is_dir() for root in roots)]
    folders = [*NEEDED, *shared]
    has_fov = any((root / "fov").is_dir() for root in roots)
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
    (out / "splits.json").write_text(json.dumps(splits, indent=1), encoding="utf-8")
    return splits


def _link(source: Path, into: Path, prefix: str) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        link = into / f"{prefix}-{path.name}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())


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
