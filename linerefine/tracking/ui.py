"""MLflow's own pages on a store, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO

from linerefine.errors import RunError
from linerefine.tracking.store import artifact_root, sqlite_path

__all__ = ["serve"]

log = logging.getLogger(__name__)


def serve(
    uri: str,
    host: str = "127.0.0.1",
    port: int = 5000,
    *,
    announce: Callable[[str], None],
) -> None:
    """Show a store in the browser until Ctrl-C.

    Parameters
    ----------
    uri : str
        The store.
    host, port : str, int
        Where to listen.
    announce : callable
        Told that the server starts, and its address once it answers.

    Raises
    ------
    RunError
        If the store is not there, the port is taken or the server ends by itself.
    """
    database = sqlite_path(uri)
    if database is not None and not database.is_file():
        msg = f"there is no MLflow store at {database}; `linerefine run` makes one."
        raise RunError(msg)
    _check_port(host, port)
    announce(f"Starting MLflow on {uri} (this takes some seconds)")
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as chatter:
        try:
            with _termination_as_interrupt(), _server(_command(uri, host, port), chatter) as server:
                page = _prepared(uri)
                _wait(server, address)
                if server.poll() is None:
                    announce(f"MLflow shows the runs at {address}/{page} (Ctrl-C ends it)")
                server.wait()
        except KeyboardInterrupt:
            announce("MLflow ended")
            return
        chatter.seek(0)
        said = chatter.read().strip().splitlines() or ["it said nothing"]
    msg = f"the MLflow server ended by itself (exit code {server.returncode}): {said[-1]}"
    raise RunError(msg)


@contextmanager
def _server(command: list[str], chatter: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of a block."""
    process = subprocess.Popen(
        command,
        env=_quiet_environment(),
        stdin=subprocess.DEVNULL,
        stdout=chatter,
        stderr=chatter,
        # In a session of its own, Ctrl-C reaches only us and we end it in an orderly way.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _prepared(uri: str) -> str:
    """Return the page to open, after marking runs as failed whose process was killed."""
    from linerefine.tracking.mlflow import mark_abandoned  # mlflow: five seconds
    from linerefine.tracking.mlflow_client import open_client
    from linerefine.tracking.views import newest_page

    try:
        client = open_client(uri)
        mark_abandoned(client)
        return newest_page(client)
    except RunError as error:
        log.warning("%s", error)
        return "#/experiments"


def _command(uri: str, host: str, port: int) -> list[str]:
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    words += ["--host", host, "--port", str(port), "--workers", "1"]
    if sys.platform != "win32":
        words += ["--uvicorn-opts", "--log-level warning"]
    database = sqlite_path(uri)
    if database is not None:
        words += ["--default-artifact-root", artifact_root(database)]
    return words


def _quiet_environment() -> dict[str, str]:
    """Return our environment, without telemetry, chatter or background jobs."""
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return wanted | dict(os.environ)


def _check_port(host: str, port: int) -> None:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            msg = f"cannot listen on {host}:{port}: {error.strerror}. Pass another --port."
            raise RunError(msg) from error


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    """Return once the server answers, or has ended; a busy machine takes minutes."""
    while process.poll() is None:
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
            return
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server and its workers to end; insist after ten seconds."""
    _signal(process, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if hasattr(signal, "SIGKILL"):
        _signal(process, signal.SIGKILL)  # workers that outlived it


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(OSError):  # already gone
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, so that no server is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
