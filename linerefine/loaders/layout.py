"""Which files belong together in ``images/ masks/ [masks2/] [fov/]``, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linerefine.errors import DataError

if TYPE_CHECKING:
    from linerefine.loaders.images import Header

__all__ = ["SUFFIXES", "Files", "beside", "check_files", "find_files", "raise_together"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""What counts as an image file; case does not matter."""

SHOWN = 20
"""At most so many mistakes are listed one by one."""


@dataclass(frozen=True)
class Files:
    """The files of one sample.

    Parameters
    ----------
    name : str
        Stem that they share.
    image : Path
    mask, second, roi : Path or None
        Lines, a second annotator's lines, pixels that count; None where there
        are none.
    """

    name: str
    image: Path
    mask: Path | None = None
    second: Path | None = None
    roi: Path | None = None

    def others(self) -> Iterator[Path]:
        """Iterate over the files that must have the image's size."""
        yield from (path for path in (self.mask, self.second, self.roi) if path is not None)


def find_files(
    root: Path, *, images: str, masks: str, second: str, roi: str
) -> Mapping[str, Files]:
    """Return the samples of a folder by name, sorted; decodes nothing.

    Parameters
    ----------
    root : Path
        Folder that holds the others.
    images, masks, second, roi : str
        Names of the folders in it; the last two may be missing.

    Returns
    -------
    files : mapping of str to Files

    Raises
    ------
    DataError
        If there is no such folder or no image in it, or if names do not
        match; lists all mistakes.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        msg = f"data root {root} {what}. --data-root must be the folder that holds '{images}'."
        raise DataError(msg)
    for folder in (images, masks):
        if not (root / folder).is_dir():
            msg = (
                f"data root {root} has no folder '{folder}'; it holds {_content(root)}. "
                f"Expected {images}/, {masks}/ and, if there are such, {second}/ and {roi}/."
            )
            raise DataError(msg)
    mistakes: list[str] = []
    found = {part: _by_stem(root / part, mistakes) for part in (images, masks, second, roi)}
    if not found[images]:
        msg = f"{root / images} holds no image; looked for {', '.join(SUFFIXES)}."
        raise DataError(msg)
    mistakes += _unmatched(root, found, images=images, required=(masks, roi))
    raise_together(mistakes, root)
    return {
        name: Files(name, path, found[masks][name], found[second].get(name), found[roi].get(name))
        for name, path in found[images].items()
    }


def check_files(files: Files) -> tuple[list[str], bool]:
    """Compare sizes by the headers of a sample's files.

    Returns
    -------
    mistakes : list of str
        One sentence each, naming the file.
    is_float : bool
        Whether the image may hold NaN, which no header tells.
    """
    mistakes: list[str] = []
    image = _header(files.image, mistakes)
    for path in files.others():
        other = _header(path, mistakes)
        if image is not None and other is not None and other.shape != image.shape:
            mistakes.append(
                f"{path} is {_size(other)} pixels, {files.image} {_size(image)}; must agree."
            )
    return mistakes, not mistakes and image is not None and image.is_float


def beside(image: Path, images: str, roi: str) -> Path | None:
    """Return the ROI file of an image if both lie in a folder layout."""
    if image.parent.name != images:
        return None
    folder = image.parent.parent / roi
    return _by_stem(folder, []).get(image.stem)


def raise_together(mistakes: Sequence[str], root: Path) -> None:
    """Raise one `DataError` that lists all mistakes, if there are any."""
    if not mistakes:
        return
    if len(mistakes) == 1:
        raise DataError(mistakes[0])
    lines = [f"{len(mistakes)} mistakes in {root}:", *(f"  - {m}" for m in mistakes[:SHOWN])]
    if len(mistakes) > SHOWN:
        lines.append(f"  - and {len(mistakes) - SHOWN} more.")
    raise DataError("\n".join(lines))


def _header(path: Path, mistakes: list[str]) -> Header | None:
    from linerefine.loaders.images import read_header  # Pillow only where used

    try:
        return read_header(path)
    except DataError as error:
        mistakes.append(str(error))
        return None


def _by_stem(folder: Path, mistakes: list[str]) -> dict[str, Path]:
    """Return the images of a folder by stem, sorted; empty if there is no folder."""
    found: dict[str, Path] = {}
    entries: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    for path in sorted(entries):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            mistakes.append(
                f"{path} and {found[path.stem].name} share the name '{path.stem}'; keep one."
            )
        found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _unmatched(
    root: Path, found: Mapping[str, Mapping[str, Path]], *, images: str, required: Iterable[str]
) -> Iterator[str]:
    """Iterate over sentences about images without a partner and partners without an image."""
    for part in required:
        if not (root / part).is_dir():
            continue
        for name in sorted(found[images].keys() - found[part].keys()):
            yield f"{found[images][name]} has no file '{name}.*' in {root / part}."
    for paths in found.values():
        for name in sorted(paths.keys() - found[images].keys()):
            yield f"{paths[name]} has no image '{name}.*' in {root / images}."


def _size(header: Header) -> str:
    height, width = header.shape
    return f"{height} x {width}"


def _content(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(f"'{name}'" for name in names[:5])
    return (shown + (", ..." if len(names) > 5 else "")) or "nothing"
