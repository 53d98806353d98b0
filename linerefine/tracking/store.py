"""The place where runs are recorded: named, checked and locked before any work starts."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from linerefine.errors import RunError

__all__ = [
    "artifact_root",
    "check_server",
    "check_writable",
    "claim",
    "first_line",
    "is_abandoned",
    "is_outdated",
    "runs_by_status",
    "sqlite_path",
    "sqlite_uri",
    "store_lock",
    "upgrade",
]

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
_REVISION = re.compile(r"""^revision\b.*?["'](\w+)["']""", re.MULTILINE)
_BEFORE = re.compile(r"""^down_revision\b.*?["'](\w+)["']""", re.MULTILINE)
LOCK_SECONDS = 120.0
"""Longest wait for another process that is creating the same store."""


def sqlite_uri(path: Path) -> str:
    """Return the store URI of a database file; spaces and umlauts are fine.

    Raises
    ------
    RunError
        If the path holds ``?`` or ``#``, which a URI cannot carry.

    Examples
    --------
    >>> sqlite_uri(Path("/home/anna/my runs/mlflow.db"))
    'sqlite:////home/anna/my runs/mlflow.db'
    """
    absolute = path.expanduser().absolute()
    if {"?", "#"} & set(str(absolute)):
        msg = f"the MLflow store {absolute} has '?' or '#' in its path. Choose another --output."
        raise RunError(msg)
    return _SQLITE + absolute.as_posix()


def sqlite_path(uri: str) -> Path | None:
    """Return the database file of a sqlite store; None for any other kind.

    Raises
    ------
    RunError
        If the URI names no file.
    """
    if not uri.startswith("sqlite:"):
        return None
    name = uri.removeprefix(_SQLITE).partition("?")[0]
    if not uri.startswith(_SQLITE) or not name or name == ":memory:":
        msg = f"MLflow store '{uri}' names no file; write sqlite:///PATH (tracking.uri)."
        raise RunError(msg)
    return Path(name).absolute()


def artifact_root(database: Path) -> str:
    """Return where a sqlite store keeps artifacts: ``mlartifacts`` beside it, as a URI."""
    return (database.parent / "mlartifacts").as_uri()


def is_abandoned(output: Path) -> bool:
    """Say whether no process of this machine works in a run folder."""
    place = output / "mlflow.lock"
    if not place.exists():
        return True
    lock = FileLock(place, timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return False
    lock.release()
    return True


def claim(output: Path) -> FileLock:
    """Hold a run folder until the lock is released or the process ends.

    Raises
    ------
    RunError
        If another process holds it, or it cannot be written.
    """
    # Released by whichever thread ends the run, so it must not be thread-local.
    lock = FileLock(output / "mlflow.lock", timeout=0, thread_local=False)
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        msg = f"another process works in {output}. Wait for it, or choose another --output."
        raise RunError(msg) from error
    except OSError as error:
        msg = f"cannot write the run folder {output}: {error.strerror}. Choose another --output."
        raise RunError(msg) from error
    return lock


@contextmanager
def store_lock(database: Path) -> Iterator[None]:
    """Hold a store alone while it is created or upgraded.

    The lock lies beside the database and ends with the process, however it ends.

    Raises
    ------
    RunError
        If the folder cannot be written, or another process holds the lock for
        longer than two minutes.
    """
    lock = FileLock(f"{database}.lock", timeout=LOCK_SECONDS)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        msg = (
            f"another process has been setting up the MLflow store {database} for "
            f"{LOCK_SECONDS:.0f} s. Wait for it, or end it."
        )
        raise RunError(msg) from error
    except OSError as error:
        raise _unwritable(database, error.strerror or str(error)) from error
    try:
        yield
    finally:
        lock.release()


def check_writable(database: Path) -> None:
    """Check that a database file can be written, or made.

    Raises
    ------
    RunError
        If it is no database, read-only, or locked for longer than 20 s.
    """
    try:
        # Autocommit, so that the transaction below is the only one.
        connection = sqlite3.connect(database, timeout=20, isolation_level=None)
        with closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("ROLLBACK")
        if not os.access(database, os.W_OK):
            raise _unwritable(database, "the file is read-only")
    except sqlite3.Error as error:
        raise _unwritable(database, str(error)) from error


def check_server(uri: str, *, seconds: float = 10.0) -> None:
    """Check that a tracking server answers.

    Raises
    ------
    RunError
        If nobody answers in time.
    """
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=seconds).close()
    except urllib.error.HTTPError:
        return  # it answered; whether it lets us in shows with the first request
    except (OSError, ValueError) as error:
        msg = (
            f"the MLflow server '{uri}' does not answer: {error}. Start it, correct "
            f"tracking.uri, or pass --set tracking.enabled=false."
        )
        raise RunError(msg) from error


def is_outdated(database: Path) -> bool:
    """Say whether a database was made by an older MLflow than the installed one.

    Raises
    ------
    RunError
        If it was made by a newer one.
    """
    with closing(sqlite3.connect(database)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:  # no such table: nothing in it yet
            return False
    if row is None:
        return False
    revisions, head = _revisions()
    if row[0] not in revisions:
        msg = (
            f"the MLflow store {database} was made by a newer mlflow than the one installed "
            f"(revision {row[0]}). Upgrade mlflow, or choose another tracking.uri."
        )
        raise RunError(msg)
    return bool(row[0] != head)


def _revisions() -> tuple[set[str], str]:
    """Return every revision that the installed MLflow knows, and the latest."""
    spec = find_spec("mlflow")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    place = Path(next(iter(spec.submodule_search_locations))) / "store" / "db_migrations"
    # Read, not imported as alembic does: that takes all of mlflow with it, seconds.
    texts = [file.read_text(encoding="utf-8") for file in place.glob("versions/*.py")]
    before = {match[1] for text in texts if (match := _BEFORE.search(text))}
    revisions = {match[1] for text in texts if (match := _REVISION.search(text))}
    (head,) = revisions - before
    return revisions, head


def runs_by_status(database: Path) -> dict[str, int]:
    """Return how many commands a database holds, by how they ended; only look.

    Raises
    ------
    RunError
        If it is no store, or damaged.
    """
    commands = (
        "SELECT runs.status, count(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE tags.key = 'linerefine.part' AND tags.value = 'command' "
        "AND runs.lifecycle_stage = 'active' GROUP BY runs.status"
    )
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return dict(connection.execute(commands).fetchall())
    except sqlite3.Error as error:
        msg = f"the MLflow store {database} cannot be read: {error}. Choose another."
        raise RunError(msg) from error


def upgrade(uri: str, database: Path) -> None:
    """Bring an old database up to date with the installed MLflow, after copying it.

    Raises
    ------
    RunError
        If that fails; says where the copy is.
    """
    saved = database.with_name(f"{database.name}.{time.strftime('%Y%m%d-%H%M%S')}.backup")
    try:
        shutil.copy2(database, saved)
    except OSError as error:
        raise _unwritable(database, error.strerror or str(error)) from error
    log.warning("bringing the MLflow store %s up to date; its old state is %s", database, saved)
    words = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        msg = (
            f"the MLflow store {database} cannot be brought up to date ({reason}); its old "
            f"state is {saved}. Choose another tracking.uri."
        )
        raise RunError(msg)


def first_line(error: BaseException) -> str:
    """Return what an error says first, as a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300].rstrip(".") + "."


def _unwritable(database: Path, reason: str) -> RunError:
    return RunError(
        f"cannot write the MLflow store {database}: {reason}. Choose another --output or "
        f"tracking.uri, or pass --set tracking.enabled=false."
    )
