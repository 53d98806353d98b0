"""The back-ends of a run: chosen once per network, written down, taken up again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from linerefine.config import ExperimentConfig, InferenceConfig
from linerefine.errors import DeviceError
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.notifier import Notifier
from linerefine.models.backends import AUTO, Acceleration, Choice, accelerate, usable_backend
from linerefine.models.swapping import swappable

__all__ = ["FILE", "FastNetworks", "session_calls"]

FILE = "backends.json"
"""In the run folder: what runs each network, and what was measured."""


PREVIEWS = 2
"""Passes per interaction: one for each operation a simulated person weighs."""


def session_calls(config: ExperimentConfig, images: int) -> int:
    """Return how many passes the sessions of one refiner on so many images may need."""
    evaluation = config.evaluation
    return images * evaluation.repeats * evaluation.budget * PREVIEWS


class FastNetworks:
    """Runs networks on back-ends where nothing is trained.

    Parameters
    ----------
    config : InferenceConfig
        The back-end asked for and the settings of the trial.
    device : torch.device
        Where the networks are.
    notify : Notifier
        Told what was chosen and by how much.
    folder : RunFolder, optional
        Where choices are written and, if the run goes on, read; None for
        work that is no run.

    Raises
    ------
    UnknownNameError
        If there is no back-end of that name.
    DeviceError
        If it cannot run here.
    """

    def __init__(
        self,
        config: InferenceConfig,
        device: torch.device,
        notify: Notifier,
        folder: RunFolder | None = None,
    ) -> None:
        if config.backend != AUTO:
            usable_backend(config.backend, device)
        self._config = config
        self._device = device
        self._notify = notify
        self._folder = folder
        self._kept: dict[str, tuple[nn.Module, Acceleration]] = {}

    @contextmanager
    def running(self, name: str, module: nn.Module, calls: int | None = None) -> Iterator[None]:
        """Run the networks inside a module on back-ends for the length of a block.

        Parameters
        ----------
        name : str
            ``segmenter`` or a refiner's name.
        module : nn.Module
            On this object's device. What was built for it is kept for the next block.
        calls : int, optional
            Passes that this run expects of it; only the first block's counts.

        Raises
        ------
        DeviceError
            If the run was begun with a back-end that cannot run here.
        """
        kept = self._kept.get(name)
        if kept is None or kept[0] is not module:
            kept = self._kept[name] = (module, self._accelerated(name, module, calls))
        with kept[1]:
            yield

    def _accelerated(self, name: str, module: nn.Module, calls: int | None) -> Acceleration:
        recorded = self._recorded().get(name, {})
        for network, choice in recorded.items():
            self._check(f"{name}.{network}", choice["backend"])

        def told(network: str, choice: Choice) -> None:
            if self._record(name, network, choice):
                part = f", its {network}," if len(fast.networks) > 1 else ""
                self._notify.note(f"{name}{part} runs on {choice}")

        settled = {network: choice["backend"] for network, choice in recorded.items()}
        if recorded:  # what is not named ran eagerly then: networks that back-ends did not run yet
            settled = dict.fromkeys(swappable(module), "eager") | settled
        fast = accelerate(module, self._config, calls=calls, settled=settled, on_choice=told)
        if not fast.networks and self._config.backend not in (AUTO, "eager"):
            self._notify.note(
                f"{name} runs eagerly: it holds no network that back-end "
                f"'{self._config.backend}' could run"
            )
        return fast

    def _recorded(self) -> Mapping[str, Any]:
        content = None if self._folder is None else self._folder.read_json(FILE)
        return content or {}

    def _record(self, name: str, network: str, choice: Choice) -> bool:
        """Write a choice into the run folder; say whether it is news."""
        if self._folder is None:
            return True
        content = dict(self._recorded())
        if network in content.get(name, {}):
            return False
        content[name] = {**content.get(name, {}), network: choice.to_dict()}
        self._folder.write_json(FILE, content)
        return True

    def _check(self, network: str, backend: str) -> None:
        """Refuse to go on with another back-end than the run was begun with."""
        try:
            usable_backend(backend, self._device)
        except DeviceError as error:
            assert self._folder is not None  # nothing is recorded without one
            msg = (
                f"{error} {network} was run on it before in this run. To have all of it "
                f"computed anew on another one, begin a run without --resume; to mix "
                f"back-ends in this one, delete {self._folder.path / FILE}."
            )
            raise DeviceError(msg) from error
