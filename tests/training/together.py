"""Trainings small enough for a test, by however many processes `torchrun` starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from linerefine.config import NetworkConfig, TilingConfig, TrainingConfig
from linerefine.metrics.standard import IoU
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.samples import Sample
from linerefine.simulators.longest import Longest
from linerefine.testing.drawing import KINDS, drawn_sample
from linerefine.training.data import TrainingPatches, ValidationPatches
from linerefine.training.distributed import ALONE, Group, training_group
from linerefine.training.loop import FitResult, fit_refiner, fit_segmenter

TILING = TilingConfig(patch=32, overlap=8, train_rows=64, train_cols=64, patches_per_tile=8)
CONFIG = TrainingConfig(
    batch_size=4,
    steps_per_epoch=4,
    max_epochs=3,
    validation_passes=1,
    learning_rate=1e-2,
    precision="fp32",
    checkpoint_seconds=3600,
)


class PlainRefiner(Refiner):
    """Two convolutions without batch statistics, and a weight that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
        self.idle = nn.Parameter(torch.ones(3))

    def refine(self, features: Any, prompt: Prompt) -> torch.Tensor:
        return self.body(torch.cat([features, prompt.initial, prompt.hints], dim=1))


class SupervisedRefiner(Refiner):
    """Corrects its previous answer twice, and is judged both times."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))

    def refine(self, features: Any, prompt: Prompt) -> torch.Tensor:
        return self.answers(features, prompt)[-1]

    def answers(self, features: Any, prompt: Prompt) -> list[torch.Tensor]:
        found, answer = [], prompt.previous
        for _ in range(2):
            stacked = torch.cat([features, prompt.initial, prompt.hints, answer], dim=1)
            answer = answer + self.body(stacked)
            found.append(answer)
        return found


def plain_segmenter() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))


def usual_segmenter() -> nn.Module:
    tiny = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))
    return Segmenter(build_network(tiny, 1))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(5)
    return make()


def sets() -> tuple[TrainingPatches, ValidationPatches]:
    samples = []
    for number, kind in enumerate([*KINDS, *KINDS]):
        drawn = drawn_sample(kind, 64, 1, np.random.default_rng(number))
        samples.append(Sample(f"{kind}-{number}", drawn.image, drawn.roi, drawn.lines))
    return TrainingPatches(samples[:6], TILING, seed=1), ValidationPatches(samples[6:], TILING)


def train_segmenter(
    folder: Path,
    module: nn.Module,
    group: Group = ALONE,
    observers: Sequence[Any] = (),
    **settings: Any,
) -> FitResult:
    return fit_segmenter(
        module,
        *sets(),
        CONFIG.model_copy(update=settings),
        metric=IoU(),
        metric_name="iou",
        device=torch.device("cpu"),
        seed=2,
        folder=folder,
        group=group,
        observers=observers,
    )


def train_refiner(
    folder: Path, module: Refiner, group: Group = ALONE, **settings: Any
) -> FitResult:
    return fit_refiner(
        module,
        seeded(plain_segmenter),
        *sets(),
        CONFIG.model_copy(update={"strokes_per_patch": 2, **settings}),
        name="plain",
        simulator=Longest(),
        metric=IoU(),
        metric_name="iou",
        device=torch.device("cpu"),
        seed=3,
        folder=folder,
        group=group,
    )


def train_all(folder: Path, group: Group) -> None:
    """Train everything and keep what every process ends with."""
    plain, usual, refiner = seeded(plain_segmenter), seeded(usual_segmenter), seeded(PlainRefiner)
    begun, rounds = seeded(plain_segmenter), seeded(SupervisedRefiner)
    train_segmenter(folder / "plain", plain, group)
    train_segmenter(folder / "begun", begun, group)
    train_segmenter(folder / "usual", usual, group)
    train_refiner(folder / "refiner", refiner, group)
    train_refiner(folder / "rounds", rounds, group, rounds=3, loss="soft_cldice_bce", workers=1)
    again = seeded(plain_segmenter)
    train_segmenter(folder / "plain", again, group)
    modules = {"plain": plain, "begun": begun, "usual": usual, "refiner": refiner}
    modules |= {"rounds": rounds, "again": again}
    weights = {name: module.state_dict() for name, module in modules.items()}
    torch.save(weights, folder / f"{group.rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with training_group() as joined:
        train_all(Path(sys.argv[1]), joined)
