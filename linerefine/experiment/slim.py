"""A finished run without all that is not needed to use its networks: what a plugin may ship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linerefine.cache import atomic_write
from linerefine.config import Component, ExperimentConfig, TrackingConfig
from linerefine.configure import dump_config
from linerefine.errors import RunError
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.loading import load_bench
from linerefine.experiment.shipped import TRAINED_ON
from linerefine.experiment.stored import THRESHOLD, refiner_path, segmenter_path, tuned_threshold
from linerefine.models.weights import halved, load_weights, write_weights
from linerefine.registry import Registry

__all__ = ["slim_copy"]

TAGS = ("experiment", "profile", "protocol", "data", "python", "torch", "linerefine")
"""Of a run's tags those that mean something elsewhere."""


def slim_copy(registry: Registry, run: Path, output: Path, *, what: str) -> RunFolder:
    """Write a run folder that holds a run's networks, half as large, and no path of this machine.

    Parameters
    ----------
    registry : Registry
        Knows the run's components.
    run : Path
        Folder of a finished run.
    output : Path
        Where to; files of an earlier copy are replaced.
    what : str
        What the networks were trained on, in words that follow "trained on".

    Returns
    -------
    folder : RunFolder
        ``config.toml``, ``loader.json``, ``tags.json``, `TRAINED_ON` and
        ``checkpoints/``: what `linerefine predict` and settings that name
        ``shipped:<experiment>`` read.

    Raises
    ------
    RunError
        If the folder holds no run, a network is missing, a refiner goes by a
        label, or a weight does not fit into half the space.
    """
    bench = load_bench(registry, run, None, "cpu", Notifier([]))
    bench.loader.prepare(bench.notify.progress)
    folder = RunFolder(output)
    for name, path in _networks(bench).items():
        tensors, description = load_weights(path)
        write_weights(halved(tensors), folder.checkpoints / f"{name}.safetensors", description)
    tuned = tuned_threshold(bench)
    if tuned is not None:
        folder.write_json(f"checkpoints/{THRESHOLD}", tuned)
    with atomic_write(folder.config) as temporary:
        temporary.write_text(dump_config(_portable(bench.config)), encoding="utf-8")
    tags = bench.folder.read_json("tags.json") or {}
    folder.write_json("tags.json", {key: tags[key] for key in TAGS if key in tags})
    folder.write_json("loader.json", bench.loader.state())
    seen = {"train": list(bench.loader.names("train")), "val": list(bench.loader.names("val"))}
    folder.write_json(TRAINED_ON, {"what": what, **seen})
    return folder


def _networks(bench: Bench) -> dict[str, Path]:
    """Return the files of a run's networks by the names they ship under."""
    found = {"segmenter": segmenter_path(bench)}
    for refiner in bench.config.refiners:
        if refiner.label is not None:
            msg = (
                f"refiner '{refiner.name}' of {bench.folder.path} goes by the label "
                f"'{refiner.label}'; networks ship under the names of refiners. Drop the label."
            )
            raise RunError(msg)
        if bench.registry.make_refiner(refiner, channels=len(bench.loader.channels)).is_trainable:
            found[refiner.name] = refiner_path(bench, refiner.key)
    return found


def _portable(config: ExperimentConfig) -> ExperimentConfig:
    """Return a configuration that means the same on any machine."""
    loader = Component(name=config.loader.name, options=_without_paths(config.loader.options))
    return config.model_copy(
        update={
            "loader": loader,
            "segmenter": config.segmenter.model_copy(update={"checkpoint": None}),
            "refiners": tuple(
                refiner.model_copy(update={"weights": None}) for refiner in config.refiners
            ),
            "tracking": TrackingConfig(),
            "device": "auto",
            "threads": None,
        }
    )


def _without_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which folders and files of this machine are none."""
    return {
        name: None if isinstance(value, str | Path) and Path(value).is_absolute() else value
        for name, value in options.items()
    }
