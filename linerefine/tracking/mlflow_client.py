"""MLflow's client: a store is opened with it, and asked patiently."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from linerefine.errors import RunError
from linerefine.tracking.store import (
    check_server,
    check_writable,
    first_line,
    is_outdated,
    sqlite_path,
    store_lock,
    upgrade,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["asked", "failures", "open_client"]

T = TypeVar("T")

_PAUSES = (0.1, 0.3, 1.0, 3.0)  # between tries while another process writes, seconds


def open_client(uri: str) -> MlflowClient:
    """Return a client of a store, which is made or brought up to date if need be.

    Raises
    ------
    RunError
        If the store cannot be reached, written or understood.
    """
    # Nothing is sent anywhere by default; both are read when mlflow is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    database = sqlite_path(uri)
    if database is None and uri.startswith(("http://", "https://")):
        check_server(uri)
    try:
        if database is None:
            return _client(uri)
        with store_lock(database):
            check_writable(database)
            if is_outdated(database):
                upgrade(uri, database)
            return _client(uri)
    # ImportError: the driver of some other database is not installed.
    except (ImportError,) + failures() as error:
        msg = (
            f"the MLflow store '{uri}' cannot be used: {first_line(error)} "
            f"Correct tracking.uri, or pass --set tracking.enabled=false."
        )
        raise RunError(msg) from error


def asked(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
    """Call a client, again while another process writes, and turn MLflow's errors into ours.

    Raises
    ------
    RunError
        If the store does not take it.
    """
    for pause in (*_PAUSES, None):
        try:
            with _quiet():
                return call(*args, **kwargs)
        except failures() as error:
            if pause is None or "database is locked" not in str(error):
                msg = f"MLflow does not take it: {first_line(error)}"
                raise RunError(msg) from error
            time.sleep(pause)
    raise AssertionError  # the last try returns or raises


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's advice to itself; what matters comes as an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises when a store fails, for an ``except`` clause."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError


def _client(uri: str) -> MlflowClient:
    with _quiet():
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return MlflowClient(uri)
