"""Which files belong together in ``images/ masks/ [masks2/] [fov/]``, and what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linerefine.errors import DataError
from linerefine.loaders.options import NAME

__all__ = [
    "SUFFIXES",
    "Files",
    "Place",
    "Survey",
    "beside",
    "quoted",
    "raise_together",
    "survey_files",
    "unused_folders",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""What counts as an image file; case does not matter."""

SHOWN = 20
"""At most so many mistakes are listed one by one."""

_OTHER_FORMATS = frozenset(
    ".bmp .dcm .gif .heic .jp2 .mat .npy .npz .pbm .pgm .ppm .webp".split()  # noqa: SIM905
)
"""What holds images too, but is not read."""

_USUAL = {
    "images": ("image", "img", "imgs", "photos", "input", "inputs", "source", "original"),
    "masks": ("mask", "label", "labels", "gt", "groundtruth", "annotations", "target", "targets"),
}
"""What people call these folders."""


@dataclass(frozen=True)
class Files:
    """The files of one sample.

    Parameters
    ----------
    name : str
        What its files share: the stem of the image.
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


@dataclass(frozen=True)
class Place:
    """Where the files of one part are, and what surrounds the names of samples there.

    Parameters
    ----------
    folder : Path
    before, after : str
        A file of the sample ``x`` has the stem ``before + x + after``.
    """

    folder: Path
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, root: Path, part: str) -> Place:
        """Return the place that an option names: ``masks``, or ``masks/{name}_mask``."""
        path = root / Path(part).expanduser()
        if NAME not in path.name:
            return cls(path)
        before, _, after = path.name.partition(NAME)
        if after.lower().endswith(SUFFIXES):
            after = after.rpartition(".")[0]
        return cls(path.parent, before, after)

    def name_of(self, stem: str) -> str | None:
        """Return the name of the sample that a file belongs to; None if it is no such file."""
        fits = stem.startswith(self.before) and stem.endswith(self.after)
        name = stem[len(self.before) : len(stem) - len(self.after)]
        return name if fits and name else None


@dataclass(frozen=True)
class Survey:
    """What a data root holds.

    Parameters
    ----------
    files : mapping of str to Files
        By name, sorted; with mistakes some may lack a mask or an ROI.
    mistakes : tuple of str
        A sentence or two each: what is wrong, and how to mend it.
    """

    files: Mapping[str, Files]
    mistakes: tuple[str, ...]


def survey_files(root: Path, *, images: str, masks: str, second: str, roi: str) -> Survey:
    """Return the samples of a folder and what is wrong with their names; decodes nothing.

    Parameters
    ----------
    root : Path
        Folder that holds the others.
    images, masks, second, roi : str
        Their names; the last two may be missing.

    Raises
    ------
    DataError
        If there is no such folder, or no image in it.
    """
    _require_root(root, images, masks)
    parts = {"images": images, "masks": masks, "second": second, "roi": roi}
    places = {key: Place.of(root, part) for key, part in parts.items()}
    _require_folders(root, places, parts)
    mistakes: list[str] = []
    found = {key: _by_name(place, places.values(), mistakes) for key, place in places.items()}
    if not found["images"]:
        raise DataError(_no_image(places["images"].folder))
    mistakes += _unmatched(places, found)
    files = {
        name: Files(name, path, *(found[key].get(name) for key in ("masks", "second", "roi")))
        for name, path in found["images"].items()
    }
    return Survey(files, tuple(mistakes))


def beside(image: Path, root: Path | None, images: str, roi: str) -> Path | None:
    """Return the ROI file of an image if both lie in a folder layout.

    Parameters
    ----------
    image : Path
        Any image, not only one of the data root.
    root : Path or None
        The data root, for an ``images`` that is an absolute path.
    images, roi : str
        As the options name them.
    """
    place = Place.of(Path(), images)
    depth = len(place.folder.parts)
    folder = image.parent
    if place.folder.is_absolute():
        base = root if folder == place.folder else None
    elif folder.parts[len(folder.parts) - depth :] != place.folder.parts:
        base = None
    else:
        base = folder.parents[depth - 1] if depth else folder
    name = place.name_of(image.stem)
    if base is None or name is None:
        return None
    return _by_name(Place.of(base, roi), (), []).get(name)


def unused_folders(root: Path, parts: Sequence[str]) -> tuple[str, ...]:
    """Return the names of folders that hold images but are none of a root's parts.

    Parameters
    ----------
    root : Path
    parts : sequence of str
        As the options name them, the images' first; where these are not in the
        root itself, the root is nobody's layout and nothing is looked at.
    """
    used = [Place.of(root, part).folder.resolve() for part in parts]
    if used[0].parent != root.resolve():
        return ()
    return tuple(
        sorted(
            path.name
            for path in root.iterdir()
            if path.is_dir()
            and path.resolve() not in used
            and any(file.suffix.lower() in SUFFIXES for file in path.iterdir())
        )
    )


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


def quoted(names: Sequence[str]) -> str:
    """Return names as a sentence lists them, the first twenty.

    Examples
    --------
    >>> quoted(["a", "b"])
    "'a', 'b'"
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN]) + more


