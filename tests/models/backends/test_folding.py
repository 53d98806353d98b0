"""Folding keeps what a network computes and takes steps away."""

from __future__ import annotations

import collections

import pytest
import torch
from torch import nn

from linerefine.config import NetworkConfig
from linerefine.models.backends.folding import folded, folded_or_copy
from linerefine.models.segmenter import build_network

LIGHT = {"encoder_depth": 3, "decoder_channels": (16, 8, 8)}


def lived_in(config: NetworkConfig) -> nn.Module:
    """Return a network whose normalisation has seen data."""
    network = build_network(config, 2).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(2, 2, 64, 64) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(encoder="tu-resnet10t", **LIGHT),
        NetworkConfig(encoder="efficientnet-b0", **LIGHT),
        NetworkConfig(encoder="tu-mobilenetv4_conv_small", **LIGHT),
        NetworkConfig(architecture="fpn", encoder="resnet18"),
        NetworkConfig(architecture="unetplusplus", encoder="mobilenet_v2", **LIGHT),
    ],
    ids=lambda config: f"{config.architecture}-{config.encoder}",
)
def test_a_folded_network_computes_the_same_in_every_shape(config):
    network = lived_in(config)
    graph = folded(network.body)
    kinds = collections.Counter(type(module).__name__ for module in graph.modules())
    assert kinds["BatchNorm2d"] + kinds["Identity"] + kinds["Dropout"] == 0
    with torch.inference_mode():
        for shape in ((1, 2, 64, 64), (2, 2, 96, 32)):
            image = torch.randn(shape)
            torch.testing.assert_close(graph(image), network(image), rtol=1e-3, atol=1e-4)


def test_the_padding_of_efficientnet_becomes_the_convolutions_own():
    network = lived_in(NetworkConfig(encoder="efficientnet-b0", **LIGHT))

    def paddings(module):
        return sum(type(part) is nn.ZeroPad2d for part in module.modules())

    assert paddings(folded(network.body)) < paddings(network.body) / 2


def test_the_network_itself_is_left_as_it_is():
    network = lived_in(NetworkConfig(encoder="tu-resnet10t", **LIGHT))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded(network.body)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_normalisation_whose_input_is_used_elsewhere_stays():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 4, 3, padding=1)
            self.normalisation = nn.BatchNorm2d(4)

        def forward(self, image):
            plain = self.convolution(image)
            return self.normalisation(plain) + plain

    network = Shared().eval()
    network.normalisation.running_mean.fill_(3.0)
    image = torch.randn(1, 1, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(folded(network)(image), network(image))


def test_a_convolution_used_twice_is_folded_for_each_use():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 1, 3, padding=1)
            self.first, self.second = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, image):
            return self.second(self.convolution(self.first(self.convolution(image))))

    network = Twice().eval()
    network.first.running_mean.fill_(2.0)
    network.second.running_var.fill_(5.0)
    image = torch.randn(1, 1, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(folded(network)(image), network(image))


def test_a_network_that_cannot_be_read_off_runs_unfolded(caplog):
    class Branching(nn.Module):
        def forward(self, image):
            return image if image.sum() > 0 else -image

    caplog.set_level("INFO", logger="linerefine")
    copy = folded_or_copy(Branching())
    assert "Branching runs unfolded: " in caplog.text
    assert float(copy(torch.tensor(-2.0))) == 2.0
