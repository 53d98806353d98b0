"""Refinement without a person: an answer that is refined again and again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from linerefine.config import NetworkConfig
from linerefine.models.segmenter import build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.options import IterNetOptions

__all__ = ["IterNet"]


class IterNet(Refiner):
    """A first network, then a small one, the same each time, that mends its answer.

    Parameters
    ----------
    options : IterNetOptions
        The first network, number of iterations, width of the small network.
    channels : int
        Channels of the image.

    Notes
    -----
    Sees the image, the first prediction and its own answers, never a hint:
    what it is worth says how much of a gain needs no person. Every answer is
    supervised (`answers`), the last one counts.

    As in the original the small network has one set of weights for all
    iterations and sees shallow features of the input beside what the iteration
    before left. It differs in this: the first network hands on its logits, not
    its last features, so that it may be of any architecture and run on any
    back-end; layers are normalised by groups of channels, so that iterations
    share no running statistics; an iteration adds to the logits before it, and
    the input is not the image alone but the first prediction too.

    References
    ----------
    L. Li, M. Verma, Y. Nakashima, H. Nagahara, R. Kawasaki, "IterNet: Retinal
    Image Segmentation Utilizing Structural Redundancy in Vessel Networks",
    WACV 2020. DOI 10.1109/WACV45572.2020.9093621
    """

    def __init__(self, options: IterNetOptions | None = None, channels: int = 1) -> None:
        super().__init__()
        options = options or IterNetOptions()
        width = options.width
        self.iterations = options.iterations
        self.network = build_network(options.network or NetworkConfig(), channels + 1)
        self.shallow = _convolution(channels + 1, width)
        self.lift = _convolution(1, width)
        self.mini = _MiniUNet(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def refine(self, features: Any, prompt: Prompt) -> Tensor:
        """Return the last answer, shape (B, 1, H, W)."""
        return self.answers(features, prompt)[-1]

    def answers(self, features: Any, prompt: Prompt) -> list[Tensor]:
        """Return the first network's answer, then one per iteration."""
        seen = torch.cat((features, prompt.initial), dim=1)
        found: list[Tensor] = [self.network(seen)]
        shallow, state = self.shallow(seen), self.lift(found[0])
        for _ in range(self.iterations):
            state = self.mini(torch.cat((shallow, state), dim=1))
            found.append(found[-1] + self.head(state))
        return found


class _MiniUNet(nn.Module):
    """Two levels down and up again, (B, C, H, W) to (B, `width`, H, W)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.begin = _convolution(channels, width)
        self.down = nn.ModuleList([_convolution(width, width) for _ in range(2)])
        self.up = nn.ModuleList([_convolution(2 * width, width) for _ in range(2)])

    def forward(self, features: Tensor) -> Tensor:
        levels: list[Tensor] = [self.begin(features)]
        for layer in self.down:
            levels.append(layer(nn.functional.max_pool2d(levels[-1], 2)))
        result = levels.pop()
        for layer in self.up:
            larger = nn.functional.interpolate(result, scale_factor=2.0, mode="nearest")
            result = layer(torch.cat((levels.pop(), larger), dim=1))
        return result


def _convolution(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.GroupNorm(_groups(width), width),
        nn.ReLU(inplace=True),
    )


def _groups(width: int) -> int:
    """Return into how many groups channels are normalised: eight, or as many as fit."""
    return next(count for count in (8, 4, 2, 1) if width % count == 0)
