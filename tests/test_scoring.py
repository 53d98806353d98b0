"""Scores of masks in files and folders."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from PIL import Image

import linerefine as lr
from linerefine import builtin
from linerefine.registry import Registry
from linerefine.scoring import read_lines, score_paths

CROSS = np.zeros((24, 32), dtype=bool)
CROSS[11:13] = CROSS[:, 15:17] = True


@pytest.fixture(scope="module")
def metrics():
    registry = Registry([builtin])
    return {name: registry.make_metric(lr.Component(name=name)) for name in registry.metrics()}


def write(path: Path, stored: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, stored, photometric="rgb" if stored.ndim == 3 else "minisblack")
    else:
        Image.fromarray(stored).save(path)
    return path


STORED = {
    "bool.png": CROSS,
    "bool.tif": CROSS,
    "labels.png": CROSS.astype(np.uint8),
    "labels.tif": CROSS.astype(np.int32),
    "eight.png": np.where(CROSS, 255, 0).astype(np.uint8),
    "eight.tif": np.where(CROSS, 200, 90).astype(np.uint8),
    "sixteen.png": np.where(CROSS, 65535, 0).astype(np.uint16),
    "sixteen.tif": np.where(CROSS, 40000, 30000).astype(np.uint16),
    "probability.tif": np.where(CROSS, 0.51, 0.5).astype(np.float32),
    "double.tif": np.where(CROSS, 1.0, 0.0),
    "colour.png": np.where(CROSS[..., None], (255, 0, 0), 0).astype(np.uint8),
    "opaque.png": np.where(CROSS[..., None], (255, 255, 255, 255), (0, 0, 0, 255)).astype(np.uint8),
    "drawing.png": np.where(CROSS[..., None], (0, 0, 0, 255), (0, 0, 0, 0)).astype(np.uint8),
    "drawing_tiff.tif": np.where(CROSS[..., None], (9, 9, 9, 255), (9, 9, 9, 3)).astype(np.uint8),
    "grey_drawing.png": np.where(CROSS[..., None], (0, 255), (0, 0)).astype(np.uint8),
    "photograph.jpg": np.where(CROSS, 255, 0).astype(np.uint8),
}


class TestReadLines:
    @pytest.mark.parametrize("name", STORED)
    def test_every_kind_of_file_means_what_it_looks_like(self, tmp_path, name):
        mask = read_lines(write(tmp_path / name, STORED[name]))
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, CROSS)

    @pytest.mark.parametrize(
        ("stored", "share"),
        [(np.uint8(0), 0), (np.uint8(1), 1), (np.uint8(127), 0), (np.uint8(128), 1)],
    )
    def test_uniform_images_are_empty_or_full(self, tmp_path, stored, share):
        path = write(tmp_path / "a.png", np.full((8, 8), stored))
        assert read_lines(path).mean() == share

    @pytest.mark.parametrize(
        ("stored", "message"),
        [
            (np.full((4, 4), np.nan, np.float32), r"a\.tif holds values from nan to nan, expected"),
            (np.full((4, 4), np.inf, np.float32), r"holds values from inf to inf, expected"),
            (
                np.array([[-2.0, 3.0]], np.float32),
                r"holds values from -2\.0 to 3\.0, expected 0 to 1",
            ),
            (np.array([[0.0, 255.0]], np.float32), r"float32 values up to 255, expected at most 1"),
            (np.array([[0, 255]], np.int64), r"holds int64 values up to 255, expected at most 1"),
            (
                np.array([[0, 255]], np.uint16),
                r"has 16 bits but no value above 255, expected 65535",
            ),
        ],
    )
    def test_numbers_without_a_clear_scale_are_refused(self, tmp_path, stored, message):
        with pytest.raises(lr.DataError, match=message):
            read_lines(write(tmp_path / "a.tif", stored))

    def test_a_damaged_file_is_named(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(b"\x89PNG and no more")
        with pytest.raises(lr.DataError, match=r"a\.png cannot be read as an image"):
            read_lines(path)

    @settings(deadline=None, max_examples=30)
    @given(mask=arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1)))
    def test_the_type_of_the_file_does_not_matter(self, tmp_path_factory, mask):
        folder = tmp_path_factory.mktemp("masks")
        written = [
            write(folder / "bool.tif", mask),
            write(folder / "eight.png", mask.astype(np.uint8) * 255),
            write(folder / "sixteen.png", mask.astype(np.uint16) * 65535),
            write(folder / "float.tif", mask.astype(np.float32)),
        ]
        for path in written:
            np.testing.assert_array_equal(read_lines(path), mask)


def mask_file(path: Path, mask: np.ndarray = CROSS) -> Path:
    return write(path, np.where(mask, 255, 0).astype(np.uint8))


class TestScorePaths:
    def test_two_files_are_scored_by_every_metric(self, tmp_path, metrics):
        half = CROSS.copy()
        half[:, :15] = False
        sheet = score_paths(
            mask_file(tmp_path / "mine.png", half), mask_file(tmp_path / "theirs.tif"), metrics
        )
        (pair,) = sheet.pairs
        precision, recall = 1.0, half.sum() / CROSS.sum()
        assert pair.name == "mine"
        assert pair.scores["f_measure"] == pytest.approx(2 * recall / (precision + recall))
        assert pair.scores["iou"] == pytest.approx(recall)
        assert {"pfm", "iou", "f_measure", "dice", "cldice", "betti0"} <= set(pair.scores)
        assert set(pair.scores) == set(metrics)
        assert sheet.mean == pytest.approx(pair.scores)
        assert set(sheet.skipped.values()) == {0}

    def test_folders_are_matched_by_stem_and_sorted(self, tmp_path, metrics):
        mask_file(tmp_path / "mine" / "b.tif")
        mask_file(tmp_path / "mine" / "a.png", ~CROSS)
        mask_file(tmp_path / "theirs" / "a.tif")
        mask_file(tmp_path / "theirs" / "b.png")
        (tmp_path / "mine" / "notes.txt").write_text("not an image")
        (tmp_path / "mine" / ".hidden.png").write_text("not an image")
        sheet = score_paths(tmp_path / "mine", tmp_path / "theirs", metrics)
        assert [(pair.name, pair.scores["pfm"]) for pair in sheet.pairs] == [("a", 0.0), ("b", 1.0)]
        assert sheet.mean["pfm"] == 0.5

    def test_undefined_scores_are_null_and_left_out_of_the_mean(self, tmp_path, metrics):
        for side in ("mine", "theirs"):
            mask_file(tmp_path / side / "empty.png", np.zeros_like(CROSS))
            mask_file(tmp_path / side / "full.png")
        sheet = score_paths(tmp_path / "mine", tmp_path / "theirs", metrics)
        record = json.loads(json.dumps(sheet.to_dict(), allow_nan=False))
        undefined = dict.fromkeys(metrics)
        best = {name: float(metric.higher_is_better) for name, metric in metrics.items()}
        assert record == {
            "pairs": [{"name": "empty", **undefined}, {"name": "full", **best}],
            "mean": best,
        }
        assert sheet.skipped == dict.fromkeys(metrics, 1)

    def test_nothing_defined_at_all_is_null_too(self, tmp_path, metrics):
        empty = mask_file(tmp_path / "empty.png", np.zeros_like(CROSS))
        sheet = score_paths(empty, empty, metrics)
        assert math.isnan(sheet.mean["pfm"])
        assert sheet.to_dict()["mean"]["pfm"] is None

    def test_only_pixels_inside_the_roi_count(self, tmp_path, metrics):
        left = np.zeros_like(CROSS)
        left[:, :15] = True
        wrong = CROSS ^ ~left
        mine, theirs = mask_file(tmp_path / "mine.png", wrong), mask_file(tmp_path / "theirs.png")
        roi = mask_file(tmp_path / "roi.png", left)
        assert score_paths(mine, theirs, metrics).mean["iou"] < 1
        assert score_paths(mine, theirs, metrics, roi=roi).mean["iou"] == 1

    def test_folders_take_one_roi_or_a_folder_of_them(self, tmp_path, metrics):
        for side in ("mine", "theirs", "roi"):
            mask_file(tmp_path / side / "a.png", ~CROSS if side == "roi" else CROSS)
        folders = tmp_path / "mine", tmp_path / "theirs"
        for roi in (tmp_path / "roi", tmp_path / "roi" / "a.png"):
            assert math.isnan(score_paths(*folders, metrics, roi=roi).mean["iou"])

    def test_progress_is_told(self, tmp_path, metrics):
        told = []
        path = mask_file(tmp_path / "a.png")
        score_paths(path, path, metrics, progress=lambda *args: told.append(args))
        assert told == [("scoring", 0, 1), ("scoring", 1, 1)]

    def test_a_plugins_metric_counts_by_its_registered_name(self, tmp_path):
        class Full(lr.Metric):
            def measure(self, prediction, target):
                return np.array([prediction.sum(), prediction.size], dtype=np.float64)

            def reduce(self, statistics):
                return float(statistics[0] / statistics[1])

        path = mask_file(tmp_path / "a.png", np.ones_like(CROSS))
        assert score_paths(path, path, {"full": Full()}).to_dict()["mean"] == {"full": 1.0}


class TestRefusals:
    def refused(self, *paths, roi=None) -> str:
        with pytest.raises(lr.DataError) as raised:
            score_paths(*paths, {}, roi=roi)
        return str(raised.value)

    def test_sizes_that_differ_name_both_files(self, tmp_path):
        one = mask_file(tmp_path / "one.png")
        other = mask_file(tmp_path / "other.png", CROSS.T)
        assert self.refused(one, other) == (
            f"{one} has 24 x 32 pixels, {other} 32 x 24; rows and columns must agree."
        )
        assert self.refused(one, one, roi=other).startswith(f"{one} has 24 x 32 pixels, {other}")

    def test_unmatched_files_on_either_side_are_all_named(self, tmp_path):
        mine, theirs, roi = (tmp_path / name for name in ("mine", "theirs", "roi"))
        for path in (mine / "a.png", mine / "b.png", theirs / "b.png", theirs / "c.png"):
            mask_file(path)
        mask_file(roi / "a.png")
        assert self.refused(mine, theirs, roi=roi).splitlines() == [
            f"3 mistakes in {mine}:",
            f"  - {mine / 'a.png'} has no partner 'a.*' in {theirs}.",
            f"  - {theirs / 'c.png'} has no partner 'c.*' in {mine}.",
            f"  - {mine / 'b.png'} has no partner 'b.*' in {roi}.",
        ]

    def test_a_suffix_of_the_name_is_not_guessed(self, tmp_path):
        mask_file(tmp_path / "mine" / "a_mask.png")
        mask_file(tmp_path / "theirs" / "a.png")
        assert "a_mask.png has no partner" in self.refused(tmp_path / "mine", tmp_path / "theirs")

    def test_two_files_of_one_stem_are_refused(self, tmp_path):
        mask_file(tmp_path / "mine" / "a.png")
        mask_file(tmp_path / "mine" / "a.tif")
        mask_file(tmp_path / "theirs" / "a.png")
        expected = f"{tmp_path / 'mine' / 'a.tif'} and a.png share the stem; keep one."
        assert self.refused(tmp_path / "mine", tmp_path / "theirs") == expected

    def test_a_file_and_a_folder_do_not_go_together(self, tmp_path):
        path = mask_file(tmp_path / "a.png")
        assert self.refused(path, tmp_path) == (
            f"{path} is a file, {tmp_path} a folder; expected two files or two folders."
        )
        assert self.refused(path, path, roi=tmp_path).startswith(f"ROI {tmp_path} is a folder")

    def test_missing_paths_and_empty_folders_are_named(self, tmp_path):
        missing = tmp_path / "no.png"
        assert self.refused(missing, missing).startswith(f"{missing} does not exist")
        assert self.refused(tmp_path, tmp_path) == (
            f"{tmp_path} holds no image; looked for .png, .jpg, .jpeg, .tif, .tiff."
        )


SHARED = Path(os.environ.get("LINEREFINE_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.mark.data
@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the public data are not here")
def test_two_observers_of_real_vessels_agree_well_but_not_wholly(metrics):
    folder = SHARED / "data" / "chasedb1"
    name = sorted(path.name for path in (folder / "masks").iterdir())[0]
    sheet = score_paths(folder / "masks2" / name, folder / "masks" / name, metrics)
    assert 0.6 < sheet.mean["f_measure"] < 0.95
    assert sheet.mean["f_measure"] == pytest.approx(sheet.mean["dice"])
