"""Masks and probability maps for images that belong to no split."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from scipy.special import expit

from linerefine import builtin
from linerefine.config import ExperimentConfig
from linerefine.errors import DataError, RunError, UnknownNameError
from linerefine.experiment import run_experiment
from linerefine.experiment.bench import Notifier
from linerefine.experiment.loading import load_bench
from linerefine.experiment.sessions import session_for
from linerefine.experiment.stored import stored_refiner
from linerefine.predict import Prediction, predict_scans
from linerefine.registry import Registry
from linerefine.testing import DrawnLoader

EAGER = {"look": {"add": -4, "erase": -4, "middle": -4}, "cut": -4}
"""Options of one that changes its mind about most pixels."""

TINY = {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": (16, 8, 8)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and a finished run on them."""
    place = tmp_path_factory.mktemp("predict here")
    loader = DrawnLoader()
    for name in loader.names("train"):
        sample = loader.load(name)
        for part, content in (
            ("images", 100 * sample.image[0] + 50),
            ("masks", sample.lines * 255),
        ):
            (place / "data" / part).mkdir(parents=True, exist_ok=True)
            pixels = np.clip(content, 0, 255).astype(np.uint8)
            cv2.imwrite(str(place / "data" / part / f"{name}.png"), pixels)
    config = ExperimentConfig.model_validate(
        {
            "loader": {"name": "folder", "options": {"root": place / "data"}},
            "segmenter": {"network": TINY},
            "refiners": [
                {"name": "anchored", "label": "sees", "options": {**EAGER, "network": TINY}},
                {"name": "manual"},
            ],
            "tiling": {"patch": 64, "overlap": 16, "train_rows": 64, "train_cols": 64},
            "training": {"batch_size": 2, "max_epochs": 1, "steps_per_epoch": 2},
            "session": {"crop": 64, "margin": 8},
            "evaluation": {"budget": 1, "repeats": 1, "patch_passes": 0},
            "threads": 1,
        }
    )
    registry = Registry([builtin])
    run_experiment(registry.experiment("folder"), config, registry, place / "run")
    return place


def predict(place: Path, output: Path, *sources: Path, **changes: object) -> list[Prediction]:
    arguments = {"run": place / "run", "experiment": "folder"} | changes
    run = arguments.pop("run")
    return predict_scans(Registry([builtin]), [str(s) for s in sources], run, output, **arguments)


def image(place: Path) -> Path:
    return sorted((place / "data" / "images").iterdir())[0]


def test_mask_and_map_agree_and_have_the_source_size(place: Path, tmp_path: Path) -> None:
    source = tmp_path / "unseen.png"
    pixels = np.random.default_rng(0).integers(0, 255, (50, 70), dtype=np.uint8)
    cv2.imwrite(str(source), pixels)
    (written,) = predict(place, tmp_path / "out", source)
    mask = cv2.imread(str(written.mask), cv2.IMREAD_UNCHANGED)
    probability = tifffile.imread(written.probability)
    assert written.mask == tmp_path / "out" / "masks" / "unseen.png"
    assert mask.shape == probability.shape == (50, 70)
    assert probability.dtype == np.float32
    assert 0 <= probability.min() < probability.max() <= 1
    np.testing.assert_array_equal(mask, np.where(probability > 0.5, 255, 0))


def test_predicting_twice_gives_the_same(place: Path, tmp_path: Path) -> None:
    first, again = (predict(place, tmp_path / name, image(place))[0] for name in "ab")
    assert first.mask.read_bytes() == again.mask.read_bytes()


def test_what_was_written_before_a_bad_source_is_kept(place: Path, tmp_path: Path) -> None:
    heard: list[Prediction] = []
    with pytest.raises(DataError, match=r"none\.png"):
        predict(
            place, tmp_path / "out", image(place), tmp_path / "none.png", on_written=heard.append
        )
    assert [prediction.source for prediction in heard] == [str(image(place))]
    assert heard[0].mask.is_file()


def test_two_sources_of_one_name_are_refused(place: Path, tmp_path: Path) -> None:
    twin = tmp_path / image(place).name
    shutil.copy(image(place), twin)
    with pytest.raises(DataError, match="would both be written as"):
        predict(place, tmp_path / "out", image(place), twin)


def test_a_folder_that_is_no_run_is_named(place: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder: it has no config.toml"):
        predict(place, tmp_path / "out", image(place), run=tmp_path)


def test_a_run_of_another_experiment_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a run of 'folder', not of 'retina_demo'"):
        predict(place, tmp_path / "out", image(place), experiment="retina_demo")


def test_an_unfinished_run_is_refused(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "segmenter.safetensors").unlink()
    with pytest.raises(RunError, match="holds no trained first-prediction network"):
        predict(place, tmp_path / "out", image(place), run=tmp_path / "run")


def test_an_output_that_cannot_be_written_is_refused_at_once(place: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RunError, match="cannot write to .*out"):
        predict(place, tmp_path / "out", image(place))


def test_a_refiner_that_looks_first_mends_as_its_sessions_begin(place, tmp_path):
    bench = load_bench(Registry([builtin]), place / "run", "folder", "cpu", Notifier([]))
    (name, *_) = bench.loader.names("test")
    source = place / "data" / "images" / f"{name}.png"
    (plain,) = predict(place, tmp_path / "plain", source)
    (mended,) = predict(place, tmp_path / "mended", source, refiner="sees")
    session = session_for(bench, stored_refiner(bench, "sees"), bench.loaded(name), "sees")
    found = tifffile.imread(mended.probability)
    np.testing.assert_allclose(found, expit(session.logits), atol=1e-6)
    assert (found != tifffile.imread(plain.probability)).mean() > 0.5


def test_a_refiner_that_is_not_there_or_waits_for_strokes_is_refused(place, tmp_path):
    with pytest.raises(UnknownNameError, match=r"has no refiner 'pan'. Available: sees, manual"):
        predict(place, tmp_path / "out", image(place), refiner="pan")
    with pytest.raises(RunError, match="'manual' of .* waits for a stroke and changes nothing"):
        predict(place, tmp_path / "out", image(place), refiner="manual")
    assert not (tmp_path / "out").exists()


def test_a_refiner_that_was_not_trained_yet_is_refused_with_the_remedy(place, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(place / "run", run)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(f'{config}\n[[refiners]]\nname = "anchored"\n')
    with pytest.raises(RunError, match="holds no trained refiner 'anchored' .* with --resume"):
        predict(place, tmp_path / "out", image(place), run=run, refiner="anchored")


def test_nothing_is_drawn_outside_the_roi(place: Path, tmp_path: Path) -> None:
    roi = np.zeros((64, 64), np.uint8)
    roi[10:40, 20:60] = 255
    for part, pixels in (("images", cv2.imread(str(image(place)), 0)), ("fov", roi)):
        (tmp_path / part).mkdir()
        cv2.imwrite(str(tmp_path / part / "seen.png"), pixels)
    (written,) = predict(place, tmp_path / "out", tmp_path / "images" / "seen.png")
    probability = tifffile.imread(written.probability)
    assert (probability[roi == 0] == 0).all()
    assert (probability[roi > 0] > 0).all()
