"""The script that makes one data root of several."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from linerefine.loaders.folder import Folder, FolderOptions
from linerefine.registry import Registry
from linerefine.testing import DrawnLoader

SCRIPT = str(Path(__file__).parents[1] / "scripts" / "gather_sets.py")


def root_of(folder: Path, names: str, splits: dict[str, str] | None) -> Path:
    for number, name in enumerate(names):
        mask = np.zeros((32, 32), np.uint8)
        mask[8 + number] = 255
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{name}.png"), mask)
    if splits:
        lists = {split: list(listed) for split, listed in splits.items()}
        (folder / "splits.json").write_text(json.dumps(lists))
    return folder


def gather(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [SCRIPT, *map(str, words)])
    runpy.run_path(SCRIPT, run_name="__main__")


def test_several_roots_become_one_that_the_folder_loader_reads(tmp_path, monkeypatch, capsys):
    ink = root_of(tmp_path / "ink", "abcd", {"train": "ab", "val": "c", "test": "d"})
    cracks = root_of(tmp_path / "cracks", "abc", {"train": "a", "val": "b", "test": "c"})
    out = tmp_path / "all"
    for _ in range(2):  # again over what is there
        gather(monkeypatch, out, ink, cracks)
    assert "3 train, 2 val, 2 test images" in capsys.readouterr().out
    loader = Folder(FolderOptions(root=out))
    assert set(loader.names("train")) == {"ink-a", "ink-b", "cracks-a"}
    assert set(loader.names("test")) == {"ink-d", "cracks-c"}
    assert loader.load("cracks-c").target.mask[10].all()


def test_all_pixels_count_of_a_root_without_a_field_of_view(tmp_path, monkeypatch):
    ink = root_of(tmp_path / "ink", "abcd", {"train": "ab", "val": "c", "test": "d"})
    eyes = root_of(tmp_path / "eyes", "abc", {"train": "a", "val": "b", "test": "c"})
    shutil.copytree(eyes / "images", eyes / "fov")
    gather(monkeypatch, tmp_path / "all", ink, eyes)
    loader = Folder(FolderOptions(root=tmp_path / "all"))
    assert loader.load("ink-a").target.roi.all()
    assert loader.load("eyes-a").target.roi.sum() == 32


def test_nothing_is_written_through_a_link_from_before(tmp_path, monkeypatch):
    ink = root_of(tmp_path / "ink", "abc", {"train": "a", "val": "b", "test": "c"})
    eyes = root_of(tmp_path / "eyes", "abc", {"train": "a", "val": "b", "test": "c"})
    for root in (ink, eyes):
        shutil.copytree(root / "images", root / "fov")
    gather(monkeypatch, tmp_path / "all", ink, eyes)
    (ink / "fov").rename(tmp_path / "elsewhere")
    shutil.copy(ink / "images" / "a.png", tmp_path / "a.png")
    link = tmp_path / "all" / "fov" / "ink-a.png"
    link.unlink()
    link.symlink_to(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    gather(monkeypatch, tmp_path / "all", ink, eyes)
    assert (tmp_path / "a.png").read_bytes() == before
    assert not link.is_symlink()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_an_experiment_reads_becomes_files(tmp_path, monkeypatch, channels):
    ink = root_of(tmp_path / "ink", "abcd", {"train": "ab", "val": "c", "test": "d"})
    drawn = DrawnLoader(channels=channels)
    monkeypatch.setattr(Registry, "make_loader", lambda _registry, _component: drawn)
    gather(monkeypatch, tmp_path / "all", ink, "--experiment", "retina_demo")
    chosen = "rgb" if channels == 3 else "grey"
    loader = Folder(FolderOptions(root=tmp_path / "all", channels=chosen, normalise=False))
    loader.prepare(lambda *_: None)
    for split in ("train", "val", "test"):
        prefixed = {f"retina_demo-{name}" for name in drawn.names(split)}
        assert prefixed == {name for name in loader.names(split) if name.startswith("retina")}
    for name in drawn.names("test"):
        own, read = drawn.load(name), loader.load(f"retina_demo-{name}")
        assert np.array_equal(read.image, np.where(own.roi, own.image, 0))
        assert np.array_equal(read.lines, own.lines)
        assert np.array_equal(read.roi, own.roi)
    assert loader.load("ink-d").roi.all()


@pytest.mark.parametrize(
    ("change", "says"),
    [({"image": np.zeros((2, 64, 64), np.float32)}, "1 or 3"), ({"lines": None}, "traced")],
)
def test_a_sample_that_does_not_fit_files_is_named(tmp_path, monkeypatch, capsys, change, says):
    ink = root_of(tmp_path / "ink", "abc", {"train": "a", "val": "b", "test": "c"})
    drawn = DrawnLoader()
    load = drawn.load
    drawn.load = lambda name: replace(load(name), **change)
    monkeypatch.setattr(Registry, "make_loader", lambda _registry, _component: drawn)
    with pytest.raises(SystemExit):
        gather(monkeypatch, tmp_path / "all", ink, "--experiment", "retina_demo")
    assert says in capsys.readouterr().err


def test_an_experiment_that_nobody_provides_is_named(tmp_path, monkeypatch, capsys):
    ink = root_of(tmp_path / "ink", "abc", {"train": "a", "val": "b", "test": "c"})
    with pytest.raises(SystemExit):
        gather(monkeypatch, tmp_path / "all", ink, "--experiment", "retina_dem")
    assert "retina_demo" in capsys.readouterr().err


def test_a_root_without_splits_is_named(tmp_path, monkeypatch, capsys):
    bare = root_of(tmp_path / "bare", "ab", None)
    with pytest.raises(SystemExit):
        gather(monkeypatch, tmp_path / "all", bare)
    assert "bare has no splits.json" in capsys.readouterr().err


def test_two_roots_of_one_name_are_refused(tmp_path, monkeypatch, capsys):
    splits = {"train": "a", "val": "b", "test": "c"}
    roots = [root_of(tmp_path / above / "ink", "abc", splits) for above in "xy"]
    with pytest.raises(SystemExit):
        gather(monkeypatch, tmp_path / "all", *roots)
    assert "more than one set is called ink" in capsys.readouterr().err