# ------------------------------------------------------------------- folders


def _require_root(root: Path, images: str, masks: str) -> None:
    if root.is_dir():
        return
    what = "is a file" if root.exists() else "does not exist"
    msg = (
        f"data root {root} {what}. "
        f"--data-root must be the folder that holds '{images}' and '{masks}'."
    )
    raise DataError(msg)


def _require_folders(root: Path, places: Mapping[str, Place], parts: Mapping[str, str]) -> None:
    missing = [key for key in ("images", "masks") if not places[key].folder.is_dir()]
    if not missing:
        return
    what = " and no ".join(f"folder '{_shown(places[key].folder, root)}'" for key in missing)
    expected = ", ".join(f"{_shown(places[key].folder, root)}/" for key in ("images", "masks"))
    msg = (
        f"data root {root} has no {what}; it holds {_content(root)}. Expected {expected} and, if "
        f"there are such, {parts['second']}/ and {parts['roi']}/. {_way_out(root, missing, parts)}"
    )
    raise DataError(msg.rstrip())


def _way_out(root: Path, missing: Sequence[str], parts: Mapping[str, str]) -> str:
    """Return what to type, or to do, about folders that are not there."""
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    roots = [
        name
        for name, path in folders.items()
        if all(Place.of(path, parts[key]).folder.is_dir() for key in ("images", "masks"))
    ]
    if roots:
        return f"Did you mean --data-root {root / roots[0]}?"
    near = {key: _meant(parts[key], key, folders) for key in missing}
    if all(near.values()):
        options = " ".join(f"--set loader.options.{key}={name}" for key, name in near.items())
        return f"If they have other names: {options}"
    has_images = any(path.suffix.lower() in SUFFIXES for path in root.iterdir())
    if has_images and list(missing) == ["images"]:
        return f"Move the images into {parts['images']}/, or: --set loader.options.images=."
    if has_images:
        return (
            "Move images and masks into folders of their own, or tell them apart by their names: "
            "--set loader.options.images=. --set loader.options.masks='{name}_mask'"
        )
    return "Folders with other names: --set loader.options.images=... (and masks, second, roi)."


def _meant(part: str, key: str, folders: Iterable[str]) -> str:
    """Return the folder that is probably meant; empty if none is like it."""
    usual = (part.lower(), *_USUAL[key])
    found = [name for name in folders if name.lower() in usual]
    return (found or difflib.get_close_matches(part, list(folders), 1) or [""])[0]


def _no_image(folder: Path) -> str:
    others = sorted({p.suffix.lower() for p in folder.iterdir() if p.is_file()} - {""})
    msg = f"{folder} holds no image; looked for {', '.join(SUFFIXES)}."
    held = f" It holds files of {', '.join(others)}; convert them to PNG." if others else ""
    inside = [path.name for path in sorted(folder.iterdir()) if path.is_dir()]
    return msg + held + (f" Folders in it are not read: {quoted(inside)}." if inside else "")


