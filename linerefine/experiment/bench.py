"""Everything a run works with, built once from the configuration and the registry."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from linerefine.config import ExperimentConfig
from linerefine.events import Event, Note, Observer, Working
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.loaded import Loaded
from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
from linerefine.models.device import resolve_device, set_threads
from linerefine.registry import Registry

__all__ = ["Bench", "Notifier"]

logger = logging.getLogger(__name__)


class Notifier:
    """Hands every event to every observer, and notes to the log file."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def __call__(self, event: Event) -> None:
        """Announce one event."""
        for observer in self._observers:
            observer(event)

    def note(self, message: str, level: str = "info") -> None:
        """Announce one line for people."""
        logger.log(logging.WARNING if level == "warning" else logging.INFO, "%s", message)
        self(Note(message, level))

    def progress(self, what: str, done: int, total: int) -> None:
        """Announce that slow work advances; a `linerefine.types.Progress`."""
        self(Working(what, done, total))


@dataclass(frozen=True)
class Bench:
    """Configuration, components, device and the run folder."""

    config: ExperimentConfig
    registry: Registry
    folder: RunFolder
    device: torch.device
    loader: ModalityLoader
    simulator: UserSimulator
    metrics: Mapping[str, Metric]
    notify: Notifier
    loaded: Loaded
    """The loader's samples: whoever needs one asks here, so that none is decoded twice."""

    @classmethod
    def build(
        cls,
        config: ExperimentConfig,
        registry: Registry,
        folder: RunFolder,
        notify: Notifier,
    ) -> Bench:
        """Make the components a configuration names.

        Raises
        ------
        LineRefineError
            If a name, an option, the device or the data cannot be used.
        """
        set_threads(config.threads)
        loader = registry.make_loader(config.loader)
        return cls(
            config=config,
            registry=registry,
            folder=folder,
            device=resolve_device(config.device),
            loader=loader,
            simulator=registry.make_simulator(config.simulator),
            metrics={part.name: registry.make_metric(part) for part in config.metrics},
            notify=notify,
            loaded=Loaded.within_share(loader.load, config.image_memory),
        )

    @property
    def steering(self) -> str:
        """Name of the metric that steers training and sessions."""
        return self.config.metrics[0].name
