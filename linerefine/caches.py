"""What lies in the cache, who uses it, and how it is emptied while nobody does."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linerefine.cache import cache_root
from linerefine.errors import DataError

__all__ = ["CachePart", "cache_parts", "clear_cache", "use_cache"]

log = logging.getLogger(__name__)

USERS = ".users"
WAIT_SECONDS = 60.0

_held: dict[Path, Any] = {}


@dataclass(frozen=True)
class CachePart:
    """One folder of the cache.

    Parameters
    ----------
    name : str
        Relative to the cache, such as ``etruscan_mirrors/scans``.
    bytes : int
        Size of its files.
    files : int
        Their number.
    changed : float
        When one was last written, seconds since 1970.
    """

    name: str
    bytes: int
    files: int
    changed: float


def use_cache() -> Path:
    """Return `linerefine.cache.cache_root` and note that this process uses it, until it ends.

    Returns
    -------
    folder : Path
        What lies in it will not be cleared as long as this process lives.

    Raises
    ------
    DataError
        If it is being cleared, and still is after a minute.
    """
    root = cache_root()
    if root not in _held:
        try:
            _held[root] = _taken(root)
        except OSError as error:
            # Whoever cannot write here can use it all the same.
            log.debug("cannot note in %s that it is used: %s", root, error)
            _held[root] = None
    return root


def cache_parts() -> list[CachePart]:
    """Return the folders of the cache two levels deep, sorted by name."""
    root = cache_root()
    return [_part(folder, root) for folder in _folders(root)]


def clear_cache(names: list[str]) -> list[CachePart]:
    """Remove parts of the cache; whatever needs them makes them again.

    Parameters
    ----------
    names : list of str
        As `cache_parts` calls them, or a folder that holds several; empty for all.

    Returns
    -------
    removed : list of CachePart

    Raises
    ------
    DataError
        If a name is not in the cache, or a process uses the cache.
    """
    root = cache_root()
    parts = cache_parts()
    for name in names:
        if not any(_belongs(part.name, name) for part in parts):
            known = ", ".join(part.name for part in parts) or "nothing"
            msg = f"the cache {root} holds no '{name}'. It holds: {known}."
            raise DataError(msg)
    chosen = [p for p in parts if not names or any(_belongs(p.name, name) for name in names)]
    if chosen:
        with _alone(root):
            for part in chosen:
                _remove(root / part.name)
    return chosen


def _belongs(part: str, name: str) -> bool:
    return part == name.strip("/") or part.startswith(f"{name.strip('/')}/")


def _folders(root: Path) -> Iterator[Path]:
    """Yield folders of the second level, and those of the first that hold only files."""
    for top in _inner(root):
        inner = _inner(top)
        yield from inner or ([top] if any(top.iterdir()) else [])


def _inner(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _part(folder: Path, root: Path) -> CachePart:
    size, count, changed = 0, 0, 0.0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.stat(Path(place) / name)  # noqa: PTH116 (os.walk gives text)
            except FileNotFoundError:  # another process renamed what it finished
                continue
            size, count, changed = size + found.st_size, count + 1, max(changed, found.st_mtime)
    return CachePart(folder.relative_to(root).as_posix(), size, count, changed)


def _taken(root: Path) -> Any:  # noqa: ANN401 (a lock; filelock comes in where it is used)
    """Return a lock that says that this process uses the cache."""
    from filelock import FileLock

    users = root / USERS
    users.mkdir(parents=True, exist_ok=True)
    with _not_cleared(root):
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.lock"
        lock = FileLock(users / name, thread_local=False)
        lock.acquire()
    return lock


@contextmanager
def _not_cleared(root: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(root / USERS / "clearing", timeout=WAIT_SECONDS):
            yield
    except Timeout as error:
        msg = f"the cache {root} has been being cleared for {WAIT_SECONDS:.0f} s. Try again later."
        raise DataError(msg) from error


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep others from beginning to use the cache; refuse if one does already."""
    (root / USERS).mkdir(exist_ok=True)
    with _not_cleared(root):
        users = [
            lock.stem.rpartition("-")[0]
            for lock in sorted((root / USERS).glob("*.lock"))
            if _is_held(lock)
        ]
        if users:
            msg = (
                f"the cache {root} is used by {len(users)} running "
                f"{'process' if len(users) == 1 else 'processes'} "
                f"({', '.join(users)}: host-process-number). Clear it when they have ended."
            )
            raise DataError(msg)
        yield


def _is_held(place: Path) -> bool:
    """Say whether a process holds a lock; remove one that a dead process left."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(place, timeout=0):
            pass
    except Timeout:
        return True
    place.unlink(missing_ok=True)
    return False


def _remove(folder: Path) -> None:
    """Remove a folder; moved aside first, so that half of it is never found under its name."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        folder.rename(aside)
        shutil.rmtree(aside)
    except OSError as error:
        msg = f"cannot remove {folder}: {error.strerror}. Remove it by hand."
        raise DataError(msg) from error
