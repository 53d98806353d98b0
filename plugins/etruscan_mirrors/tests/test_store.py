"""Cache entries: whole or not at all, found again, made again when damaged."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.errors import DataError
from linerefine_etruscan_mirrors.store import Store, content_digest, key_of, save_mask


class Maker:
    """Writes one array and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        self.calls += 1
        np.save(folder / "values.npy", np.arange(100, dtype=np.float32))
        return {"count": 100}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make() -> Maker:
    return Maker()


def entry_folder(store: Store) -> Path:
    return store.folder / "kind" / "key"


class TestEntry:
    def test_is_made_once(self, store: Store, make: Maker) -> None:
        for _ in range(3):
            entry = store.entry("kind", "key", make, reads=["values"])
        assert make.calls == 1
        assert entry.facts == {"count": 100}
        np.testing.assert_array_equal(entry.array("values"), np.arange(100))

    def test_is_found_by_another_process(self, store: Store, make: Maker) -> None:
        store.entry("kind", "key", make)
        entry = Store(store.folder).entry("kind", "key", make, reads=["values"])
        assert make.calls == 1
        assert isinstance(entry.array("values"), np.memmap)
        assert not entry.array("values").flags.writeable

    def test_changed_bytes_are_noticed(
        self, store: Store, make: Maker, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.entry("kind", "key", make)
        path = entry_folder(store) / "values.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 0xFF
        path.write_bytes(content)
        entry = Store(store.folder).entry("kind", "key", make, reads=["values"])
        assert make.calls == 2
        assert entry.array("values")[-1] == 99
        assert "values.npy is damaged and is made again" in caplog.text

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "values.npy").write_bytes(b"short"),
            lambda folder: (folder / "values.npy").unlink(),
            lambda folder: (folder / "facts.json").unlink(),
            lambda folder: (folder / "facts.json").write_text("{"),
            lambda folder: (folder / "facts.json").write_text("[]"),
            lambda folder: (folder / "facts.json").write_text("{}"),
        ],
    )
    def test_a_damaged_one_is_made_again(self, store: Store, make: Maker, damage: Any) -> None:
        store.entry("kind", "key", make)
        damage(entry_folder(store))
        entry = Store(store.folder).entry("kind", "key", make)
        assert make.calls == 2
        np.testing.assert_array_equal(entry.array("values"), np.arange(100))

    def test_a_maker_that_fails_leaves_nothing(self, store: Store) -> None:
        def fail(folder: Path) -> Mapping[str, Any]:
            np.save(folder / "values.npy", np.zeros(10))
            msg = "half-way"
            raise KeyboardInterrupt(msg)

        with pytest.raises(KeyboardInterrupt):
            store.entry("kind", "key", fail)
        assert list(store.folder.rglob("*")) == [store.folder / "kind"]

    def test_a_full_disk_is_one_clear_error(self, store: Store) -> None:
        def fill(folder: Path) -> Mapping[str, Any]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(DataError, match=r"cannot be written: No space left on device"):
            store.entry("kind", "key", fill)
        assert list(store.folder.rglob("*")) == [store.folder / "kind"]

    def test_masks_come_back_in_their_width(self, store: Store) -> None:
        mask = np.random.default_rng(0).random((7, 13)) > 0.5

        def write(folder: Path) -> Mapping[str, Any]:
            save_mask(folder / "roi.npy", mask)
            return {}

        found = store.entry("kind", "key", write).mask("roi", 13)
        assert found.dtype == np.bool_
        np.testing.assert_array_equal(found, mask)


class TestKey:
    @given(st.dictionaries(st.text(max_size=5), st.integers()), st.integers())
    @settings(deadline=None)
    def test_differs_where_a_part_differs(self, parts: dict[str, int], value: int) -> None:
        key = key_of(parts)
        assert key == key_of(dict(reversed(parts.items())))
        assert (key_of(parts | {"": value}) == key) == (parts == parts | {"": value})


class TestDigest:
    def test_follows_the_content(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "scan.tif"
        path.write_bytes(b"one")
        first = store.digest(path)
        assert first == content_digest(path)
        path.write_bytes(b"two")  # same size, perhaps the same time stamp
        assert store.digest(path) != first

    def test_is_remembered_for_settled_files(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "scan.tif"
        path.write_bytes(b"one")
        os.utime(path, (1e9, 1e9))
        first = store.digest(path)
        monkeypatch.setattr("linerefine_etruscan_mirrors.store.content_digest", None)
        assert Store(store.folder).digest(path) == first

    def test_damaged_memory_is_forgotten(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "scan.tif"
        path.write_bytes(b"one")
        os.utime(path, (1e9, 1e9))
        store.digest(path)
        for damage in ("{", json.dumps([1])):
            (store.folder / "digests.json").write_text(damage)
            assert store.digest(path) == content_digest(path)
