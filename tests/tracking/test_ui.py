"""Showing a store; a small server stands in for MLflow's, except where marked slow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from linerefine.errors import RunError
from linerefine.tracking import ui
from linerefine.tracking.store import sqlite_uri

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# A shell's background jobs ignore Ctrl-C, and so would the process we send it to.
SHOW = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from linerefine.tracking import ui
code = open(sys.argv[3]).read()
if code:
    ui._command = lambda uri, host, port: [sys.executable, "-c", code, str(port)]
    ui._prepared = lambda uri: "#/experiments"
ui.serve(sys.argv[1], port=int(sys.argv[2]), announce=lambda text: print(text, flush=True))
"""


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def show(uri, port, code, folder):
    (folder / "server.py").write_text(code)
    words = [sys.executable, "-c", SHOW, uri, str(port), str(folder / "server.py")]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_shown(process, uri, port, number):
    """Wait until the store is shown, end it and check that it ended cleanly."""
    assert process.stdout.readline().startswith(f"Starting MLflow on {uri}")
    line = process.stdout.readline()
    assert line.startswith(f"MLflow shows the runs at http://127.0.0.1:{port}/#/experiments")
    urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
    process.send_signal(number)
    said, complained = process.communicate(timeout=60)
    assert (said, complained, process.returncode) == ("MLflow ended\n", "", 0)
    assert is_free(port)


def test_a_store_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(RunError, match=r"there is no MLflow store at .*mlflow\.db"):
        ui.serve(sqlite_uri(tmp_path / "mlflow.db"), announce=print)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_port_that_is_taken_is_reported(store, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(RunError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .* --port"):
            ui.serve(store, port=port, announce=print)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_server_and_nothing_else_is_said(store, port, number, tmp_path):
    check_shown(show(store, port, SERVER, tmp_path), store, port, number)


def test_a_server_that_ends_by_itself_is_reported_with_its_last_words(store, port, monkeypatch):
    code = "import sys; sys.exit('no such luck')"
    monkeypatch.setattr(ui, "_command", lambda *_: [sys.executable, "-c", code])
    monkeypatch.setattr(ui, "_prepared", lambda _: "#/experiments")
    said = []
    with pytest.raises(RunError, match=r"ended by itself \(exit code 1\): no such luck"):
        ui.serve(store, port=port, announce=said.append)
    assert len(said) == 1


def test_it_can_be_shown_from_another_thread(store, port, monkeypatch):
    code = SERVER.replace("serve_forever", "handle_request")
    monkeypatch.setattr(ui, "_command", lambda *_: [sys.executable, "-c", code, str(port)])
    monkeypatch.setattr(ui, "_prepared", lambda _: "#/experiments")
    said, caught = [], []

    def run():
        try:
            ui.serve(store, port=port, announce=said.append)
        except RunError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=60)
    assert len(caught) == 1


def test_the_environment_sends_nothing_and_keeps_what_the_user_set(monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "DEBUG")
    environment = ui._quiet_environment()
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["MLFLOW_LOGGING_LEVEL"] == "DEBUG"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_mlflow_itself_is_shown_and_ended(store, port, tmp_path):
    start = time.monotonic()
    check_shown(show(store, port, "", tmp_path), store, port, signal.SIGINT)
    assert time.monotonic() - start < 500
