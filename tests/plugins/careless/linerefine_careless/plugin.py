"""Loads, but keeps hardly a promise: each component is wrong in another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl  # noqa: F401 - slow, and nothing here needs it at once
import numpy as np
from pydantic import ConfigDict, Field

import linerefine as lr


class ScanOptions(lr.Options):
    """Options of the loader ``scans``."""

    root: Path = Field(description="Folder of the scans.")


class Scans(lr.ModalityLoader):
    """Has the same scan in every split."""

    channels = ("grey",)

    def __init__(self, options: ScanOptions) -> None:
        self.root = options.root

    def names(self, split: lr.Split) -> list[str]:
        return sorted(path.stem for path in self.root.glob("*.png"))

    def load(self, name: str) -> lr.Sample:
        return lr.Sample(name, np.zeros((1, 64, 64), np.float32), np.ones((64, 64), bool))


class Doodler(lr.UserSimulator):
    """Divides by zero, and keeps a function that cannot be pickled."""

    def __init__(self, options: lr.Options) -> None:
        self.choose = lambda: 0

    def next_stroke(self, prediction, target, hints, *, operations, rng):
        return 1 / self.choose()


class Bottomless(lr.Metric):
    """Counts outside the ROI too."""

    def __init__(self, options: lr.Options) -> None:
        pass

    def measure(self, prediction, target):
        return np.array([np.count_nonzero(prediction == target.mask)], dtype=np.float64)

    def reduce(self, statistics):
        return float(statistics[0])


class LooseOptions(lr.Options):
    """Takes whatever is typed."""

    model_config = ConfigDict(extra="allow")
    strength: Any = 1


@lr.hookimpl
def linerefine_loaders():
    yield lr.Entry("scans", "scans\nin a folder", Scans, ScanOptions)


@lr.hookimpl
def linerefine_simulators():
    yield lr.Entry("doodler", "draws at random", Doodler)


@lr.hookimpl
def linerefine_metrics():
    yield lr.Entry("bottomless", "agreement everywhere", Bottomless, LooseOptions)


@lr.hookimpl
def linerefine_refiners():
    def make(options, channels):
        from linerefine.refiners.manual import Manual

        return Manual(options, channels) if channels == 1 else "none for colour"

    yield lr.Entry("monochrome", "for grey images", make)


@lr.hookimpl
def linerefine_experiments():
    defaults = lr.ExperimentConfig(loader=lr.Component(name="scans"))
    profiles = {"quick": {"training": {"max_epochs": 0}, "sead": 1}, "paper": {}}
    yield lr.Experiment("scans", "lines of scans", defaults, profiles, {"strict": {"seed": -1}})


@lr.hookimpl
def linerefine_studies():
    views = ("patches",)
    yield lr.Study("sweep", "all profiles", "nowhere", "scans", views, protocols=("paper", "none"))
    yield lr.Study("adrift", "on nothing", "nowhere", "scnas", views)
