"""Networks that come with a plugin: trained once, laid out as a small run folder.

Settings name them by a word, ``shipped:etruscan_mirrors``, not by a path: where
a plugin lies differs from machine to machine, and is looked up only when a
network is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from linerefine.config import ExperimentConfig
from linerefine.configure import load_config
from linerefine.errors import RunError
from linerefine.experiment.folder import RunFolder
from linerefine.hooks import Experiment
from linerefine.registry import Registry

__all__ = [
    "PREFIX",
    "TRAINED_ON",
    "ship_of",
    "shipped_folder",
    "shipped_folder_of",
    "shipped_loader_state",
    "shipped_tags",
    "shipped_weights",
    "trained_on",
]

PREFIX = "shipped:"
"""What begins the name of weights that come with an experiment."""

TRAINED_ON = "trained_on.json"
"""In the folder that ships: ``what`` in words, and names of the ``train`` and ``val`` images."""


def ship_of(named: str | None) -> str | None:
    """Return the experiment whose networks are meant; None if a file, a label or nothing is.

    Examples
    --------
    >>> ship_of("shipped:etruscan_mirrors")
    'etruscan_mirrors'
    """
    return named.removeprefix(PREFIX) if named and named.startswith(PREFIX) else None


def shipped_folder_of(experiment: Experiment) -> RunFolder:
    """Return the folder of the networks that ship with an experiment.

    Raises
    ------
    RunError
        If it has none, or its files are not there.
    """
    if experiment.trained is None:
        msg = (
            f"no trained networks ship with the experiment '{experiment.name}'. Train some with "
            f"linerefine run {experiment.name}, and name that run's folder or files."
        )
        raise RunError(msg)
    folder = RunFolder(experiment.trained())
    if not folder.config.is_file():
        msg = (
            f"the networks that ship with '{experiment.name}' are not in {folder.path}. "
            f"Install its plugin again."
        )
        raise RunError(msg)
    return folder


def shipped_folder(registry: Registry, name: str) -> RunFolder:
    """Return the folder of the networks that ship with an experiment, by its name.

    Raises
    ------
    UnknownNameError
        If there is no such experiment.
    RunError
        If it has none, or its files are not there.
    """
    return shipped_folder_of(registry.experiment(name))


def shipped_weights(registry: Registry, named: str, network: str) -> Path:
    """Return the file of a network that ships.

    Parameters
    ----------
    registry : Registry
    named : str
        As settings name it, such as ``shipped:etruscan_mirrors``.
    network : str
        ``segmenter`` or the registered name of a refiner.

    Raises
    ------
    UnknownNameError
        If there is no such experiment.
    RunError
        If no such network ships with it.
    """
    checkpoints = shipped_folder(registry, named.removeprefix(PREFIX)).checkpoints
    path = checkpoints / f"{network}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in checkpoints.glob("*.safetensors")))
        msg = f"'{named}' holds no network for '{network}'. It holds: {there or 'none'}."
        raise RunError(msg)
    return path


def shipped_loader_state(registry: Registry, config: ExperimentConfig) -> Mapping[str, Any] | None:
    """Return the normalisation that a run's shipped first-prediction network was trained with.

    Returns
    -------
    state : mapping or None
        For `ModalityLoader.restore`, which refuses other channels. None if the
        network does not ship, or was trained on what another loader reads.
    """
    ship = ship_of(config.segmenter.checkpoint)
    if ship is None:
        return None
    folder = shipped_folder(registry, ship)
    if load_config(folder.config).loader.name != config.loader.name:
        return None
    return folder.read_json("loader.json")


def shipped_tags(
    registry: Registry, config: ExperimentConfig, tested: Collection[str]
) -> dict[str, str]:
    """Return what a run must say about networks in it that ship.

    Parameters
    ----------
    registry : Registry
    config : ExperimentConfig
        The run's.
    tested : collection of str
        Names of its test images.

    Returns
    -------
    tags : dict
        ``networks`` says what they were trained on. ``seen_in_training`` is
        there only if test images bear names of images they were trained on.
    """
    named = [config.segmenter.checkpoint, *(refiner.weights for refiner in config.refiners)]
    ships = sorted({ship for name in named if (ship := ship_of(name)) is not None})
    if not ships:
        return {}
    folders = {ship: shipped_folder(registry, ship) for ship in ships}
    words = [f"shipped with {ship}, trained on {trained_on(f)}" for ship, f in folders.items()]
    tags = {"networks": "; ".join(words)}
    facts = [folder.read_json(TRAINED_ON) or {} for folder in folders.values()]
    used = {name for known in facts for split in ("train", "val") for name in known.get(split, ())}
    seen = sorted(used & set(tested))
    return tags | ({"seen_in_training": ", ".join(seen)} if seen else {})


def trained_on(folder: RunFolder) -> str:
    """Return in words what the networks of a folder that ships were trained on."""
    return str((folder.read_json(TRAINED_ON) or {}).get("what", "images that nobody wrote down"))
