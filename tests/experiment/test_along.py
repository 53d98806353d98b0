"""A whole run from the command line, trained by two processes that torchrun starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from linerefine.config import Component
from linerefine.configure import dump_config
from linerefine.testing import DrawnLoader

from .conftest import CONFIG, TINY

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Return a file of settings for a tiny run on drawn images."""
    loader = DrawnLoader()
    for name in loader.names("train"):
        sample = loader.load(name)
        for part, content in (
            ("images", 100 * sample.image[0] + 50),
            ("masks", 255 * sample.lines),
        ):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            pixels = np.clip(content, 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "data" / part / f"{name}.png"), pixels)
    folder = Component(name="folder", options={"root": str(tmp_path / "data")})
    unet = Component(name="unet", options={"network": TINY})
    file = tmp_path / "settings.toml"
    config = CONFIG.model_copy(update={"loader": folder, "refiners": (unet,), "threads": None})
    file.write_text(dump_config(config))
    return file


def launch(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run linerefine under torchrun in a folder."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, "-m", *torchrun, "-m", "linerefine", "run", "folder", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_and_the_first_does_the_rest(tmp_path: Path, settings: Path) -> None:
    quiet = ["--config", str(settings), "--set", "tracking.enabled=false"]
    done = launch(tmp_path, *quiet, "--output", "out")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["training"]["unet"]["steps"] == summary["training"]["segmenter"]["steps"] == 4
    assert done.stdout.count("Wrote out") == 1
    assert done.stderr.count("unet is trained") == 1
    assert done.stderr.count("finished in") == 1
    assert "Traceback" not in done.stderr
    again = launch(tmp_path, *quiet, "--output", "uneven", "--set", "training.batch_size=3")
    assert again.returncode != 0
    assert "ConfigError: training.batch_size is 3, expected a multiple of 2" in again.stderr
