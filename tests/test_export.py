"""Trained networks as ONNX files, and runs on a back-end, as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from linerefine import builtin
from linerefine.cli import main
from linerefine.config import ExperimentConfig
from linerefine.errors import RunError, UnknownNameError
from linerefine.experiment import run_experiment
from linerefine.export import export_run
from linerefine.machine import install_command
from linerefine.models import onnx as onnx_module
from linerefine.models.segmenter import load_segmenter
from linerefine.registry import Registry
from linerefine.testing import DrawnLoader

TINY = {"encoder": "tu-resnet10t", "encoder_depth": 3, "decoder_channels": (16, 8, 8)}
OURS = ("--block", "etruscan_mirrors", "--block", "retina_demo")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and a finished run on them."""
    place = tmp_path_factory.mktemp("export here")
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
            "refiners": [{"name": "manual"}, {"name": "unet", "options": {"network": TINY}}],
            "tiling": {"patch": 64, "overlap": 16, "train_rows": 64, "train_cols": 64},
            "training": {"batch_size": 2, "max_epochs": 1, "steps_per_epoch": 2},
            "session": {"crop": 64, "margin": 8},
            "evaluation": {"budget": 1, "repeats": 1, "patch_passes": 1},
            "inference": {"backend": "channels_last"},
            "threads": 1,
        }
    )
    registry = Registry([builtin])
    run_experiment(registry.experiment("folder"), config, registry, place / "run")
    return place


def image(place: Path) -> str:
    return str(sorted((place / "data" / "images").iterdir())[0])


def test_an_image_larger_than_two_patches_is_compared_in_its_middle(place, tmp_path, capfd):
    pytest.importorskip("onnxruntime", reason="onnxruntime is an extra")
    large = np.tile(cv2.imread(image(place), cv2.IMREAD_GRAYSCALE), (3, 4))
    cv2.imwrite(str(tmp_path / "large.png"), large)
    arguments = ["--network", "unet", "--output", str(tmp_path / "unet.onnx")]
    code = main(
        ["export", str(place / "run"), "--image", str(tmp_path / "large.png"), *arguments, *OURS]
    )
    _, err = capfd.readouterr()
    assert code == 0, err
    assert "large.png: logits differ from torch by at most" in err


def test_the_run_remembers_what_its_networks_ran_on(place):
    content = json.loads((place / "run" / "backends.json").read_text(encoding="utf-8"))
    assert set(content) == {"segmenter", "unet"}
    assert content["unet"]["network"]["backend"] == "channels_last"
    log = (place / "run" / "log.txt").read_text(encoding="utf-8")
    assert "segmenter runs on channels_last (asked for)" in log
    assert "manual runs eagerly: it holds no network that back-end 'channels_last'" in log


def test_every_trained_network_is_written_and_answers_as_torch_does(place, tmp_path, capfd):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is an extra")
    code = main(["export", str(place / "run"), "--image", image(place), *OURS])
    out, err = capfd.readouterr()
    assert code == 0, err
    paths = [Path(line) for line in out.splitlines()]
    assert paths == [place / "run" / "onnx" / f"{name}.onnx" for name in ("segmenter", "unet")]
    assert err.count("masks agree in 100.00% of pixels") == 4
    assert "segmenter on random numbers: logits differ from torch by at most" in err
    assert f"unet on {image(place)}: logits differ from torch by at most" in err
    segmenter = load_segmenter(place / "run" / "checkpoints" / "segmenter.safetensors")
    session = onnxruntime.InferenceSession(paths[0], providers=["CPUExecutionProvider"])
    channels = segmenter.network.channels
    for shape in ((1, channels, 64, 64), (3, channels, 32, 96)):
        given = torch.randn(shape)
        with torch.inference_mode():
            exact = segmenter(given).numpy()
        (answer,) = session.run(["logits"], {"image": given.numpy()})
        np.testing.assert_allclose(answer, exact, atol=1e-4)


def test_one_network_goes_where_the_user_wants_it(place, tmp_path, capfd):
    target = tmp_path / "here it is" / "net.onnx"
    words = ["--network", "unet", "--output", str(target)]
    assert main(["export", str(place / "run"), *words, *OURS]) == 0
    assert capfd.readouterr().out == f"{target}\n"
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "unnet"], r"holds no trained network named 'unnet'. Available: segmenter, "),
        (["--network", "manual"], r"no trained network named 'manual'. Available: segmenter, unet"),
        (["--output", "one.onnx"], r"one.onnx can hold one network, and segmenter, unet would be"),
        (["--format", "tflite"], r"format is 'tflite', expected onnx (set by --format)."),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(place, words, message, capfd):
    assert main(["export", str(place / "run"), *words, *OURS]) == 2
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_folder_without_trained_networks_is_refused(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(RunError, match="holds no trained network yet. Finish that run"):
        export_run(Registry([builtin]), tmp_path / "run")


def test_a_network_that_answers_otherwise_is_not_written(place, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is an extra")
    other = load_segmenter(place / "run" / "checkpoints" / "segmenter.safetensors")
    with torch.no_grad():
        next(iter(other.parameters())).mul_(3.0)
    honest = onnx_module.to_onnx
    monkeypatch.setattr("linerefine.export.to_onnx", lambda _, example: honest(other, example))
    with pytest.raises(RunError, match="as ONNX answers otherwise than torch on random numbers"):
        export_run(
            Registry([builtin]), place / "run", networks=["segmenter"], output=tmp_path / "x"
        )
    assert not (tmp_path / "x").exists()


def test_without_onnxruntime_the_file_is_written_and_the_user_told(
    place, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr("linerefine.export.importlib.util.find_spec", lambda name: None)
    words = ["--network", "segmenter", "--output", str(tmp_path / "x.onnx")]
    assert main(["export", str(place / "run"), *words, *OURS]) == 0
    err = capfd.readouterr().err
    assert "not compared with torch, for onnxruntime is not installed; run " in err
    assert install_command("'linerefine[onnx]'") in err
    assert (tmp_path / "x.onnx").exists()


def test_predict_takes_a_backend_and_says_so(place, tmp_path, capfd):
    arguments = ["predict", "folder", image(place), "--run", str(place / "run"), *OURS]
    assert main([*arguments, "--output", str(tmp_path / "a"), "--backend", "packed"]) == 0
    assert "segmenter runs on packed (asked for)" in capfd.readouterr().err
    assert main([*arguments, "--output", str(tmp_path / "b"), "--backend", "eager"]) == 0
    one, two = (next((tmp_path / x / "masks").iterdir()).read_bytes() for x in "ab")
    assert one == two
    assert main([*arguments, "--output", str(tmp_path / "c"), "--backend", "pakced"]) == 2
    assert "no back-end named 'pakced'. Did you mean 'packed'?" in capfd.readouterr().err


def test_run_refuses_an_unknown_backend_before_anything_is_done(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "folder", "--data-root", ".", "--backend", "openvin", *OURS]) == 2
    err = capfd.readouterr().err
    assert "inference.backend is 'openvin'" in err
    assert "(set by --backend)" in err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_an_unknown_network_raises_in_python_too(place):
    with pytest.raises(UnknownNameError, match="holds no trained network named 'other'"):
        export_run(Registry([builtin]), place / "run", networks=["other"])
