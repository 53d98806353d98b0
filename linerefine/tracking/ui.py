"""MLflow's own pages on a store, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from linerefine.errors import RunError
from linerefine.tracking.store import artifact_root, sqlite_path

__all__ = ["serve"]


def serve(
    uri: str,
    host: str = "127.0.0.1",
    port: int = 5000,
    *,
    announce: Callable[[str], None],
    patience: float = 120.0,
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
    patience : float
        Longest wait for it to answer, seconds.

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
    # In a session of its own, Ctrl-C reaches only us and we end it in an orderly way.
    process = subprocess.Popen(
        _command(uri, host, port), env=_quiet_environment(), start_new_session=True
    )
    try:
        with _termination_as_interrupt():
            address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
            _wait(process, address, patience)
            announce(f"MLflow shows the runs at {address} (Ctrl-C ends it)")
            process.wait()
    except KeyboardInterrupt:
        announce("MLflow ended")
        return
    finally:
        _end(process)
    raise _ended_itself(process)


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


def _wait(process: subprocess.Popen[bytes], address: str, patience: float) -> None:
    """Return once the server answers."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
            return
        time.sleep(0.2)
    if process.poll() is None:
        msg = f"the MLflow server did not answer at {address} within {patience:.0f} s."
        raise RunError(msg)
    raise _ended_itself(process)


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


def _ended_itself(process: subprocess.Popen[bytes]) -> RunError:
    return RunError(f"the MLflow server ended by itself with exit code {process.returncode}.")
