"""The part that the other processes of a training on several devices have in a run."""

from __future__ import annotations

from pathlib import Path

from linerefine.config import ExperimentConfig
from linerefine.errors import RunError
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.networks import TrainingSet, trained_refiner, trained_segmenter
from linerefine.registry import Registry
from linerefine.training.distributed import Group

__all__ = ["lead_training", "train_along"]


def lead_training(bench: Bench) -> None:
    """Tell the other processes of this training that all is prepared, and for what."""
    bench.group.agreed(lambda: (bench.config, bench.folder.path.absolute()))


def train_along(registry: Registry, group: Group) -> None:
    """Train what the first process trains, and leave the rest to it.

    Raises
    ------
    LineRefineError
        If data or device cannot be used here, or the first process has gone.
    """
    silent = Notifier([])
    config, folder = group.agreed(_not_first)
    bench = Bench.build(config, registry, RunFolder(folder), silent, group=group)
    bench.loader.prepare(silent.progress)
    bench.prepare_simulators()
    data = TrainingSet.load(bench)
    segmenter = trained_segmenter(bench, data)
    for component in config.refiners:
        trained_refiner(bench, component, segmenter, data)


def _not_first() -> tuple[ExperimentConfig, Path]:
    msg = "the first process of a training leads; it cannot follow."
    raise RunError(msg)
