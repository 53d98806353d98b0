"""``linerefine ui``."""

from __future__ import annotations

from pathlib import Path

from linerefine.cli.output import complain
from linerefine.errors import RunError

__all__ = ["store_at", "ui_command"]

DATABASE = "mlflow.db"


def ui_command(store: str, *, host: str, port: int) -> None:
    """Show a store until Ctrl-C."""
    from linerefine.tracking.ui import serve

    serve(store_at(store), host, port, announce=complain)


def store_at(place: str) -> str:
    """Return the URI of a store.

    Parameters
    ----------
    place : str
        A URI, a database file, the folder that holds it, or a run folder
        beside it.

    Raises
    ------
    RunError
        If there is no store.
    """
    from linerefine.tracking.store import sqlite_uri

    if "://" in place or place.startswith("sqlite:"):
        return place
    path = Path(place).expanduser()
    for database in (path, path / DATABASE, path.absolute().parent / DATABASE):
        if database.is_file():
            return sqlite_uri(database)
    msg = f"there is no MLflow store at {path}. Run an experiment first, or pass --store."
    raise RunError(msg)
