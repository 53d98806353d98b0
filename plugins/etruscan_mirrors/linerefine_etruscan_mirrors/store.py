"""Arrays kept on disk under a key that says what they were made from.

An entry is a folder::

    <store>/<kind>/<key>/facts.json   what the maker noted, and a digest of each array
    <store>/<kind>/<key>/<name>.npy   arrays, read as memory maps

It appears whole or not at all (`linerefine.cache.atomic_folder`), and an entry
that does not match its digests is made again. Nothing is ever removed
otherwise: the store may be deleted as a whole whenever no run is using it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.cache import atomic_folder, atomic_write
from linerefine.types import Mask

__all__ = ["Entry", "Store", "content_digest", "key_of", "save_mask"]

log = logging.getLogger(__name__)

FACTS = "facts.json"
BLOCK = 1 << 22
SETTLED_NS = 2_000_000_000
"""A file changed less than two seconds ago may change again under the same time stamp."""


def key_of(parts: Mapping[str, Any]) -> str:
    """Return a key, 32 hexadecimal digits, that differs where any part differs."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def content_digest(path: Path) -> str:
    """Return 32 hexadecimal digits that stand for a file's bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def save_mask(path: Path, mask: Mask) -> None:
    """Write a mask, shape (H, W), eight pixels to the byte."""
    np.save(path, np.packbits(mask, axis=1))


@dataclass(frozen=True)
class Entry:
    """One finished entry.

    Parameters
    ----------
    folder : Path
        Where it lies.
    facts : mapping
        What its maker noted.
    """

    folder: Path
    facts: Mapping[str, Any]

    def array(self, name: str) -> NDArray[Any]:
        """Return an array as a read-only memory map."""
        found: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return found

    def mask(self, name: str, width: int) -> Mask:
        """Return what `save_mask` wrote, shape (H, width)."""
        packed = np.load(self.folder / f"{name}.npy")
        return np.unpackbits(packed, axis=1, count=width).view(np.bool_)


class Store:
    """Entries under one folder.

    Parameters
    ----------
    folder : Path
        Need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checked: set[tuple[str, str]] = set()

    def entry(
        self,
        kind: str,
        key: str,
        make: Callable[[Path], Mapping[str, Any]],
        *,
        reads: Collection[str] = (),
    ) -> Entry:
        """Return an entry, made now unless a sound one is there.

        Parameters
        ----------
        kind, key : str
            What it is and what it is made from.
        make : callable
            ``make(folder)`` writes the arrays as ``<name>.npy`` and returns
            facts for JSON.
        reads : collection of str
            Arrays that will be read: their bytes are compared with their
            digests, once per store object. Of others only the size is.

        Raises
        ------
        DataError
            If the disk is full or the folder cannot be written.
        """
        place = self.folder / kind / key
        if place.is_dir():
            found = self._sound(place, reads)
            if found is not None:
                return found
            _discard(place)
        with atomic_folder(place) as scratch:
            facts = make(scratch)
            record = {"facts": facts, "files": _digests(scratch)}
            (scratch / FACTS).write_text(json.dumps(record), encoding="utf-8")
        self._checked |= {(str(place), name) for name in record["files"]}
        return Entry(place, facts)

    def digest(self, path: Path) -> str:
        """Return `content_digest`, remembered for as long as size and time stamp stay.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        state = path.stat()
        known = self._known_digests()
        stamp = [state.st_size, state.st_mtime_ns]
        name = str(path.resolve())
        found = known.get(name)
        if found is not None and found[:2] == stamp:
            return str(found[2])
        digest = content_digest(path)
        if time.time_ns() - state.st_mtime_ns > SETTLED_NS:
            known[name] = [*stamp, digest]
            with atomic_write(self.folder / "digests.json") as scratch:
                scratch.write_text(json.dumps(known), encoding="utf-8")
        return digest

    def _known_digests(self) -> dict[str, list[Any]]:
        try:
            known = json.loads((self.folder / "digests.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or damaged: it can be made again
            return {}
        return known if isinstance(known, dict) else {}

    def _sound(self, place: Path, reads: Collection[str]) -> Entry | None:
        """Return an entry that is there, or None if it is damaged."""
        try:
            record = json.loads((place / FACTS).read_text(encoding="utf-8"))
            for name, (size, digest) in record["files"].items():
                path = place / f"{name}.npy"
                is_checked = (str(place), name) in self._checked or name not in reads
                if path.stat().st_size != size or not (
                    is_checked or content_digest(path) == digest
                ):
                    log.warning("%s is damaged and is made again", path)
                    return None
                if name in reads:
                    self._checked.add((str(place), name))
            return Entry(place, record["facts"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("cache entry %s is damaged (%s) and is made again", place, error)
            return None


def _digests(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        path.stem: (path.stat().st_size, content_digest(path))
        for path in sorted(folder.glob("*.npy"))
    }


def _discard(place: Path) -> None:
    """Move a damaged entry away, so that no other process takes it while it is removed."""
    aside = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        place.rename(aside)
    except OSError:
        log.debug("%s was moved by another process", place)
    shutil.rmtree(aside, ignore_errors=True)
