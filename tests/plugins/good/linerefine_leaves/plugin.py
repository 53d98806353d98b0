"""A third-party plugin that does everything right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

import linerefine as lr


class LeafOptions(lr.Options):
    """Options of the loader ``leaves``."""

    root: Path = Field(description="Folder of the scans.")
    dpi: int = Field(600, gt=0)
    tags: frozenset[str] = frozenset({"vein", "edge"})
    least: float | None = 0.25
    most: float | None = 0.75

    @model_validator(mode="after")
    def _check(self) -> LeafOptions:
        if self.least is not None and self.most is not None and self.least > self.most:
            msg = "least is above most."
            raise ValueError(msg)
        return self


class Leaves(lr.ModalityLoader):
    """Two drawn leaves per split."""

    channels = ("grey",)

    def __init__(self, options: LeafOptions) -> None:
        self.options = options

    def names(self, split: lr.Split) -> Sequence[str]:
        return [f"{split}_1", f"{split}_2"]

    def load(self, name: str) -> lr.Sample:
        lines = np.eye(64, dtype=bool)
        image = lines[np.newaxis].astype(np.float32)
        return lr.Sample(name, image, np.ones_like(lines), lines)


class Area(lr.Metric):
    """Predicted share of the ROI."""

    def measure(self, prediction: lr.Mask, target: lr.Target) -> NDArray[np.float64]:
        return np.array([(prediction & target.roi).sum(), target.roi.sum()], dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        return float(statistics[0] / statistics[1])


class PenOptions(lr.Options):
    """Options of the simulator ``pen``."""

    nib: float = 2.0


class Pen(lr.UserSimulator):
    """Draws nothing."""

    def __init__(self, options: PenOptions) -> None:
        self.options = options

    def next_stroke(self, prediction, target, hints, *, operations, rng):
        return None


@lr.hookimpl
def linerefine_loaders() -> Iterator[lr.Entry[lr.ModalityLoader]]:
    yield lr.Entry("leaves", "Scanned leaf veins, 600 dpi", Leaves, LeafOptions)


@lr.hookimpl
def linerefine_simulators() -> list[lr.Entry[lr.UserSimulator]]:
    return [lr.Entry("pen", "a lazy person", Pen, PenOptions)]


@lr.hookimpl
def linerefine_refiners() -> list[lr.Entry[lr.Refiner]]:
    def pasted(options: lr.Options, channels: int) -> lr.Refiner:
        from linerefine.refiners.manual import Manual

        return Manual(options, channels)

    return [lr.Entry("pasted", "manual under another name", pasted)]


@lr.hookimpl
def linerefine_metrics() -> Iterator[lr.Entry[lr.Metric]]:
    yield lr.Entry("area", "predicted share of the ROI", lambda _: Area())


@lr.hookimpl
def linerefine_experiments() -> Iterator[lr.Experiment]:
    defaults = lr.ExperimentConfig(
        loader=lr.Component(name="leaves"), simulator=lr.Component(name="pen", options={"nib": 3})
    )
    profiles = {
        "quick": {
            "training": {"max_epochs": 2, "steps_per_epoch": 5},
            "loader": {"options": {"dpi": 300}},
        },
        "wrong": {"training": {"max_epochs": 0}},
    }
    protocols = {"paper": {"simulator": {"options": {"nib": 1.5}}}, "botanist": {"seed": 7}}
    yield lr.Experiment("leaves", "veins of leaves", defaults, profiles, protocols)
