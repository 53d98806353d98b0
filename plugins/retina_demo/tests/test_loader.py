"""The loader: green channel, groups, field of view, drawn or real."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from linerefine.errors import DataError
from linerefine.loaders.images import read_mask, read_pixels
from linerefine_retina_demo.loader import Retina
from linerefine_retina_demo.options import RetinaOptions


def silent(what, done, total):
    pass


@pytest.fixture(scope="module")
def sample():
    return Retina(RetinaOptions(sample_images=6, sample_size=128))


def test_without_a_root_drawn_images_are_read_and_labelled(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path))  # nothing drawn there yet
    calls = []
    loader = Retina(RetinaOptions(sample_images=6, sample_size=80, sample_seed=3))
    loader.prepare(lambda *call: calls.append(call))
    assert {what for what, _, _ in calls} == {"drawing sample images", "checking files"}
    assert loader.notes()["data"] == "sample"
    assert loader.names("test") == ("Drawn_03L", "Drawn_03R")
    assert loader.load("Drawn_01L").other_lines[0].any()


def test_a_named_root_is_real_and_never_replaced(sample, tmp_path):
    shutil.copytree(sample.root, tmp_path / "eyes")
    loader = Retina(RetinaOptions(root=tmp_path / "eyes"))
    assert loader.notes()["data"] == "real"
    with pytest.raises(DataError, match="data root .*absent does not exist"):
        Retina(RetinaOptions(root=tmp_path / "absent")).prepare(silent)


def test_the_green_channel_is_read(sample):
    name = sample.names("train")[0]
    loaded = sample.load(name)
    green = read_pixels(sample.root / "images" / f"{name}.png")[..., 1]
    inside = green[loaded.roi]
    assert sample.channels == ("green",)
    expected = (inside - inside.mean()) / inside.std()
    np.testing.assert_allclose(loaded.image[0][loaded.roi], expected, atol=1e-3)


def test_both_eyes_of_a_child_stay_together(sample):
    for split in ("train", "val", "test"):
        names = sample.names(split)
        assert {name[:-1] for name in names if name.endswith("L")} == {
            name[:-1] for name in names if name.endswith("R")
        }


def test_the_field_of_view_is_estimated_where_no_file_says_it(sample, tmp_path):
    shutil.copytree(sample.root, tmp_path / "eyes")
    shutil.rmtree(tmp_path / "eyes" / "fov")
    loader = Retina(RetinaOptions(root=tmp_path / "eyes"))
    for name in sample.names("train"):
        estimated, drawn = loader.load(name).roi, sample.load(name).roi
        assert (estimated & drawn).sum() / (estimated | drawn).sum() > 0.97


def test_an_image_without_a_field_of_view_counts_whole():
    loader = Retina(RetinaOptions())
    assert loader.estimate_roi(np.zeros((20, 30, 3), np.float32)).all()
    assert loader.estimate_roi(np.full((20, 30, 1), 0.5, np.float32)).all()


def test_a_single_photograph_can_be_opened(sample, tmp_path):
    name = sample.names("test")[0]
    shutil.copy(sample.root / "images" / f"{name}.png", tmp_path / "scan.png")
    opened = Retina(RetinaOptions()).open(str(tmp_path / "scan.png"))
    assert opened.lines is None
    assert 0.5 < opened.roi.mean() < 0.8
    Image.new("RGB", (40, 30)).save(tmp_path / "black.png")
    assert not Retina(RetinaOptions()).open(str(tmp_path / "black.png")).image.any()


@pytest.mark.data
def test_chase_is_read_as_its_split_file_says(shared):
    loader = Retina(RetinaOptions(root=shared / "data" / "chasedb1"))
    loader.prepare(silent)
    train, val, test = (loader.names(split) for split in ("train", "val", "test"))
    assert (len(train) + len(val), len(test)) == (20, 8)
    assert test[0] == "Image_11L"
    children = [{name[:-1] for name in names} for names in (train, val, test)]
    assert sum(map(len, children)) == len(set.union(*children)) == 14
    assert "splits.json says, its 'val' being reported on as test" in loader.notes()["split"]
    sample = loader.load(test[0])
    assert sample.shape == (960, 999)
    assert len(sample.other_lines) == 1
    dice = (
        2
        * (sample.lines & sample.other_lines[0]).sum()
        / (sample.lines.sum() + sample.other_lines[0].sum())
    )
    assert 0.7 < dice < 0.85  # the two observers, README of the pack


@pytest.mark.data
def test_the_estimated_field_of_view_is_right_on_real_photographs(shared):
    root = shared / "data" / "chasedb1"
    loader = Retina(RetinaOptions(root=root))
    for name in ("Image_01L", "Image_05R", "Image_12L", "Image_14R"):
        known = read_mask(root / "fov" / f"{name}.png")
        estimated = loader.estimate_roi(read_pixels(root / "images" / f"{name}.jpg"))
        assert (known & estimated).sum() / (known | estimated).sum() > 0.96
