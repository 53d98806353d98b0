"""Small refiners whose answers are easy to check."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from linerefine.refiners.base import Prompt, Refiner


class Blur(Refiner):
    """A fixed random convolution of image, first prediction, hints and previous answer."""

    def __init__(self, channels: int = 1, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        weights = torch.randn((1, channels + 3, 5, 5), generator=generator) / 5
        self.register_buffer("weights", weights)
        self.encoded = 0
        self.calls: list[tuple[int, ...]] = []

    def encode(self, image: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        self.encoded += 1
        return torch.cat([image, initial], dim=1)

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        assert torch.equal(features[:, -1:], prompt.initial)
        stacked = torch.cat([features, prompt.hints, prompt.previous], dim=1)
        self.calls.append(tuple(stacked.shape))
        return torch.tanh(torch.nn.functional.conv2d(stacked, self.weights, padding=2)) * 3


class Hasty(Blur):
    """A `Blur` that has an opinion before there are strokes, and counts what it was shown."""

    revises = True

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, ...]] = []

    def revise(self, features: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        assert torch.equal(features[:, -1:], initial)
        self.shown.append(tuple(initial.shape))
        return 1 - 2 * initial


class Constant(Refiner):
    """Answers one number everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        return torch.full_like(prompt.initial, self.value)


@pytest.fixture
def blur() -> Blur:
    return Blur()


def scene(height: int = 150, width: int = 170, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((1, height, width)).astype(np.float32)
    return image, rng.standard_normal((height, width)).astype(np.float32)
