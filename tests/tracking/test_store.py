from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from linerefine.errors import RunError
from linerefine.tracking import store as module
from linerefine.tracking.store import (
    artifact_root,
    check_server,
    check_writable,
    claim,
    first_line,
    is_abandoned,
    is_outdated,
    sqlite_path,
    sqlite_uri,
    store_lock,
)

HOLD = """
import sys, time
from pathlib import Path
from linerefine.tracking.store import claim
lock = claim(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["mlflow.db", "my runs/ml flow.db", "größe/%20.db"])
def test_a_path_survives_the_way_to_a_uri_and_back(tmp_path, name):
    assert sqlite_path(sqlite_uri(tmp_path / name)) == tmp_path / name


@pytest.mark.parametrize("character", ["?", "#"])
def test_a_path_that_no_uri_can_carry_is_refused(tmp_path, character):
    with pytest.raises(RunError, match=r"has '\?' or '#' in its path\. Choose another --output\."):
        sqlite_uri(tmp_path / f"a{character}b" / "mlflow.db")


def test_other_stores_are_no_sqlite_files():
    assert sqlite_path("http://127.0.0.1:5000") is None


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:x.db"])
def test_a_sqlite_store_without_file_is_refused(uri):
    with pytest.raises(RunError, match="names no file; write sqlite:///PATH"):
        sqlite_path(uri)


def test_artifacts_lie_beside_the_database_with_spaces_escaped(tmp_path):
    assert artifact_root(tmp_path / "a b" / "mlflow.db").endswith("/a%20b/mlartifacts")


def test_a_database_that_can_be_written_passes_and_is_made(tmp_path):
    check_writable(tmp_path / "mlflow.db")
    check_writable(tmp_path / "mlflow.db")
    assert (tmp_path / "mlflow.db").is_file()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("something else, long enough to have a header" * 10)
    with pytest.raises(RunError, match=r"cannot write the MLflow store .*: file is not a database"):
        check_writable(tmp_path / "mlflow.db")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_database_is_refused(tmp_path):
    check_writable(tmp_path / "mlflow.db")
    (tmp_path / "mlflow.db").chmod(0o444)
    with pytest.raises(RunError, match="cannot write the MLflow store"):
        check_writable(tmp_path / "mlflow.db")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with (
        pytest.raises(RunError, match=r"cannot write the MLflow store .*tracking\.enabled=false"),
        store_lock(tmp_path / "runs" / "mlflow.db"),
    ):
        pass


def test_a_store_is_set_up_by_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    with (
        store_lock(tmp_path / "mlflow.db"),
        pytest.raises(RunError, match="has been setting up the MLflow store"),
        store_lock(tmp_path / "mlflow.db"),
    ):
        pass
    with store_lock(tmp_path / "mlflow.db"):
        pass


def test_a_database_locked_by_another_program_is_reported(tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **o: connect(path, **o | {"timeout": 0.1}))
    other = connect(tmp_path / "mlflow.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RunError, match="database is locked"):
        check_writable(tmp_path / "mlflow.db")
    other.close()


def test_a_run_folder_is_claimed_until_it_is_released(tmp_path):
    assert is_abandoned(tmp_path)
    lock = claim(tmp_path)
    assert not is_abandoned(tmp_path)
    with pytest.raises(RunError, match=r"another process works in .* choose another --output"):
        claim(tmp_path)
    lock.release()
    assert is_abandoned(tmp_path)


def test_a_killed_process_leaves_its_run_folder_abandoned(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert not is_abandoned(tmp_path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert is_abandoned(tmp_path)


def test_a_run_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(RunError, match="cannot write the run folder"):
        claim(tmp_path / "runs" / "one")


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("status", [200, 401])
def test_a_server_that_answers_passes(status):
    handler = type("Handler", (Answer,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        check_server(f"http://127.0.0.1:{server.server_port}/")
        thread.join()


def test_a_server_that_is_not_there_is_reported_at_once():
    start = time.monotonic()
    with pytest.raises(RunError, match=r"the MLflow server 'http://127.0.0.1:9' does not answer"):
        check_server("http://127.0.0.1:9")
    assert time.monotonic() - start < 10


def test_what_an_error_says_first():
    assert first_line(ValueError("one.\ntwo")) == "one."
    assert first_line(ValueError("")) == "ValueError."


def test_an_upgrade_that_fails_keeps_the_old_state(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_text("old")
    done = subprocess.CompletedProcess([], 1, "", "alembic\nCan't locate revision 'new'\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **o: done)
    with pytest.raises(RunError, match=r"up to date \(Can't locate revision 'new'\); its old"):
        module.upgrade("sqlite:///x", tmp_path / "mlflow.db")
    (backup,) = tmp_path.glob("*.backup")
    assert backup.read_text() == "old"


def database_of(path, version):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
    if version is not None:
        connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    connection.commit()
    connection.close()
    return path


def test_a_database_of_an_older_mlflow_is_recognised(tmp_path, empty_store):
    assert is_outdated(database_of(tmp_path / "old.db", "451aebb31d03"))
    assert not is_outdated(empty_store)
    assert not is_outdated(database_of(tmp_path / "begun.db", None))
    check_writable(tmp_path / "empty.db")
    assert not is_outdated(tmp_path / "empty.db")


def test_a_database_of_a_newer_mlflow_is_refused_and_left_alone(tmp_path):
    path = database_of(tmp_path / "new.db", "f00f00f00f00")
    with pytest.raises(RunError, match=r"made by a newer mlflow .*\(revision f00f00f00f00\)"):
        is_outdated(path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_upgrade_without_room_for_a_copy_is_refused(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(RunError, match="No space left on device"):
        module.upgrade("sqlite:///x", Path(tmp_path / "mlflow.db"))
