"""Two drawn runs in one store: variants on shared strokes, and a person with a network beside one
without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import linerefine as lr
from linerefine import builtin
from linerefine.config import ExperimentConfig
from linerefine.experiment import run_experiment
from linerefine.hooks import Experiment
from linerefine.registry import Registry
from linerefine.testing import DrawnLoader
from linerefine.tracking.mlflow import MlflowObserver
from linerefine.tracking.store import sqlite_uri

TINY = {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": (16, 8, 8)}
VARIANTS = [
    {"name": "unet", "label": "both", "options": {"network": TINY}},
    {"name": "unet", "label": "adding", "weights": "both", "operations": ["add"],
     "options": {"network": TINY}},
    {"name": "manual"},
]  # fmt: skip
PAIR = [{"name": "unet", "options": {"network": TINY}}, {"name": "manual"}]


def config(refiners: list[dict[str, Any]], **more: Any) -> ExperimentConfig:
    settings: dict[str, Any] = {
        "profile": "quick",
        "loader": {"name": "drawn"},
        "segmenter": {"network": TINY},
        "refiners": refiners,
        "tiling": {"patch": 64, "overlap": 16, "train_rows": 64, "train_cols": 64},
        "training": {
            "batch_size": 2,
            "max_epochs": 1,
            "steps_per_epoch": 2,
            "validation_passes": 1,
        },
        "session": {"crop": 64, "margin": 8},
        "metrics": [{"name": "pfm"}, {"name": "iou"}],
        "evaluation": {"budget": 5, "repeats": 2, "patch_passes": 0},
        "threads": 1,
    }
    for key, value in more.items():
        settings[key] = {**settings[key], **value} if isinstance(value, dict) else value
    return ExperimentConfig.model_validate(settings)


class DrawnPlugin:
    """Brings drawn samples."""

    @lr.hookimpl
    def linerefine_loaders(self) -> Iterator[lr.Entry[Any]]:
        yield lr.Entry("drawn", "drawn samples", lambda options: DrawnLoader())


def play(folder: Path, settings: ExperimentConfig, uri: str = "", **labels: str) -> Path:
    """Run what is configured into a folder."""
    experiment = Experiment("drawn", "drawn samples", settings)
    registry = Registry([builtin, DrawnPlugin()])
    observers = [MlflowObserver(uri, log_model=False)] if uri else []
    run_experiment(experiment, settings, registry, folder, observers=observers, labels=labels)
    return folder


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    runs = tmp_path_factory.mktemp("compared") / "runs"
    uri = sqlite_uri(runs / "mlflow.db")
    shared = play(runs / "shared", config(VARIANTS), uri, kind="strokes")
    apart = config(PAIR, evaluation={"loop": "independent", "budget": 4}, protocol="independent")
    return SimpleNamespace(
        runs=runs, uri=uri, shared=shared, apart=play(runs / "apart", apart, uri, kind="people")
    )
