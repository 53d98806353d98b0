"""A whole run on drawn samples, small enough for a test."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import linerefine as lr
from linerefine import builtin
from linerefine.config import Component, ExperimentConfig
from linerefine.experiment import run_experiment
from linerefine.experiment.workers import Workers
from linerefine.hooks import Experiment
from linerefine.registry import Registry
from linerefine.report import Report, RunResult, Table
from linerefine.testing import DrawnLoader

from .comparing import forget

# Other processes do not find the modules of tests: what is sent brings its code along.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TINY = {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": (16, 8, 8)}

CONFIG = ExperimentConfig.model_validate(
    {
        "loader": {"name": "drawn"},
        "segmenter": {"network": TINY},
        "refiners": [{"name": "unet", "options": {"network": TINY}}, {"name": "manual"}],
        "tiling": {"patch": 64, "overlap": 16, "train_rows": 64, "train_cols": 64},
        "training": {
            "batch_size": 2,
            "max_epochs": 2,
            "steps_per_epoch": 2,
            "validation_passes": 1,
        },
        "session": {"crop": 64, "margin": 8},
        "evaluation": {"budget": 4, "repeats": 2, "patch_passes": 1},
        "threads": 1,
    }
)


class DrawnPlugin:
    """Brings the drawn samples and an experiment with a score sheet of its own."""

    @lr.hookimpl
    def linerefine_loaders(self) -> Iterator[lr.Entry[Any]]:
        yield lr.Entry("drawn", "drawn samples", lambda options: DrawnLoader())


def sheet(result: RunResult) -> Report:
    row = {"rows": len(result.rounds)}
    return Report((Table("the experiment's own", ("rows",), (row,)),))


EXPERIMENT = Experiment("drawn", "drawn samples", CONFIG, score_sheet=sheet)


def registry() -> Registry:
    return Registry([builtin, DrawnPlugin()])


def run(
    output: Path,
    *observers: Any,
    resume: bool = False,
    workers: Workers | None = None,
    **changes: Any,
) -> RunResult:
    config = CONFIG.model_copy(update=changes)
    return run_experiment(
        EXPERIMENT,
        config,
        registry(),
        output,
        observers=observers,
        resume=resume,
        workers=workers,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Return the run of one process."""
    return run(tmp_path_factory.mktemp("alone") / "out")


@pytest.fixture
def trained(alone: RunResult, tmp_path: Path) -> Path:
    """Return a run folder where networks are trained and nothing is measured yet."""
    folder = tmp_path / "out"
    shutil.copytree(alone.output, folder)
    forget(folder)
    return folder


__all__ = ["CONFIG", "EXPERIMENT", "Component", "registry", "run"]
