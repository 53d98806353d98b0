"""A small network trained on drawn lines, so that masks mean something."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from linerefine.config import NetworkConfig
from linerefine.models.segmenter import Network, build_network
from linerefine.testing import drawn_sample

EDGE = 96
TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


def drawn_batch(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy images (B, 1, H, W) and the lines in them."""
    rng = np.random.default_rng(seed)
    images, lines = [], []
    for _ in range(count):
        sample = drawn_sample(("cross", "vee", "ring")[rng.integers(3)], EDGE)
        assert sample.lines is not None
        turned = np.rot90(sample.lines, rng.integers(4))
        shifted = np.roll(turned, tuple(rng.integers(-20, 20, 2)), (0, 1))
        images.append(shifted * 2.0 + rng.normal(0, 0.7, shifted.shape))
        lines.append(shifted)
    stack = [
        torch.from_numpy(np.stack(part).astype(np.float32))[:, None] for part in (images, lines)
    ]
    return stack[0], stack[1]


@pytest.fixture(scope="session")
def trained() -> Network:
    """Return a network that draws lines well; eval mode, not to be changed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = build_network(TINY, 1).train()
        optimiser = torch.optim.Adam(network.parameters(), 8e-3)
        for step in range(40):
            image, lines = drawn_batch(step, 4)
            loss = F.binary_cross_entropy_with_logits(network(image), lines)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


@pytest.fixture(scope="session")
def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Return drawn images the network has not seen, shape (3, 1, 96, 96), and their lines."""
    return drawn_batch(1000, 3)
