"""Everything a run works with, built once from the configuration and the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from linerefine.config import ExperimentConfig
from linerefine.experiment.fast import FastNetworks, session_calls
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.loaded import Loaded
from linerefine.experiment.notifier import Notifier
from linerefine.experiment.shipped import shipped_loader_state
from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
from linerefine.models.device import resolve_device, set_threads
from linerefine.registry import Registry
from linerefine.samples import Target
from linerefine.training.distributed import ALONE, Group

__all__ = ["Bench", "Notifier"]


@dataclass(frozen=True)
class Bench:
    """Configuration, components, device and the run folder."""

    config: ExperimentConfig
    registry: Registry
    folder: RunFolder
    device: torch.device
    loader: ModalityLoader
    simulator: UserSimulator
    own_simulators: Mapping[str, UserSimulator]
    """Of the refiners that are not trained and tested with the run's simulator, by key."""
    metrics: Mapping[str, Metric]
    notify: Notifier
    fast: FastNetworks
    loaded: Loaded
    """The loader's samples: whoever needs one asks here, so that none is decoded twice."""
    group: Group = ALONE

    @classmethod
    def build(
        cls,
        config: ExperimentConfig,
        registry: Registry,
        folder: RunFolder,
        notify: Notifier,
        *,
        records: bool = True,
        group: Group = ALONE,
    ) -> Bench:
        """Make the components a configuration names.

        Parameters
        ----------
        config : ExperimentConfig
            Resolved settings.
        registry : Registry
            Where components come from.
        folder : RunFolder
            The run's.
        notify : Notifier
            Told of everything.
        records : bool
            Whether the run folder remembers which back-ends its networks run on.
        group : Group
            Who trains together.

        Raises
        ------
        LineRefineError
            If a name, an option, the device or the data cannot be used.
        """
        set_threads(config.threads)
        device = resolve_device(config.device)
        group.share(config.training.batch_size)  # refused now, not after the first hour
        loader = registry.make_loader(config.loader)
        state = shipped_loader_state(registry, config)
        if state is not None:
            loader.restore(state)
        return cls(
            config=config,
            registry=registry,
            folder=folder,
            device=device,
            loader=loader,
            simulator=registry.make_simulator(config.simulator),
            own_simulators={
                refiner.key: registry.make_simulator(
                    refiner.simulator, ("refiners", refiner.key, "simulator")
                )
                for refiner in config.refiners
                if refiner.simulator is not None
            },
            metrics={part.name: registry.make_metric(part) for part in config.metrics},
            notify=notify,
            fast=FastNetworks(config.inference, device, notify, folder if records else None),
            loaded=Loaded.within_share(loader.load, config.image_memory),
            group=group,
        )

    def prepare_simulators(self) -> None:
        """Let everybody who draws look once at the training targets."""
        for simulator in (self.simulator, *self.own_simulators.values()):
            simulator.prepare(self.training_targets())

    def simulator_for(self, refiner: str) -> UserSimulator:
        """Return who draws in the training and the sessions of a refiner."""
        return self.own_simulators.get(refiner, self.simulator)

    def training_targets(self) -> Iterator[Target]:
        """Yield the targets of the training split, one at a time."""
        for name in self.loader.names("train"):
            target = self.loaded(name).target
            if target is not None:
                yield target

    @property
    def session_calls(self) -> int:
        """How many passes the sessions of one refiner may need."""
        return session_calls(self.config, len(self.loader.names("test")))

    @property
    def steering(self) -> str:
        """Name of the metric that steers training and sessions."""
        return self.config.metrics[0].name
