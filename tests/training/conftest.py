"""Drawn images and tiny networks, so that training takes seconds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from linerefine.config import AugmentationConfig, NetworkConfig, TilingConfig, TrainingConfig
from linerefine.interfaces import Metric
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.options import UNetOptions
from linerefine.refiners.unet import UNetRefiner
from linerefine.samples import Sample, Target
from linerefine.training.data import TrainingPatches, ValidationPatches
from linerefine.types import Mask

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


def draw(seed: int, shape: tuple[int, int] = (96, 96), *, faint: float = 0.6) -> Sample:
    """Return an image with a few dark lines, some of them hardly visible."""
    rng = np.random.default_rng(seed)
    lines = np.zeros(shape, np.uint8)
    visible = np.zeros(shape, np.float32)
    for _ in range(5):
        (x1, y1), (x2, y2) = rng.integers(0, min(shape), size=(2, 2)).tolist()
        cv2.line(lines, (x1, y1), (x2, y2), 1, 5)
        strength = 0.0 if rng.random() < faint else 2.0
        cv2.line(visible, (x1, y1), (x2, y2), strength, 5)
    image = (visible + rng.normal(0, 0.5, size=shape)).astype(np.float32)
    return Sample(f"drawn-{seed}", image[None], np.ones(shape, bool), lines.astype(bool))


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Sample]:
    return draw


@pytest.fixture
def tiling() -> TilingConfig:
    return TilingConfig(patch=64, overlap=16, train_rows=96, train_cols=96, patches_per_tile=8)


@pytest.fixture
def plain() -> AugmentationConfig:
    return AugmentationConfig(flip=0, rotate90=0, affine=0)


@pytest.fixture
def brief() -> TrainingConfig:
    """Return settings of a training that takes a second or two."""
    return TrainingConfig(
        batch_size=2,
        steps_per_epoch=3,
        max_epochs=2,
        validation_passes=2,
        learning_rate=1e-3,
        checkpoint_seconds=3600,
    )


def _seeded(make: Callable[[], torch.nn.Module], seed: int) -> torch.nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return make()


@pytest.fixture(scope="session")
def new_segmenter() -> Callable[..., Segmenter]:
    def make(seed: int = 0) -> Segmenter:
        return _seeded(lambda: Segmenter(build_network(TINY, 1)), seed)

    return make


@pytest.fixture(scope="session")
def new_refiner() -> Callable[..., UNetRefiner]:
    def make(seed: int = 0) -> UNetRefiner:
        return _seeded(lambda: UNetRefiner(UNetOptions(network=TINY), 1), seed)

    return make


class Overlap(Metric):
    """Intersection over union, written down the obvious way."""

    def measure(self, prediction: Mask, target: Target) -> np.ndarray:
        both = prediction & target.mask & target.roi
        either = (prediction | target.mask) & target.roi
        return np.array([both.sum(), either.sum()], dtype=np.float64)

    def reduce(self, statistics: np.ndarray) -> float:
        both, either = statistics
        return float(both / either) if either else float("nan")


@pytest.fixture(scope="session")
def overlap() -> Metric:
    return Overlap()


@pytest.fixture
def sets(drawn, tiling) -> tuple[TrainingPatches, ValidationPatches]:
    train = TrainingPatches([drawn(0), drawn(1)], tiling, seed=1)
    return train, ValidationPatches([drawn(2)], tiling)
