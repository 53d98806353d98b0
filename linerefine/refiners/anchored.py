"""A refiner that is trained for how it is used: each answer is anchored in the one before."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from linerefine.config import NetworkConfig
from linerefine.models.segmenter import build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.options import AnchoredOptions

__all__ = ["Anchored", "Change"]

HELD = 8.0
"""Logits of a pixel that a stroke has settled, +HELD or -HELD."""

CLOSE = 1.0
"""Logits that are nearer to HELD count as settled: blending of crops loses a little."""

PROMPT_CHANNELS = 5
"""First prediction, answer before, add hints, erase hints, what is new."""


class Change(NamedTuple):
    """What a new stroke does to an answer.

    Parameters
    ----------
    proposal : Tensor, shape (B, 1, H, W)
        Logits the network would answer with if nothing stood there yet.
    influence : Tensor, shape (B, 1, H, W)
        In [0, 1]: how much of the proposal counts. 1 minus it is how sure the
        network is that the stroke says nothing about a pixel.
    """

    proposal: Tensor
    influence: Tensor


class Anchored(Refiner):
    """Moves its last answer, near the new stroke only, as far as the stroke's word reaches.

    Parameters
    ----------
    options : AnchoredOptions
        Image branch, width of the prompt branch, which ingredients are used.
    channels : int
        Channels of the image.

    Notes
    -----
    ``answer = previous + influence * (proposal - previous)``, and where a
    stroke lies the answer is what the stroke says. ``influence`` is a gate the
    network computes, times a window around what is *new*: strokes that the
    answer before does not hold yet. So what was right far away stays, bit for
    bit, and what is near changes only where the network says so.

    `encode` runs the image branch, a whole encoder-decoder; `refine` the
    prompt branch alone, which works at half resolution and is several times
    cheaper. A session therefore pays for the image once per place.

    It is meant to be trained over several rounds (``training.rounds``) with a
    loss that charges undoing (``training.keep``).
    """

    def __init__(self, options: AnchoredOptions | None = None, channels: int = 1) -> None:
        super().__init__()
        self.options = options = options or AnchoredOptions()
        network = options.network or NetworkConfig()
        self.network = build_network(network, channels, outputs=options.features)
        self.branch = _PromptBranch(options.features + PROMPT_CHANNELS, options.width)

    def encode(self, image: Tensor) -> Tensor:
        """Return the image's features, shape (B, features, H, W)."""
        features: Tensor = self.network(image)
        return features

    def refine(self, features: Tensor, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        before, change = self._before(prompt), self.change(features, prompt)
        answer = before + change.influence * (change.proposal - before)
        if not self.options.hold:
            return answer
        return torch.where(prompt.hints != 0, HELD * prompt.hints, answer)

    def change(self, features: Tensor, prompt: Prompt) -> Change:
        """Return what the new strokes do to the answer before: proposal and influence."""
        before = self._before(prompt)
        new = _news(prompt.hints, before)
        shown = (features, prompt.initial / HELD, before / HELD, *_halves(prompt.hints), new)
        proposal, gate = self.branch(torch.cat(shown, dim=1)).chunk(2, dim=1)
        influence = gate.sigmoid() if self.options.gate else torch.ones_like(gate)
        if self.options.reach is not None:
            influence = influence * _around(new.abs(), self.options.reach)
        return Change(proposal, influence)

    def _before(self, prompt: Prompt) -> Tensor:
        if prompt.previous is None or not self.options.feedback:
            return prompt.initial
        return prompt.previous


def _news(hints: Tensor, before: Tensor) -> Tensor:
    """Return the hints that an answer does not hold yet, in {-1, 0, +1}."""
    held = hints * before > HELD - CLOSE
    return hints * ~held


def _halves(hints: Tensor) -> tuple[Tensor, Tensor]:
    return hints.clamp(min=0), (-hints).clamp(min=0)


def _around(marked: Tensor, reach: int) -> Tensor:
    """Return a window that is 1 near marked pixels and falls to 0 at `reach`, shape as given.

    Squares instead of discs: their maxima can be taken along rows, then along columns.
    """
    half = max(reach // 2, 1)
    edge, pad = 2 * (reach - half) + 1, reach - half
    near = _largest(marked, half)
    for shape, padding in (((edge, 1), (pad, 0)), ((1, edge), (0, pad))):
        near = functional.avg_pool2d(
            near, shape, stride=1, padding=padding, count_include_pad=False
        )
    return near


def _largest(marked: Tensor, radius: int) -> Tensor:
    edge = 2 * radius + 1
    along = functional.max_pool2d(marked, (edge, 1), stride=1, padding=(radius, 0))
    return functional.max_pool2d(along, (1, edge), stride=1, padding=(0, radius))


class _PromptBranch(nn.Module):
    """Half resolution and three levels below it, (B, C, H, W) to (B, 2, H, W)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = (width, width * 2, width * 2, width * 2)
        self.begin = _convolution(channels, width, stride=2)
        self.down = nn.ModuleList(
            _convolution(above, below, stride=2) for above, below in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(
            _convolution(above + below, above)
            for above, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.last = _convolution(channels + width, 16)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, seen: Tensor) -> Tensor:
        levels: list[Tensor] = [self.begin(seen)]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        result = levels.pop()
        for layer in self.up:
            result = layer(torch.cat((levels.pop(), _twice(result)), dim=1))
        answer: Tensor = self.head(self.last(torch.cat((seen, _twice(result)), dim=1)))
        return answer


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _convolution(channels: int, width: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