def _shown(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)


def _content(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(f"'{name}'" for name in names[:5])
    return (shown + (", ..." if len(names) > 5 else "")) or "nothing"


# --------------------------------------------------------------------- names


def _by_name(place: Place, places: Iterable[Place], mistakes: list[str]) -> dict[str, Path]:
    """Return the images of a place by name, sorted; empty if there is no such folder."""
    # Of two parts in one folder the one that says more about names gets the file.
    closer = [p for p in places if p.folder == place.folder and _length(p) > _length(place)]
    found: dict[str, Path] = {}
    others: dict[str, Path] = {}
    entries: Iterable[Path] = place.folder.iterdir() if place.folder.is_dir() else ()
    for path in sorted(entries):
        name = place.name_of(path.stem)
        if name is None or path.name.startswith(".") or any(p.name_of(path.stem) for p in closer):
            continue
        if path.suffix.lower() in _OTHER_FORMATS:
            others[name] = path
        if path.suffix.lower() not in SUFFIXES:
            continue
        if name in found:
            mistakes.append(f"{path} and {found[name].name} share the name '{name}'; keep one.")
        found.setdefault(name, path)
    unread = [path.name for name, path in others.items() if name not in found]
    if unread and found:
        mistakes.append(
            f"{place.folder} holds files that are not read: {quoted(unread)}. "
            f"Convert them to PNG, or take them out."
        )
    return dict(sorted(found.items()))


def _length(place: Place) -> int:
    return len(place.before) + len(place.after)


def _unmatched(
    places: Mapping[str, Place], found: Mapping[str, Mapping[str, Path]]
) -> Iterator[str]:
    """Iterate over sentences about images without a partner and partners without an image."""
    images, source = found["images"], places["images"].folder
    for key in ("masks", "second", "roi"):
        place = places[key]
        missing = sorted(images.keys() - found[key].keys())
        alone = sorted(found[key].keys() - images.keys())
        is_needed = key != "second" and place.folder.is_dir()
        pattern = _pattern(place, missing, alone) if is_needed else ""
        if missing and is_needed:
            remedy = _otherwise(key, pattern, missing[0]) if pattern else _add(key, place, missing)
            yield (
                f"{place.folder} has no file for {len(missing)} of {len(images)} images: "
                f"{quoted(missing)}. {remedy}"
            )
        if alone and not pattern:
            yield (
                f"{place.folder} has files for images that are not in {source}: {quoted(alone)}. "
                f"{_near(missing, alone) or 'Add the images, or take these files out.'}"
            )


def _add(key: str, place: Place, missing: Sequence[str]) -> str:
    """Return what to do about files that are not there."""
    name = f"{place.before}{missing[0]}{place.after}.png"
    many = len(missing) > 1
    remedy = f"Add '{name}'{', ...' if many else ''}, or take {'the images' if many else 'it'} out"
    return remedy + ("." if key == "masks" else "; rename the folder if all pixels count.")


def _pattern(place: Place, missing: Sequence[str], alone: Sequence[str]) -> str:
    """Return how files are called that are there under other names; empty if they are not."""
    around = {tuple(stem.split(name, 1)) for name in missing for stem in alone if name in stem}
    for before, after in sorted(around):
        if all(f"{before}{name}{after}" in alone for name in missing):
            return f"{place.folder.name}/{place.before}{before}{NAME}{after}{place.after}"
    return ""


def _otherwise(key: str, pattern: str, name: str) -> str:
    called = Path(pattern).name.replace(NAME, name)
    return f"They are there as '{called}', ...: --set loader.options.{key}='{pattern}'"


def _near(missing: Sequence[str], alone: Sequence[str]) -> str:
    """Return which files are probably only misspelt; empty if none is."""
    near = [(stem, difflib.get_close_matches(stem, missing, 1, 0.7)) for stem in alone]
    meant = [f"'{stem}' be '{match[0]}'" for stem, match in near if match]
    return f"Should {' and '.join(meant[:3])}? Rename them." if meant else ""
