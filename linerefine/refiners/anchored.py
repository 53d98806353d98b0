"""A refiner that is trained for how it is used: each answer is anchored in the one before."""

from __future__ import annotations

import itertools
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.options import AnchoredOptions

__all__ = ["Anchored", "Change"]

HELD = 8.0
"""Logits of a pixel that a stroke has settled, +HELD or -HELD."""

CLOSE = 1.0
"""Logits that are nearer to HELD count as settled: blending of crops loses a little."""

PROMPT_CHANNELS = 5
"""First prediction, answer before, add hints, erase hints, what is new."""

CELL = 4
"""Pixels of the squares that the window around new strokes is made of."""

FINE = 16
"""Channels at full resolution: of what the image says, and of what is made of it."""

Features: TypeAlias = tuple[Tensor, Tensor]
"""What the image says: shapes (B, FINE, H, W) and (B, width, H / 2, W / 2)."""


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
    ``answer = previous + influence * (proposal - previous)``, in probabilities,
    and where a stroke lies the answer is what the stroke says. ``influence`` is
    a gate the network computes, times a window around what is *new*: strokes
    that the answer before does not hold yet. So what was right far away stays,
    bit for bit, and what is near changes only where the network says so.

    Probabilities, not logits, are mixed: a pixel that is wrong and sure of it
    has no gradient in its logit, and a gate that mixed logits would hardly
    learn to overrule it.

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
        self.network = build_network(network, channels, outputs=FINE)
        self.coarse = nn.Conv2d(FINE, options.width, 4, stride=2, padding=1, bias=False)
        self.branch = _PromptBranch(options.width)

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
        """Return what the image says at full and at half resolution."""
        fine: Tensor = self.network(image)
        return fine, self.coarse(fine)

    def refine(self, features: Features, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        return self._held(self._answer(prompt, self.change(features, prompt)), prompt)

    def answers(self, features: Features, prompt: Prompt) -> list[Tensor]:
        """Return the proposal within reach, as if the gate were open, and the answer.

        The proposal is judged for itself: behind a closed gate it would learn nothing.
        """
        change = self.change(features, prompt)
        answer = self._held(self._answer(prompt, change), prompt)
        if not (self.options.gate and self.options.judge_proposal):
            return [answer]
        within = change.influence > 0
        proposed = torch.where(within, change.proposal, self._before(prompt))
        return [self._held(proposed, prompt), answer]

    def change(self, features: Features, prompt: Prompt) -> Change:
        """Return what the new strokes do to the answer before: proposal and influence."""
        before = self._before(prompt)
        new = _news(prompt.hints, before)
        shown = (prompt.initial / HELD, before / HELD, *_halves(prompt.hints), new)
        proposal, gate = self.branch(features, torch.cat(shown, dim=1)).chunk(2, dim=1)
        influence = gate.sigmoid() if self.options.gate else torch.ones_like(gate)
        if self.options.reach is not None:
            influence = influence * _around(new.abs(), self.options.reach)
        return Change(proposal, influence)

    def _answer(self, prompt: Prompt, change: Change) -> Tensor:
        before = self._before(prompt)
        moved = _mixed(before, change.proposal, change.influence)
        return torch.where(change.influence > 0, moved, before)

    def _held(self, answer: Tensor, prompt: Prompt) -> Tensor:
        if not self.options.hold:
            return answer
        return torch.where(prompt.hints != 0, HELD * prompt.hints, answer)

    def _before(self, prompt: Prompt) -> Tensor:
        if prompt.previous is None or not self.options.feedback:
            return prompt.initial
        return prompt.previous


def _mixed(before: Tensor, proposal: Tensor, influence: Tensor) -> Tensor:
    """Return the logits of two predictions' probabilities, mixed; in [-HELD, HELD]."""
    chance = torch.lerp(before.float().sigmoid(), proposal.float().sigmoid(), influence.float())
    return chance.logit().clamp(-HELD, HELD)


def _news(hints: Tensor, before: Tensor) -> Tensor:
    """Return the hints that an answer does not hold yet, in {-1, 0, +1}."""
    held = hints * before > HELD - CLOSE
    return hints * ~held


def _halves(hints: Tensor) -> tuple[Tensor, Tensor]:
    return hints.clamp(min=0), (-hints).clamp(min=0)


def _around(marked: Tensor, reach: int) -> Tensor:
    """Return a window that is 1 near marked pixels and falls to 0 at `reach`, shape as given.

    Made of squares of CELL pixels, then smoothed: at full resolution it would
    cost as much as the network.
    """
    cells = max((reach - 2 * CELL) // CELL, 2)
    flat = cells // 2 + 1
    near = functional.max_pool2d(marked, CELL)
    near = functional.max_pool2d(near, 2 * flat + 1, stride=1, padding=flat)
    slope = cells - flat
    near = functional.avg_pool2d(
        near, 2 * slope + 1, stride=1, padding=slope, count_include_pad=False
    )
    return functional.interpolate(near, scale_factor=CELL, mode="bilinear")


class _PromptBranch(nn.Module):
    """Half resolution and three levels below it; what the image says is added, not looked at again.

    A convolution over image and prompt together is the sum of one over each,
    so the image's summand is computed once per place.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (width, width * 2, width * 2, width * 2)
        self.fine = nn.Conv2d(PROMPT_CHANNELS, FINE, 3, padding=1, bias=False)
        self.coarse = nn.Conv2d(PROMPT_CHANNELS, width, 4, stride=2, padding=1, bias=False)
        self.begin, self.end = _normalised(width), _normalised(FINE)
        self.down = nn.ModuleList(
            _convolution(above, below, stride=2) for above, below in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(
            _convolution(above + below, above)
            for above, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.narrow = nn.Conv2d(width, FINE, 1, bias=False)
        self.head = nn.Conv2d(FINE, 2, 1)

    def forward(self, features: Features, shown: Tensor) -> Tensor:
        """Return proposal and gate, shape (B, 2, H, W), before the gate's sigmoid."""
        fine, coarse = features
        levels: list[Tensor] = [self.begin(coarse + self.coarse(shown))]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        result = levels.pop()
        for layer in self.up:
            result = layer(torch.cat((levels.pop(), _twice(result)), dim=1))
        seen = fine + self.fine(shown) + _twice(self.narrow(result))
        answer: Tensor = self.head(self.end(seen))
        return answer


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _convolution(channels: int, width: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, *_normalised(width))


def _normalised(width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
