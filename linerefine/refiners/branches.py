"""The two networks of a refiner that looks at the image once per place, at strokes every time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from linerefine.models.swapping import Inputs, Swappable

__all__ = ["FINE", "Features", "ImagePyramid", "PromptBranch"]

FINE = 16
"""Channels at full resolution: of what the image says, and of what is made of it."""

Features: TypeAlias = tuple[Tensor, ...]
"""What the image says: at full resolution, (B, FINE, H, W), then at each level of the branch."""


class ImagePyramid(nn.Module):
    """What the image adds to each level of the prompt branch; computed once per place."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(layer, _normalised(width))
            for layer, width in zip(_halving(widths), widths, strict=True)
        )
        self.out = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for width in widths)

    def forward(self, fine: Tensor) -> list[Tensor]:
        """Return tensors of shapes (B, width, H / 2, W / 2), (B, width, H / 4, W / 4), ..."""
        found = []
        for down, out in zip(self.down, self.out, strict=True):
            fine = down(fine)
            found.append(out(fine))
        return found


class PromptBranch(Swappable):
    """Full resolution and four levels below it; what the image says is added, not looked at again.

    A convolution over image and prompt together is the sum of one over each,
    so the image's summand is computed once per place, for every level.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self._sizes = (channels, *widths)
        self.shown = nn.Conv2d(channels, FINE, 3, padding=1, bias=False)
        self.begin = _normalised(FINE)
        self.down = nn.ModuleList(_halving(widths))
        self.joined = nn.ModuleList(_normalised(width) for width in widths)
        self.up = nn.ModuleList(
            nn.Sequential(_convolution(above + below, above), _normalised(above))
            for above, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.narrow = nn.Conv2d(widths[0], FINE, 1, bias=False)
        self.end = nn.Sequential(_normalised(FINE), _convolution(FINE, FINE), _normalised(FINE))
        self.head = nn.Conv2d(FINE, 1, 1)
        # An untrained branch says nothing: the belief begins as the first prediction.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    @property
    def body(self) -> nn.Module:  # type: ignore[override]
        """The branch, whatever runs it."""
        return _Plain(self)

    @property
    def is_mask(self) -> bool:
        return False

    @property
    def is_quantisable(self) -> bool:
        return False  # the first prompts hold no strokes, or one

    @property
    def construction(self) -> Mapping[str, Any]:
        return {"prompt_branch": list(self._sizes)}

    def forward(self, features: Features, shown: Tensor) -> Tensor:
        """Return by how much strokes and image move the first prediction, shape (B, 1, H, W)."""
        return self.answer((shown, *features))

    def plain(self, given: Inputs) -> Tensor:
        """Return the same of the prompt and what the image says at each level."""
        # Places by number: a graph is read off these steps, and that cannot count a tuple.
        shown, fine = given[0], given[1]
        image = [given[2 + level] for level in range(len(self.down))]
        seen = self.begin(fine + self.shown(shown))
        levels: list[Tensor] = []
        here = seen
        for down, joined, said in zip(self.down, self.joined, image, strict=True):
            here = joined(down(here) + said)
            levels.append(here)
        result = levels.pop()
        for up in self.up:
            result = up(torch.cat((levels.pop(), _twice(result)), dim=1))
        answer: Tensor = self.head(self.end(seen + _twice(self.narrow(result))))
        return answer


class _Plain(nn.Module):
    """A prompt branch that nothing else runs: what back-ends read and copy."""

    def __init__(self, branch: PromptBranch) -> None:
        super().__init__()
        self.branch = branch
        self.training = branch.training  # an exporter puts both back into the mode of this one

    def forward(self, given: tuple[Tensor, ...]) -> Tensor:
        """Return what the branch answers."""
        return self.branch.plain(given)


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _halving(widths: Sequence[int]) -> Iterator[nn.Module]:
    """Yield one convolution per level, from full resolution down, each halving the resolution."""
    for above, below in itertools.pairwise((FINE, *widths)):
        yield nn.Conv2d(above, below, 4, stride=2, padding=1, bias=False)


def _convolution(channels: int, width: int) -> nn.Module:
    return nn.Conv2d(channels, width, 3, padding=1, bias=False)


def _normalised(width: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
