"""A study on drawn samples, small enough for a test."""

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
from linerefine.hooks import Experiment, Study, Variant
from linerefine.registry import Registry
from linerefine.report import RunResult
from linerefine.studies.perform import Outcome, perform, settings
from linerefine.testing import DrawnLoader

TINY = {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": (16, 8, 8)}

CONFIG = ExperimentConfig.model_validate(
    {
        "loader": {"name": "drawn"},
        "segmenter": {"network": TINY},
        "refiners": [{"name": "unet", "options": {"network": TINY}}],
        "tiling": {"patch": 64, "overlap": 16, "train_rows": 64, "train_cols": 64},
        "training": {
            "batch_size": 2,
            "max_epochs": 1,
            "steps_per_epoch": 2,
            "validation_passes": 1,
        },
        "session": {"crop": 64, "margin": 8},
        "evaluation": {"budget": 6, "repeats": 2, "patch_passes": 2},
        "threads": 1,
    }
)

STUDY = Study(
    name="tiny",
    summary="one refiner, both operations or one",
    source="no paper",
    experiment="drawn",
    views=("patches", "sessions", "gain", "workload", "widths", "strip", "training", "extremes"),
    variants=(Variant("both"), Variant("adding", {"operations": ["add"], "weights": "both"})),
    settings={"evaluation": {"repeats": 2}},
    profiles={"slow": {"evaluation": {"repeats": 9}}},
    published={
        "patches": ({"refiner": "paper", "gain": "about +6 %"},),
        "sessions": ({"refiner": "paper", "image": "all", "max gain": "+12 to +26 %"},),
        "widths": ({"drawings": "paper", "kept_mean": 6.2},),
    },
    caveats="Drawn in a test.",
)


class DrawnPlugin:
    """Brings drawn samples, an experiment on them, and a study."""

    @lr.hookimpl
    def linerefine_loaders(self) -> Iterator[lr.Entry[Any]]:
        yield lr.Entry("drawn", "drawn samples", lambda options: DrawnLoader())

    @lr.hookimpl
    def linerefine_experiments(self) -> Iterator[Experiment]:
        profiles = {"quick": {}, "slow": {}}
        yield Experiment("drawn", "drawn samples", CONFIG, profiles)

    @lr.hookimpl
    def linerefine_studies(self) -> Iterator[Study]:
        yield STUDY


def performed(folder: Path, study: Study = STUDY, **more: Any) -> SimpleNamespace:
    """Perform a study; return its outcome, and the calls that were made."""
    registry = Registry([builtin, DrawnPlugin()])
    experiment = registry.experiment(study.experiment)
    configs = settings(registry, study, study.experiment, {"device": "cpu", "profile": "quick"})
    calls = []

    def run(config: ExperimentConfig, part: Path, labels: dict[str, str]) -> RunResult:
        calls.append(SimpleNamespace(config=config, folder=part, labels=labels))
        return run_experiment(experiment, config, registry, part, labels=labels)

    with pytest.MonkeyPatch.context() as patch:
        # Pictures of single runs are tested where they are made, and take half of the time.
        patch.setattr("linerefine.experiment.pictures.draw_pictures", lambda *_: {})
        patch.setattr("linerefine.experiment.page.write_run_page", lambda *_, **__: None)
        outcome = perform(study, experiment, configs, folder, registry, run, **more)
    return SimpleNamespace(outcome=outcome, calls=calls, configs=configs)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    return performed(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def outcome(tiny: SimpleNamespace) -> Outcome:
    return tiny.outcome
