"""Where things that can be made again are kept, and how they are written whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from linerefine.errors import DataError

__all__ = ["CACHE_VARIABLE", "atomic_folder", "atomic_write", "cache_root"]

log = logging.getLogger(__name__)

CACHE_VARIABLE = "LINEREFINE_CACHE"
"""Environment variable that names another cache folder."""

STALE_SECONDS = 24 * 3600.0
"""Half-written leftovers of killed processes are removed once they are this old."""

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def cache_root() -> Path:
    """Return the folder that all caches live in; it need not exist yet.

    Returns
    -------
    folder : Path
        The environment variable ``LINEREFINE_CACHE`` if set, else the user's
        cache folder of the platform, such as ``~/.cache/linerefine``.
    """
    chosen = os.environ.get(CACHE_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("linerefine")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file so that it appears under its name only when it is whole.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists. Missing folders are made.

    Yields
    ------
    temporary : Path
        A name in the same folder, with the same suffix, for the block to
        write. When the block ends well it is flushed to disk and renamed;
        when it raises, it is removed and `path` is left as it was.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written; names the file
        and the bytes that were written.

    Notes
    -----
    Safe against a second process that writes the same file: each has a name
    of its own and the last rename holds. Writers that only *return* a failure
    (such as ``cv2.imwrite``) must be checked inside the block.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "statistics.json"
    >>> with atomic_write(place) as temporary:
    ...     _ = temporary.write_text("{}")
    >>> place.read_text()
    '{}'
    """
    temporary = _temporary(path, path.suffix)
    try:
        with _disk_errors(path, temporary):
            yield temporary
        if not temporary.is_file():
            msg = f"the block that should write {path} wrote nothing to {temporary}."
            raise RuntimeError(msg)
        try:
            _flush(temporary)
            temporary.replace(path)
        except OSError as error:
            raise _unwritable(path, temporary, error) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Write a folder so that it appears under its name only when it is whole.

    Parameters
    ----------
    path : Path
        The folder; must not hold anything yet. Missing parents are made.

    Yields
    ------
    temporary : Path
        An empty folder beside `path` for the block to fill. When the block
        ends well it is flushed and renamed. If another process was first, its
        folder stays and ours is dropped: both are taken to be the same.

    Raises
    ------
    DataError
        If the disk is full or the parent cannot be written; names the folder
        and the bytes that were written.
    """
    temporary = _temporary(path, "")
    try:
        with _disk_errors(path, temporary):
            temporary.mkdir()
            yield temporary
        try:
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    _flush(file)
            _take_place(temporary, path)
        except OSError as error:
            raise _unwritable(path, temporary, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(temporary: Path, path: Path) -> None:
    """Rename a finished folder, unless another process was first."""
    try:
        temporary.rename(path)
    except OSError:
        if not path.is_dir() or not any(path.iterdir()):
            raise
        log.debug("%s was finished by another process", path)


def _temporary(path: Path, suffix: str) -> Path:
    """Return a fresh hidden name beside `path`, after sweeping old leftovers."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.*.tmp*"):
            _remove_stale(leftover)
    except OSError as error:
        raise _unwritable(path, path, error) from error
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp{suffix}")


def _remove_stale(leftover: Path) -> None:
    with suppress(FileNotFoundError):  # another process may sweep at the same time
        if time.time() - leftover.stat().st_mtime < STALE_SECONDS:
            return
        log.info("removing %s, left half-written by a process that was killed", leftover)
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink()


@contextmanager
def _disk_errors(path: Path, temporary: Path) -> Iterator[None]:
    """Turn failures to write into a DataError; leave all others as they are."""
    try:
        yield
    except OSError as error:
        if not _is_about_writing(error, temporary):
            raise
        raise _unwritable(path, temporary, error) from error


def _is_about_writing(error: OSError, temporary: Path) -> bool:
    if error.errno in _FULL:
        return True
    if error.errno is None:  # ndarray.tofile: "4096 requested and 512 written"
        return "requested and" in str(error)
    return error.filename is not None and str(error.filename).startswith(str(temporary))


def _flush(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _unwritable(path: Path, temporary: Path, error: OSError) -> DataError:
    """Return the error to raise: which path, how far it came, what to do."""
    written = _size(temporary)
    reason = error.strerror or str(error)
    msg = (
        f"{path} cannot be written: {reason} after {written} bytes{_free(path)}. "
        f"Free some space, or name a folder on another disk (for caches: {CACHE_VARIABLE})."
    )
    return DataError(msg)


def _size(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return place.stat().st_size if place.is_file() else 0


def _free(path: Path) -> str:
    """Return how many bytes are free where `path` should go, as part of a sentence."""
    for folder in path.parents:
        if folder.is_dir():
            return f", {shutil.disk_usage(folder).free} bytes free"
    return ""
