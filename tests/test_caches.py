"""The cache is listed with sizes, and cleared only while nobody uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from linerefine import caches
from linerefine.cache import CACHE_VARIABLE
from linerefine.caches import cache_parts, clear_cache, use_cache
from linerefine.cli import main
from linerefine.errors import DataError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "a cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(root))
    monkeypatch.setattr(caches, "_held", {})
    return root


@pytest.fixture
def filled(root: Path) -> Path:
    for name, size in (("mirrors/scans/a", 10), ("mirrors/scans/b", 5), ("mirrors/lines/a", 3)):
        (root / name).mkdir(parents=True)
        (root / name / "image.npy").write_bytes(bytes(size))
    (root / "eye").mkdir()
    (root / "eye" / "one.png").write_bytes(b"1")
    return root


def test_an_absent_cache_is_empty() -> None:
    assert cache_parts() == []
    assert clear_cache([]) == []


def test_parts_are_listed_with_sizes_and_files(filled: Path) -> None:
    found = {part.name: (part.bytes, part.files) for part in cache_parts()}
    assert found == {"eye": (1, 1), "mirrors/lines": (3, 1), "mirrors/scans": (15, 2)}


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ([], set()),
        (["mirrors/scans"], {"eye", "mirrors/lines"}),
        (["mirrors"], {"eye"}),
        (["eye", "mirrors/lines/"], {"mirrors/scans"}),
    ],
)
def test_what_is_named_is_removed_and_nothing_else(
    filled: Path, names: list[str], left: set[str]
) -> None:
    before = {part.name for part in cache_parts()}
    removed = {part.name for part in clear_cache(names)}
    assert {part.name for part in cache_parts()} == left == before - removed
    assert not list(filled.rglob("*.tmp"))


def test_an_unknown_part_removes_nothing_and_says_what_there_is(filled: Path) -> None:
    with pytest.raises(DataError, match="no 'mirror'. It holds: eye, mirrors/lines, mirrors/scans"):
        clear_cache(["eye", "mirror"])
    assert len(cache_parts()) == 3


def test_it_is_not_cleared_while_another_process_uses_it(filled: Path) -> None:
    code = "from linerefine.caches import use_cache; use_cache(); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        assert user.stdin is not None
        user.stdout.readline()
        with pytest.raises(DataError, match=rf"used by 1 running process \(.*-{user.pid}:"):
            clear_cache([])
        assert len(cache_parts()) == 3
        user.stdin.close()
    clear_cache([])
    assert cache_parts() == []


def test_what_a_killed_process_left_hinders_nobody(filled: Path) -> None:
    (filled / caches.USERS).mkdir()
    (filled / caches.USERS / "host-1-ab.lock").touch()
    clear_cache([])
    assert cache_parts() == []


def test_nobody_begins_to_use_what_is_being_cleared(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "WAIT_SECONDS", 0.1)
    with caches._alone(filled), pytest.raises(DataError, match="being cleared"):
        use_cache()
    assert use_cache() == filled


def test_a_cache_that_cannot_be_written_can_still_be_used(root: Path) -> None:
    root.write_text("a file where the folder should be")
    assert use_cache() == root


def test_the_command_lists_and_clears(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    out, err = capsys.readouterr()
    assert "mirrors/scans  15 bytes  2" in out
    assert "19 bytes in " in err
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 19
    assert main(["cache", "clear", "mirrors"]) == 0
    assert "removed mirrors/scans: 15 bytes" in capsys.readouterr().out
    assert main(["cache", "clear", "mirrors"]) == 2
    assert "It holds: eye." in capsys.readouterr().err
