"""A refiner that is trained for how it is used: each answer is anchored in the one before."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.options import AnchoredOptions

__all__ = ["Anchored"]

HELD = 8.0
"""Logits of a pixel that a stroke has settled, +HELD or -HELD."""

CLOSE = 1.0
"""Logits that are nearer to HELD count as settled: blending of crops loses a little."""

PROMPT_CHANNELS = 7
"""First prediction, answer before, add hints, erase hints, what is new."""

CELL = 4
"""Pixels of the squares that the window around new strokes is made of."""

FINE = 16
"""Channels at full resolution: of what the image says, and of what is made of it."""

Features: TypeAlias = tuple[Tensor, ...]
"""What the image says: shapes (B, FINE, H, W) and (B, width, H / 2, W / 2)."""


class Anchored(Refiner):
    """Keeps its last answer, except near a new stroke where it is sure of the opposite."""

    def __init__(self, options: AnchoredOptions | None = None, channels: int = 1) -> None:
        super().__init__()
        self.options = options = options or AnchoredOptions()
        network = options.network or NetworkConfig()
        self.network = build_network(network, channels, outputs=FINE)
        widths = (options.width, options.width * 2, options.width * 2, options.width * 2)
        self.pyramid = _ImagePyramid(FINE, widths)
        self.branch = _PromptBranch(FINE, widths)

    def begin_from(self, segmenter: Segmenter) -> None:
        """Let the image branch begin as the first-prediction network, but for its last layer.

        Raises
        ------
        ConfigError
            If the two networks differ; ``begin = "random"`` needs no likeness.
        """
        if self.options.begin == "random":
            return
        own, learnt = self.network.state_dict(), segmenter.network.state_dict()
        head = {name for name in own if name.startswith("body.segmentation_head.")}
        alike = {name: learnt[name] for name in own.keys() - head if name in learnt}
        if len(alike) < len(own) - len(head) or any(
            own[name].shape != tensor.shape for name, tensor in alike.items()
        ):
            msg = (
                "the image branch of refiner anchored is another network than the segmenter, so "
                "it cannot begin as one; leave out refiners.anchored.options.network, or set "
                "refiners.anchored.options.begin=random."
            )
            raise ConfigError(msg)
        self.network.load_state_dict(alike, strict=False)

    def encode(self, image: Tensor) -> Features:
        """Return what the image says at full resolution and at each level of the prompt branch."""
        fine: Tensor = self.network(image)
        return fine, *self.pyramid(fine)

    def refine(self, features: Features, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        return self._answer(prompt, self.belief(features, prompt))

    def answers(self, features: Features, prompt: Prompt) -> list[Tensor]:
        belief = self.belief(features, prompt)
        near = self._within(prompt)
        return [torch.where(near, belief, self._before(prompt)), self._answer(prompt, belief)]

    def belief(self, features: Features, prompt: Prompt) -> Tensor:
        """Return the log-odds that a pixel is line, given the image and every stroke so far."""
        before = self._before(prompt)
        new = _news(prompt.hints, before)
        shown = (
            prompt.initial / HELD,
            before / HELD,
            2 * before.sigmoid() - 1,
            *_halves(prompt.hints),
            *_halves(new),
        )
        return prompt.initial + self.branch(features, torch.cat(shown, dim=1))

    def _within(self, prompt: Prompt) -> Tensor:
        new = _news(prompt.hints, self._before(prompt))
        if self.options.reach is None:
            return torch.ones_like(new, dtype=torch.bool)
        return _near(new.abs(), self.options.reach)

    def _answer(self, prompt: Prompt, belief: Tensor) -> Tensor:
        before = self._before(prompt)
        sure = (belief.abs() > self.options.margin) & ((belief > 0) != (before > 0))
        answer = torch.where(
            sure & self._within(prompt), belief.clamp(-HELD + CLOSE, HELD - CLOSE), before
        )
        if not self.options.hold:
            return answer
        return torch.where(prompt.hints != 0, HELD * prompt.hints, answer)

    def _before(self, prompt: Prompt) -> Tensor:
        if prompt.previous is None or not self.options.feedback:
            return prompt.initial
        return prompt.previous


def _news(hints: Tensor, before: Tensor) -> Tensor:
    """Return the hints that an answer does not hold yet, in {-1, 0, +1}."""
    held = hints * before > HELD - CLOSE / 2
    return hints * ~held


def _halves(hints: Tensor) -> tuple[Tensor, Tensor]:
    return hints.clamp(min=0), (-hints).clamp(min=0)


def _near(marked: Tensor, reach: int) -> Tensor:
    """Return which pixels are at most `reach` from a marked one along either axis, in squares."""
    cells = max(reach // CELL - 1, 1)
    near = functional.max_pool2d(marked, CELL)
    near = functional.max_pool2d(near, 2 * cells + 1, stride=1, padding=cells)
    return functional.interpolate(near, scale_factor=CELL, mode="nearest") > 0


class _ImagePyramid(nn.Module):
    """What the image adds to each level of the prompt branch; computed once per place."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        steps = itertools.pairwise((channels, *widths))
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(above, below, 4, stride=2, padding=1, bias=False), *_normalised(below)
            )
            for above, below in steps
        )
        self.out = nn.ModuleList(nn.Conv2d(w, w, 1, bias=False) for w in widths)

    def forward(self, fine: Tensor) -> tuple[Tensor, ...]:
        found = []
        for level, out in zip(self.levels, self.out):
            fine = level(fine)
            found.append(out(fine))
        return tuple(found)


class _PromptBranch(nn.Module):
    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.fine = nn.Conv2d(PROMPT_CHANNELS, channels, 3, padding=1, bias=False)
        steps = itertools.pairwise((channels, *widths))
        self.start = _normalised_(channels)
        self.down = nn.ModuleList(
            nn.Conv2d(above, below, 4, stride=2, padding=1, bias=False) for above, below in steps
        )
        self.norm = nn.ModuleList(_normalised_(w) for w in widths)
        self.up = nn.ModuleList(
            _convolution(above + below, above)
            for above, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.narrow = nn.Conv2d(widths[0], channels, 1, bias=False)
        self.end = nn.Sequential(
            *_normalised(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            *_normalised(channels),
        )
        self.head = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features, shown: Tensor) -> Tensor:
        fine, *image = features
        seen = self.start(fine + self.fine(shown))
        levels = []
        at = seen
        for layer, norm, said in zip(self.down, self.norm, image, strict=True):
            at = norm(layer(at) + said)
            levels.append(at)
        result = levels.pop()
        for layer in self.up:
            result = layer(torch.cat((levels.pop(), _twice(result)), dim=1))
        answer: Tensor = self.head(self.end(seen + _twice(self.narrow(result))))
        return answer


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _convolution(channels: int, width: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, *_normalised(width))


def _normalised_(width: int) -> nn.Sequential:
    return nn.Sequential(*_normalised(width))


def _normalised(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width), nn.ReLU(inplace=True)
