"""The run folder: what is in it, and how it is written so that nothing is half there.

It suffices to redo the run and to redraw every figure: ``config.toml``
(resolved), ``environment.json`` (versions, device, git state), ``loader.json``
(what the loader learnt from the training split), ``backends.json`` (what the
networks ran on), ``checkpoints/``,
``predictions/``, ``rounds/`` and ``rounds.parquet``, ``patches.parquet``,
``figures/``, ``summary.json`` (present only when finished), ``log.txt``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linerefine.cache import atomic_write
from linerefine.config import ExperimentConfig
from linerefine.configure import completed, dump_config, load_config
from linerefine.errors import ConfigError, RunError
from linerefine.registry import Registry

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run, and safe reading and writing of its small files."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.toml"

    @property
    def summary(self) -> Path:
        """The run's numbers; exists only when the run is finished."""
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """Trained networks and training states."""
        return self.path / "checkpoints"

    @property
    def predictions(self) -> Path:
        """First predictions of the test images."""
        return self.path / "predictions"

    @property
    def rounds(self) -> Path:
        """One table per finished session."""
        return self.path / "rounds"

    @property
    def figures(self) -> Path:
        """Pictures."""
        return self.path / "figures"

    def check(self, config: ExperimentConfig, registry: Registry, *, resume: bool) -> None:
        """Refuse a folder that this run may not write to; write nothing.

        Parameters
        ----------
        config : ExperimentConfig
            Of the run that wants to.
        registry : Registry
            Knows options that are younger than the run in the folder, and their defaults.
        resume : bool
            Whether it may go on with what is there.

        Raises
        ------
        RunError
            If it holds something and ``resume`` is False.
        ConfigError
            If it was begun with other settings; names them.
        """
        if resume and self.config.exists():
            self._check_same(config, registry)
        elif self.path.is_dir() and any(self.path.iterdir()):
            msg = (
                f"{self.path} is not empty. Pass --resume to go on with the run in it, "
                f"or another --output."
            )
            raise RunError(msg)

    def create(self, config: ExperimentConfig) -> None:
        """Make the folder and write its configuration, unless an earlier command did.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        try:
            for folder in (self.checkpoints, self.predictions, self.rounds, self.figures):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = (
                f"cannot write the run folder {self.path}: {error.strerror}. "
                f"Choose another --output."
            )
            raise RunError(msg) from error
        if not self.config.exists():
            with atomic_write(self.config) as temporary:
                temporary.write_text(dump_config(config), encoding="utf-8")

    def _check_same(self, config: ExperimentConfig, registry: Registry) -> None:
        begun = load_config(self.config)
        theirs, ours = (completed(each, registry).model_dump() for each in (begun, config))
        # Where and how fast a run is computed may change half-way; what it computes may not.
        for settings in (theirs, ours):
            for ignored in ("tracking", "device", "threads", "image_memory"):
                settings.pop(ignored)
            settings["training"].pop("workers")
        changed = sorted(_differences(theirs, ours))
        if changed:
            msg = (
                f"{self.path} was begun with other settings: {', '.join(changed)}. "
                f"Resume it with the same ones, or choose another --output."
            )
            raise ConfigError(msg)

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a small file atomically; nan becomes null."""
        path = self.path / name
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(_plain(content), indent=2) + "\n", encoding="utf-8")
        return path

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a small file's content; None if it is not there.

        Raises
        ------
        RunError
            If it is no JSON object.
        """
        path = self.path / name
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{path} cannot be read as JSON: {error}. Delete it to have it made again."
            raise RunError(msg) from error
        if not isinstance(content, dict):
            msg = f"{path} holds {type(content).__name__}, expected an object."
            raise RunError(msg)
        return content


def _differences(one: object, other: object, path: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in {*one, *other}:
            dotted = f"{path}.{key}" if path else str(key)
            found += _differences(one.get(key), other.get(key), dotted)
        return found
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        if len(one) != len(other):
            return [path]
        pairs = zip(one, other, strict=True)
        return [d for i, (a, b) in enumerate(pairs) for d in _differences(a, b, f"{path}.{i}")]
    return [] if one == other else [path]


def _plain(value: object) -> object:
    """Return a value that JSON can hold: nan as None, NumPy numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
