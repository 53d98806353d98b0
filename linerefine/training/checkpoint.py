"""What is kept between two steps, so that nothing is lost when a run is killed."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linerefine.cache import atomic_write
from linerefine.errors import RunError
from linerefine.models.segmenter import (
    Network,
    Segmenter,
    load_weights,
    save_segmenter,
    save_weights,
)

__all__ = [
    "FitResult",
    "State",
    "load_checkpoint",
    "load_finished",
    "save_checkpoint",
    "save_finished",
    "weights_of",
]

FORMAT = "linerefine checkpoint 1"

_BEFORE = {
    "rounds": 1,
    "keep": 0.0,
    "near": 0.0,
    "learn": "last",
    "operation": "chance",
    "choose": "best",
}
"""What trainings did before there was a setting for it."""


@dataclass(frozen=True)
class FitResult:
    """A finished training.

    Parameters
    ----------
    history : list of dict
        One entry per epoch: ``epoch`` (from 1), ``train/loss``, ``val/...``,
        ``learning_rate``, ``seconds``.
    best_epoch : int
        Whose weights are kept, from 1; 0 if nothing was trained.
    best_score : float
        What training watched, at that epoch; nan if never defined.
    epochs, steps : int
        Done in all.
    seconds : float
        Wall time, over all sittings.
    """

    history: list[dict[str, float]]
    best_epoch: int
    best_score: float
    epochs: int
    steps: int
    seconds: float


@dataclass
class State:
    """Where a training stands: ``step`` steps of epoch ``epoch`` (from 0) are done."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = math.nan
    best: dict[str, Tensor] | None = None
    seconds: float = 0.0
    epoch_seconds: float = 0.0


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's parameters and buffers, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def save_checkpoint(
    path: Path, state: State, parts: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    state : State
        Where training stands.
    parts : mapping of str to state dict
        Model, optimiser and the like.
    settings : mapping
        What must be the same to go on; compared by `load_checkpoint`.

    Raises
    ------
    DataError
        If the file cannot be written; the one before is left as it was.
    """
    content = {
        "format": FORMAT,
        "settings": json.dumps(dict(settings), sort_keys=True),
        "state": {name: getattr(state, name) for name in State.__dataclass_fields__},
        "parts": {name: dict(part) for name, part in parts.items()},
    }
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(
    path: Path, settings: Mapping[str, Any]
) -> tuple[State, dict[str, dict[str, Any]]]:
    """Return what `save_checkpoint` wrote.

    Raises
    ------
    RunError
        If the file is damaged, is no checkpoint, or belongs to other settings.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError) as error:
        msg = f"checkpoint {path} is damaged ({_first_line(error)}). Delete it to train anew."
        raise RunError(msg) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        msg = f"{path} is no checkpoint of this version of linerefine. Delete it to train anew."
        raise RunError(msg)
    _compare(path, json.loads(content["settings"]), settings)
    return State(**content["state"]), content["parts"]


def save_finished(
    folder: Path, name: str, module: nn.Module, result: FitResult, settings: Mapping[str, Any]
) -> None:
    """Write weights and result of a finished training; the result last, as it marks the end.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    path = folder / f"{name}.safetensors"
    if isinstance(module, Segmenter) and isinstance(module.network, Network):
        save_segmenter(module, path)
    else:
        save_weights(module, path, {"kind": "weights", "name": name})
    record = {"settings": dict(settings), "result": _without_nan(asdict(result))}
    with atomic_write(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")


def load_finished(
    folder: Path, name: str, module: nn.Module, settings: Mapping[str, Any]
) -> FitResult | None:
    """Load the weights of a finished training into `module`; None if there is none.

    Raises
    ------
    RunError
        If the files are damaged, do not fit the module or belong to other settings.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        result = FitResult(**_with_nan(record["result"]))
        stored = dict(record["settings"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        msg = f"training result {path} is damaged ({_first_line(error)}). Delete it to train anew."
        raise RunError(msg) from error
    _compare(path, stored, settings)
    tensors, _ = load_weights(folder / f"{name}.safetensors")
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        msg = f"{folder / name}.safetensors holds another network. Delete it to train anew."
        raise RunError(msg) from error
    return result


def _compare(path: Path, stored: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to mix two trainings."""
    stored = {**_BEFORE, **stored}
    wanted = json.loads(json.dumps(dict(settings)))
    for key in sorted(set(stored) | set(wanted)):
        if stored.get(key) != wanted.get(key):
            msg = (
                f"{path} was written with {key} {stored.get(key)!r}, this run has "
                f"{wanted.get(key)!r}. Use the old setting or another folder."
            )
            raise RunError(msg)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"


def _without_nan(value: object) -> object:
    """Replace nan by None, which JSON knows."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _with_nan(value: object) -> Any:  # noqa: ANN401 - whatever JSON held
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return math.nan if value is None else value
