"""The loader: splits, samples, statistics, bad scans, cache."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from linerefine.errors import DataError
from linerefine_etruscan_mirrors import scans as scans_module
from linerefine_etruscan_mirrors.files import View
from linerefine_etruscan_mirrors.images import write_png, write_tiff
from linerefine_etruscan_mirrors.loader import MirrorLoader
from linerefine_etruscan_mirrors.preprocessing import preprocess_depth, shrink

from .conftest import RESOLUTION, SHAPE, VIEWS, WriteView, channels, disc, grooves

MakeLoader = Callable[..., MirrorLoader]


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.mark.usefixtures("collection")
class TestSamples:
    def test_hold_normalised_depth_roi_and_lines(self, make_loader: MakeLoader) -> None:
        loader = make_loader(exclude=("F_A",))
        samples = [loader.load(name) for name in loader.names("train")]
        pixels = np.concatenate([sample.image[0][sample.roi] for sample in samples])
        assert pixels.mean() == pytest.approx(0, abs=1e-5)
        assert pixels.std() == pytest.approx(1, abs=1e-5)
        for sample in samples:
            np.testing.assert_array_equal(sample.roi, disc())
            assert sample.lines is not None
            assert sample.pixel_size_mm == pytest.approx(1 / RESOLUTION)
            assert sample.source_shape == SHAPE

    def test_depth_is_high_passed_at_full_resolution_and_then_shrunk(
        self, make_loader: MakeLoader
    ) -> None:
        loader = make_loader(scale=2, test_views=("A_R",))
        sample, known = loader.load("A_R"), loader.state()["statistics"]["depth"]
        depth = channels(0, grooves(0))["depth"]
        relief = shrink(preprocess_depth(depth, RESOLUTION, where=disc()), 2)
        expected = (relief - known["mean"]) / known["sd"]
        np.testing.assert_allclose(sample.image[0], expected, atol=1e-5)
        np.testing.assert_array_equal(sample.lines, grooves(0)[::2, ::2])
        assert sample.pixel_size_mm == pytest.approx(2 / RESOLUTION)

    def test_are_memory_maps_nobody_can_change(self, make_loader: MakeLoader) -> None:
        loader = make_loader()
        image = loader.load(loader.names("train")[0]).image
        assert isinstance(image, np.memmap)
        assert not image.flags.writeable

    def test_have_the_channels_asked_for(self, make_loader: MakeLoader) -> None:
        loader = make_loader(channels=("albedo", "normals", "depth"))
        assert loader.channels == ("albedo", "normal_x", "normal_y", "normal_z", "depth")
        sample = loader.load("A_R")
        assert sample.image.shape == (5, *SHAPE)
        depth_only = make_loader().load("A_R")
        np.testing.assert_allclose(sample.image[4], depth_only.image[0], atol=1e-5)

    def test_an_unknown_name_is_refused_with_a_suggestion(self, make_loader: MakeLoader) -> None:
        with pytest.raises(DataError, match=r"no view named 'A_S'\. Did you mean 'A_R'\?"):
            make_loader().load("A_S")
        with pytest.raises(DataError, match=r"no view named 'A_R@val'"):
            make_loader().load("A_R@val")


@pytest.mark.usefixtures("collection")
class TestSplits:
    def test_cover_all_views_and_share_no_object(self, make_loader: MakeLoader) -> None:
        loader = make_loader()
        parts = [loader.names(split) for split in ("train", "val", "test")]
        assert all(list(part) == sorted(part) and part for part in parts)
        assert sorted(name for part in parts for name in part) == list(VIEWS)
        assert not {n[0] for n in parts[0]} & {n[0] for n in (*parts[1], *parts[2])}

    def test_excluded_views_are_in_none(self, make_loader: MakeLoader) -> None:
        loader = make_loader(exclude=("B_R",))
        names = [*loader.names("train"), *loader.names("val"), *loader.names("test")]
        assert "B_R" not in names
        with pytest.raises(DataError, match=r"no view named 'B_X'\. Did you mean 'B_R'"):
            make_loader(exclude=("B_X",)).names("train")

    def test_the_papers_test_views_are_taken_where_present(
        self, make_loader: MakeLoader, add_view: WriteView
    ) -> None:
        add_view("ANSA-VI-1700_R", seed=9)
        add_view("ANSA-VI-1700_A", seed=10)
        loader = make_loader()
        assert list(loader.names("test")) == ["ANSA-VI-1700_R"]
        assert "ANSA-VI-1700_A" not in [*loader.names("train"), *loader.names("val")]
        assert loader.notes()["unused_views"] == "ANSA-VI-1700_A"

    def test_statistics_are_those_of_the_training_split(
        self, make_loader: MakeLoader, add_view: WriteView
    ) -> None:
        before = make_loader(test_views=("A_R",)).state()
        rough = channels(0, grooves(0))["depth"] * 3 + 5
        add_view("A_R", depth=rough**2)
        assert make_loader(test_views=("A_R",)).state() == before

    def test_a_split_file_decides(self, make_loader: MakeLoader, tmp_path: Path) -> None:
        path = tmp_path / "splits.json"
        path.write_text(json.dumps({"train": ["A_R", "B_R"], "val": ["C_R"], "test": ["F_A"]}))
        loader = make_loader(split_file=path)
        assert list(loader.names("train")) == ["A_R", "B_R"]
        assert list(loader.names("test")) == ["F_A"]

    def test_paper_validates_on_half_the_patches_of_the_test_views(
        self, make_loader: MakeLoader
    ) -> None:
        loader = make_loader(split="paper", patch=32, test_views=("A_R", "B_R"))
        assert list(loader.names("val")) == ["A_R@val", "B_R@val"]
        assert list(loader.names("test")) == ["A_R", "B_R"]
        assert list(loader.patch_names()) == ["A_R@test", "B_R@test"]
        assert list(loader.names("train")) == ["C_R", "D_R", "F_A", "F_R"]
        whole = loader.load("A_R")
        halves = [loader.load(f"A_R@{part}") for part in ("val", "test")]
        assert not (halves[0].roi & halves[1].roi).any()
        np.testing.assert_array_equal(halves[0].roi | halves[1].roi, whole.roi)
        np.testing.assert_array_equal(halves[0].image, whole.image)

    def test_paper_needs_patches(self, make_loader: MakeLoader) -> None:
        with pytest.raises(DataError, match=r"A_R hold fewer than two patches of 128 source"):
            make_loader(split="paper", patch=128, test_views=("A_R",)).names("val")

    def test_too_few_objects_are_refused(self, make_loader: MakeLoader) -> None:
        names = ("A_R", "B_R", "C_R", "D_R")
        with pytest.raises(DataError, match=r"1 object\(s\) with drawings found"):
            make_loader(exclude=names).names("train")
        with pytest.raises(DataError, match=r"exclude leaves no annotated view"):
            make_loader(exclude=(*names, "F_A", "F_R")).names("train")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace_depth(view: View, change: Callable[[np.ndarray], np.ndarray]) -> None:
    depth = tifffile.imread(view.depth)
    write_tiff(view.depth, change(depth.copy()), RESOLUTION)


def with_nan(depth: np.ndarray) -> np.ndarray:
    depth[40, 60] = np.nan
    return depth


def with_infinity(depth: np.ndarray) -> np.ndarray:
    depth[0, 0] = np.inf
    return depth


def without_tags(view: View) -> None:
    tifffile.imwrite(view.normals, tifffile.imread(view.normals), photometric="rgb")


DAMAGES: dict[str, tuple[Callable[[View], None], str]] = {
    "missing depth": (
        lambda view: view.depth.unlink(),
        r"view 'A_R': there is no depth map: .*A_R_U\.tif does not exist\. --data-root",
    ),
    "nan": (lambda view: replace_depth(view, with_nan), r"A_R_U\.tif holds 1 values that are NaN"),
    "infinity": (lambda view: replace_depth(view, with_infinity), r"A_R_U\.tif holds 1 values"),
    "truncated depth": (lambda view: truncate(view.depth), r"A_R_U\.tif .*truncated"),
    "truncated drawing": (lambda view: truncate(view.drawing), r"A_R_drawings\.png .*truncated"),
    "truncated mask": (lambda view: truncate(view.mask), r"A_R_mask\.png .*truncated"),
    "no TIFF": (lambda view: view.depth.write_bytes(b"text"), r"A_R_U\.tif is damaged"),
    "missing tags": (without_tags, r"A_R_N\.tif states"),
    "other depth size": (
        lambda view: replace_depth(view, lambda depth: depth[:-2]),
        r"96 x 128 pixels .* 94 x 128; all files of a view must have one size",
    ),
    "other drawing size": (
        lambda view: write_png(view.drawing, grooves(0)[:, :-1], as_alpha=True),
        r"A_R_drawings\.png has 96 x 127 pixels",
    ),
    "other mask size": (
        lambda view: write_png(view.mask, disc()[:-1], as_alpha=False),
        r"A_R_mask\.png has 95 x 128 pixels",
    ),
    "empty mask": (
        lambda view: write_png(view.mask, np.zeros(SHAPE, dtype=bool), as_alpha=False),
        r"view 'A_R': the object mask \(disk\) marks no pixel",
    ),
    "colour depth": (
        lambda view: write_tiff(view.depth, channels(0, grooves(0))["normals"], RESOLUTION),
        r"A_R_U\.tif has shape \(3, 96, 128\), expected a depth map of one channel",
    ),
}


class TestBadScans:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_are_reported_and_skipped(
        self,
        collection: Path,
        add_view: WriteView,
        make_loader: MakeLoader,
        caplog: pytest.LogCaptureFixture,
        damage: str,
    ) -> None:
        spoil, message = DAMAGES[damage]
        spoil(add_view("A_R"))
        loader = make_loader()
        loader.prepare(quiet)
        assert "A_R" not in [
            name for split in ("train", "val", "test") for name in loader.names(split)
        ]
        assert "bad scan skipped" in caplog.text
        assert loader.notes()["bad_scans"].startswith("1: view 'A_R': ")
        with pytest.raises(DataError, match=message):
            make_loader(on_bad_scan="fail").prepare(quiet)

    def test_a_drawing_without_scan_is_one(self, collection: Path, make_loader: MakeLoader) -> None:
        write_png(collection / "A" / "drawings" / "A_X_drawings.png", grooves(0), as_alpha=True)
        loader = make_loader()
        loader.prepare(quiet)
        assert "A_X_drawings.png has no scan" in loader.notes()["bad_scans"]
        with pytest.raises(DataError, match=r"drawing .*A_X_drawings\.png has no scan\."):
            make_loader(on_bad_scan="fail").prepare(quiet)

    def test_nothing_left_is_an_error(self, add_view: WriteView, make_loader: MakeLoader) -> None:
        truncate(add_view("A_R").depth)
        with pytest.raises(DataError, match=r"none of the 1 annotated views under .* 'A_R': "):
            make_loader().prepare(quiet)

    def test_no_drawing_at_all_is_an_error(
        self, add_view: WriteView, make_loader: MakeLoader
    ) -> None:
        add_view("A_R").drawing.unlink()
        with pytest.raises(DataError, match=r"none of the 1 views under .* has a drawing; looked"):
            make_loader().prepare(quiet)

    def test_a_missing_or_empty_root_is_an_error(self, root: Path, make_loader: MakeLoader) -> None:
        with pytest.raises(DataError, match=r"data root .* does not exist\. --data-root must"):
            make_loader().prepare(quiet)
        root.mkdir()
        with pytest.raises(DataError, match=r"data root .* is empty"):
            make_loader().prepare(quiet)

    @pytest.mark.parametrize("kind", ["8 bit", "16 bit"])
    def test_integer_depth_is_read(
        self, collection: Path, add_view: WriteView, make_loader: MakeLoader, kind: str
    ) -> None:
        view = add_view("A_R")
        depth = tifffile.imread(view.depth)
        low, high = depth.min(), depth.max()
        top = {"8 bit": 255, "16 bit": 65535}[kind]
        stored = np.rint((depth - low) / (high - low) * top)
        tifffile.imwrite(view.depth, stored.astype("u1" if top == 255 else "u2"))
        floats = channels(0, grooves(0))["depth"]
        loader = make_loader(test_views=("A_R",))
        found = loader.load("A_R").image[0]
        add_view("A_R", depth=floats)
        expected = make_loader(test_views=("A_R",)).load("A_R").image[0]
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


class TestCache:
    def count_work(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        done: list[str] = []
        original = scans_module.preprocess_depth

        def counted(*args, **kwargs):
            done.append("depth")
            return original(*args, **kwargs)

        monkeypatch.setattr(scans_module, "preprocess_depth", counted)
        return done

    def test_work_is_done_once(
        self, collection: Path, make_loader: MakeLoader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = self.count_work(monkeypatch)
        loader = make_loader()
        loader.prepare(quiet)
        loader.prepare(quiet)
        assert len(done) == len(VIEWS)
        make_loader().prepare(quiet)
        make_loader(split_seed=5).prepare(quiet)
        assert len(done) == len(VIEWS)

    @pytest.mark.parametrize(
        "changed",
        [{"sigma_mm": 2.0}, {"clip": 2.0}, {"inch": 25.0}, {"statistics": "image"}, {"scale": 2}],
    )
    def test_other_parameters_are_other_entries(
        self,
        collection: Path,
        make_loader: MakeLoader,
        monkeypatch: pytest.MonkeyPatch,
        changed: dict[str, object],
    ) -> None:
        before = make_loader().load("A_R").image
        done = self.count_work(monkeypatch)
        after = make_loader(**changed).load("A_R").image
        assert len(done) == len(VIEWS)
        assert before.shape != after.shape or not np.array_equal(before, after)

    def test_changed_content_is_noticed_whatever_the_time_stamp(
        self,
        collection: Path,
        add_view: WriteView,
        make_loader: MakeLoader,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        view = add_view("A_R")
        make_loader().prepare(quiet)
        done = self.count_work(monkeypatch)
        stamp = view.depth.stat().st_mtime_ns
        replace_depth(view, lambda depth: depth + np.float32(0.1) * np.eye(*SHAPE, dtype="f4"))
        os.utime(view.depth, ns=(stamp, stamp))
        make_loader().prepare(quiet)
        assert len(done) == 1

    def test_a_new_drawing_costs_no_preprocessing(
        self,
        collection: Path,
        add_view: WriteView,
        make_loader: MakeLoader,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        view = add_view("A_R")
        make_loader().prepare(quiet)
        done = self.count_work(monkeypatch)
        write_png(view.drawing, grooves(50), as_alpha=True)
        np.testing.assert_array_equal(make_loader().load("A_R").lines, grooves(50))
        assert not done

    def test_damage_is_mended(self, collection: Path, make_loader: MakeLoader, cache: Path) -> None:
        expected = np.array(make_loader().load("A_R").image)
        for path in cache.rglob("image.npy"):
            path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
        for path in cache.rglob("roi.npy"):
            truncate(path)
        sample = make_loader().load("A_R")
        np.testing.assert_array_equal(sample.image, expected)
        np.testing.assert_array_equal(sample.roi, disc())

    def test_two_runs_may_fill_it_at_once(
        self, collection: Path, make_loader: MakeLoader, cache: Path
    ) -> None:
        loaders = [make_loader() for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda loader: loader.prepare(quiet), loaders))
        images = [np.array(loader.load("A_R").image) for loader in loaders]
        np.testing.assert_array_equal(images[0], images[1])
        np.testing.assert_array_equal(images[0], images[2])
        assert not list(cache.rglob("*.tmp*"))

    def test_lies_where_it_is_told(
        self, collection: Path, make_loader: MakeLoader, tmp_path: Path, cache: Path
    ) -> None:
        make_loader(cache=tmp_path / "elsewhere").prepare(quiet)
        assert (tmp_path / "elsewhere" / "scans").is_dir()
        assert not cache.exists()

    def test_a_full_disk_stops_the_run_and_leaves_nothing(
        self,
        collection: Path,
        make_loader: MakeLoader,
        cache: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def full(path: Path, mask: np.ndarray) -> None:
            raise OSError(28, "No space left on device", str(path))

        monkeypatch.setattr(scans_module, "save_mask", full)
        with pytest.raises(DataError, match=r"cannot be written: No space left on device"):
            make_loader().prepare(quiet)
        assert not list(cache.rglob("*.npy"))


class TestOpen:
    def test_takes_names_files_and_folders(self, collection: Path, make_loader: MakeLoader) -> None:
        loader = make_loader()
        expected = loader.load("A_R")
        folder = collection / "A"
        for source in ("A_R", folder / "PS" / "A_R_U.tif", folder, folder / "PS"):
            sample = loader.open(str(source))
            assert sample.name == "A_R"
            np.testing.assert_array_equal(sample.image, expected.image)

    def test_needs_neither_root_nor_drawing_once_restored(
        self, collection: Path, make_loader: MakeLoader, tmp_path: Path, add_view: WriteView
    ) -> None:
        trained = make_loader(exclude=("A_R",))
        state = json.loads(json.dumps(trained.state()))
        expected = np.array(trained.open("A_R").image)
        loose = tmp_path / "loose"
        (collection / "A" / "PS").rename(loose)
        restored = make_loader(root=tmp_path / "gone")
        restored.restore(state)
        sample = restored.open(str(loose / "A_R_U.tif"))
        assert sample.lines is None
        inside = sample.roi & disc()
        assert np.corrcoef(sample.image[0][inside], expected[0][inside])[0, 1] > 0.99
        assert restored.state() == state

    def test_brings_other_resolutions_to_the_trainings_pixel_size(
        self, collection: Path, add_view: WriteView, make_loader: MakeLoader
    ) -> None:
        trained = make_loader(scale=2)
        restored = make_loader(scale=None)
        restored.restore(trained.state())
        add_view("Z_R", resolution=2 * RESOLUTION)
        sample = restored.open("Z_R")
        assert sample.shape == (24, 32)
        assert sample.pixel_size_mm == pytest.approx(trained.state()["pixel_size_mm"])

    def test_bad_sources_are_refused(self, collection: Path, make_loader: MakeLoader) -> None:
        loader = make_loader()
        with pytest.raises(DataError, match=r"no view named 'A_L'"):
            loader.open("A_L")
        with pytest.raises(DataError, match=r"A_R_N\.tif is no depth map: its name was expected"):
            loader.open(str(collection / "A" / "PS" / "A_R_N.tif"))
        with pytest.raises(DataError, match=r"holds 2 scans: F_A_U\.tif, F_R_U\.tif"):
            loader.open(str(collection / "F"))
        with pytest.raises(DataError, match=r"drawings holds no depth map \(\*_U\.tif\)"):
            loader.open(str(collection / "A" / "drawings"))
        truncate(collection / "A" / "PS" / "A_R_U.tif")
        with pytest.raises(DataError, match=r"A_R_U\.tif .*truncated"):
            loader.open("A_R")

    def test_a_state_that_does_not_fit_is_refused(
        self, collection: Path, make_loader: MakeLoader
    ) -> None:
        state = make_loader().state()
        with pytest.raises(
            DataError, match=r"trained on channels depth, but the loader has albedo"
        ):
            make_loader(channels=("albedo",)).restore(state)
        with pytest.raises(DataError, match=r"loader state is damaged \(KeyError"):
            make_loader().restore({})


def test_a_resolution_given_as_option_replaces_the_files(
    add_view: WriteView, make_loader: MakeLoader
) -> None:
    for seed, name in enumerate(("A_R", "B_R", "C_R")):
        without_tags(add_view(name, seed=seed))
    sample = make_loader(pixels_per_mm=8.0).load("A_R")
    assert sample.pixel_size_mm == pytest.approx(1 / 8)


def test_progress_is_told(collection: Path, make_loader: MakeLoader) -> None:
    told: list[tuple[str, int, int]] = []
    make_loader().prepare(lambda what, done, total: told.append((what, done, total)))
    assert ("preprocessing scans", 6, 6) in told
    assert told[-1][1] == told[-1][2]


def test_opaque_drawings_are_bad(
    collection: Path, add_view: WriteView, make_loader: MakeLoader, caplog: pytest.LogCaptureFixture
) -> None:
    view = add_view("A_R")
    Image.new("RGBA", SHAPE[::-1], (0, 0, 0, 255)).save(view.drawing)
    with caplog.at_level(logging.WARNING):
        make_loader().prepare(quiet)
    assert "opaque everywhere" in caplog.text
