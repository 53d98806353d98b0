"""linerefine.cache: whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
import pytest

from linerefine.cache import STALE_SECONDS, atomic_folder, atomic_write, cache_root
from linerefine.errors import DataError

FULL_DEVICE = Path("/dev/full")


def write_then_fail(path, data, failure, writer=atomic_write):
    with writer(path) as temporary:
        (temporary / "a.txt" if temporary.is_dir() else temporary).write_bytes(data)
        raise failure


def full_disk():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_cache_root_is_the_platforms_unless_the_variable_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv("LINEREFINE_CACHE", raising=False)
    assert cache_root() == platformdirs.user_cache_path("linerefine")
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path / "with space"))
    assert cache_root() == tmp_path / "with space"
    monkeypatch.setenv("LINEREFINE_CACHE", "  ")
    assert cache_root() == platformdirs.user_cache_path("linerefine")


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "depth map.npy"
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == path.parent
        assert temporary.suffix == ".npy"
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, MemoryError])
def test_failure_leaves_the_old_file_and_no_litter(tmp_path, failure):
    path = tmp_path / "kept.bin"
    path.write_bytes(b"old")
    with pytest.raises(failure):
        write_then_fail(path, b"new", failure)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_a_data_error_naming_path_and_bytes(tmp_path):
    path = tmp_path / "big.bin"
    with pytest.raises(DataError, match=r"big\.bin cannot be written: No space .* after 5 bytes"):
        write_then_fail(path, b"12345", full_disk())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not FULL_DEVICE.exists(), reason="no /dev/full on this system")
def test_full_device_is_recognised(tmp_path):
    def write():
        with atomic_write(tmp_path / "a.bin") as temporary:
            temporary.write_bytes(b"abc")
            FULL_DEVICE.write_bytes(b"d")

    with pytest.raises(DataError, match=r"after 3 bytes, \d+ bytes free\. Free some space"):
        write()


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_real_file_limit_is_a_data_error(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from linerefine.cache import atomic_write; from linerefine.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    with atomic_write(Path(sys.argv[1])) as temporary:\n"
        "        np.zeros(9999).tofile(temporary)\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "map.bin")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "map.bin cannot be written" in done.stdout
    assert "after 4096 bytes" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_other_os_errors_keep_their_face(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.bin"):
        (tmp_path / "absent.bin").read_bytes()


def test_writing_nothing_is_our_fault(tmp_path):
    with pytest.raises(RuntimeError, match="wrote nothing"), atomic_write(tmp_path / "a.bin"):
        pass


def test_file_in_place_of_a_folder_is_a_data_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(DataError, match=r"cannot be written: (Not a directory|File exists)"),
        atomic_write(tmp_path / "file" / "a.bin"),
    ):
        pass


def test_folder_where_the_file_should_go_is_a_data_error(tmp_path):
    (tmp_path / "a.bin").mkdir()
    with (
        pytest.raises(DataError, match=r"a\.bin cannot be written"),
        atomic_write(tmp_path / "a.bin") as temporary,
    ):
        temporary.write_bytes(b"x")


def test_folder_appears_only_when_whole(tmp_path):
    path = tmp_path / "deep" / "samples"
    with atomic_folder(path) as temporary:
        (temporary / "images").mkdir()
        (temporary / "images" / "a.txt").write_text("a")
        assert not path.exists()
    assert (path / "images" / "a.txt").read_text() == "a"
    assert list(path.parent.iterdir()) == [path]


def test_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_then_fail(tmp_path / "samples", b"a", KeyboardInterrupt, atomic_folder)
    assert list(tmp_path.iterdir()) == []


def test_folder_on_a_full_disk_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"samples cannot be written: No space .* after 2 bytes"):
        write_then_fail(tmp_path / "samples", b"aa", full_disk(), atomic_folder)
    assert list(tmp_path.iterdir()) == []


def test_second_process_finishing_first_wins(tmp_path):
    path = tmp_path / "samples"
    with atomic_folder(path) as slow:
        (slow / "a.txt").write_text("slow")
        with atomic_folder(path) as fast:
            (fast / "a.txt").write_text("fast")
    assert (path / "a.txt").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [path]


def test_old_leftovers_are_swept_and_fresh_ones_kept(tmp_path):
    old, fresh = tmp_path / ".a.bin.1-00.tmp.bin", tmp_path / ".a.bin.2-00.tmp.bin"
    old_folder = tmp_path / ".a.bin.3-00.tmp"
    old_folder.mkdir()
    (old_folder / "x").write_text("x")
    for file in (old, fresh):
        file.write_text("x")
    past = time.time() - STALE_SECONDS - 60
    for place in (old, old_folder):
        os.utime(place, (past, past))
    with atomic_write(tmp_path / "a.bin") as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([fresh, tmp_path / "a.bin"])


def test_a_file_where_the_folder_should_go_is_a_data_error(tmp_path):
    (tmp_path / "samples").write_text("in the way")
    with (
        pytest.raises(DataError, match="samples cannot be written"),
        atomic_folder(tmp_path / "samples") as temporary,
    ):
        (temporary / "a.txt").write_text("a")
    assert (tmp_path / "samples").read_text() == "in the way"
    assert list(tmp_path.iterdir()) == [tmp_path / "samples"]


def test_a_short_write_without_a_number_is_a_data_error(tmp_path):
    # How ndarray.tofile reports a full disk; other errors without a number are not about it.
    with pytest.raises(DataError, match="12 requested and 5 written after 5 bytes"):
        write_then_fail(tmp_path / "a.bin", b"12345", OSError("12 requested and 5 written"))
    with pytest.raises(OSError, match="cannot identify image file"):
        write_then_fail(tmp_path / "a.bin", b"1", OSError("cannot identify image file"))
