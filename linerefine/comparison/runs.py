"""A finished run as its folder holds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from linerefine.config import ExperimentConfig
from linerefine.configure import load_config
from linerefine.errors import RunError
from linerefine.evaluation.sessions import by_hand
from linerefine.report import GIVEN

__all__ = ["FinishedRun", "Recorded", "load_run", "with_short_names"]

TABLE = "rounds.parquet"


@dataclass(frozen=True)
class Recorded:
    """Where MLflow has a run: address of the store, ids of its experiment and of the run."""

    uri: str
    experiment: str
    run: str


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A finished run to be compared.

    Parameters
    ----------
    folder : Path
        The run folder.
    name : str
        What it is called in tables.
    config : ExperimentConfig
        As resolved.
    tags : mapping of str to str
        Experiment, profile, protocol, what the data are.
    rounds : DataFrame
        The table of rounds, the truth that every number is computed from.
    recorded : Recorded or None
        None if MLflow does not know it.
    """

    folder: Path
    name: str
    config: ExperimentConfig
    tags: dict[str, str]
    rounds: pd.DataFrame
    recorded: Recorded | None = None

    @property
    def steering(self) -> str:
        """Name of the metric that steered the run."""
        return self.config.metrics[0].name

    @property
    def manual(self) -> str:
        """Key of the refiner that stands for a person without help."""
        return by_hand(self.config.refiners)

    @property
    def data(self) -> str:
        """What kind of data its numbers are about: ``phantom``, ``sample``, ``real``, ``given``."""
        return self.tags.get("data", GIVEN)

    @cached_property
    def refiners(self) -> tuple[str, ...]:
        """Keys of its refiners that have sessions, in the order of the settings."""
        played = set(self.rounds["refiner"])
        return tuple(part.key for part in self.config.refiners if part.key in played)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """Names of the images it has sessions on, sorted."""
        return tuple(sorted(self.rounds["image"].unique()))

    @cached_property
    def scored(self) -> tuple[str, ...]:
        """Metrics that its rounds hold."""
        names = [part.name for part in self.config.metrics]
        return tuple(name for name in names if f"refined_{name}" in self.rounds)


def load_run(folder: Path) -> FinishedRun:
    """Return a finished run.

    Raises
    ------
    RunError
        If the folder holds none, it is not finished, or it has no sessions.
    ConfigError
        If its settings cannot be read.
    """
    if not (folder / "config.toml").is_file():
        msg = f"{folder} is no run folder: it has no config.toml."
        raise RunError(msg)
    if not (folder / "summary.json").is_file():
        msg = f"the run in {folder} is not finished. Go on with it with --resume, or leave it out."
        raise RunError(msg)
    if not (folder / TABLE).is_file():
        msg = f"the run in {folder} has no sessions ({TABLE} is absent). Leave it out."
        raise RunError(msg)
    try:
        rounds = pd.read_parquet(folder / TABLE)
    except (OSError, ValueError) as error:
        msg = f"{folder / TABLE} cannot be read: {error}. Repeat the run, or leave it out."
        raise RunError(msg) from error
    return FinishedRun(
        folder=folder,
        name=folder.absolute().name,
        config=load_config(folder / "config.toml"),
        tags={key: str(value) for key, value in _read(folder / "tags.json").items()},
        rounds=rounds,
        recorded=_recorded(folder),
    )


def with_short_names(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Return runs that are called by as little of their path as tells them apart."""
    paths = [run.folder.absolute().parts for run in runs]
    for length in range(1, max(map(len, paths), default=1) + 1):
        names = ["/".join(parts[-length:]) for parts in paths]
        if len(set(names)) == len(names):
            return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
    return list(runs)


def _recorded(folder: Path) -> Recorded | None:
    memory = _read(folder / "mlflow.json")
    try:
        return Recorded(str(memory["uri"]), str(memory["experiment"]), str(memory["run"]))
    except KeyError:
        return None


def _read(path: Path) -> dict[str, Any]:
    """Return a small file's content; empty if it is not there."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON: {error}. Repeat the run, or leave it out."
        raise RunError(msg) from error
    return content if isinstance(content, dict) else {}
