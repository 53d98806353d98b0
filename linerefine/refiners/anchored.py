"""A refiner that is trained for how it is used: each answer is anchored in the one before."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.base import Prompt, Refiner, Trial
from linerefine.refiners.options import AnchoredOptions

__all__ = ["Anchored"]

HELD = 8.0
"""Logits of a pixel that a stroke has settled, +HELD or -HELD."""

CLOSE = 0.5
"""Logits that are nearer to HELD count as settled: blending of crops loses a little.

What the network itself changes stays farther away, so that nobody takes it for a stroke.
"""

PROMPT_CHANNELS = 9
"""First prediction, answer before (logits, probability), strokes, new ones, what these mean."""

STEPS = 32
"""How far from a new stroke along a line is looked for what it means, in steps of two pixels."""

RIM = 2
"""Pixels around what is line that nothing can be followed over."""

CELL = 4
"""Pixels of the squares that the window around new strokes is made of."""

FINE = 16
"""Channels at full resolution: of what the image says, and of what is made of it."""

EVIDENCE = 100
"""Least number of changes, pixels on validation patches, from which a margin is taken."""

Features: TypeAlias = tuple[Tensor, ...]
"""What the image says: at full resolution, (B, FINE, H, W), then at each level of the branch."""


class Anchored(Refiner):
    """Keeps its last answer, but for pixels of which it is sure that they are wrong.

    Parameters
    ----------
    options : AnchoredOptions
        Image branch, width of the prompt branch, which ingredients are used.
    channels : int
        Channels of the image.

    Notes
    -----
    The network's `belief` is the log-odds that a pixel is line, given the
    image and every stroke so far. An answer changes only where that
    contradicts the answer before by more than a margin: what the network is
    unsure of stays as it was, bit for bit, and what it changes once it does
    not change back a stroke later for a hair's breadth.

    How sure it must be depends on the stroke, for that says which way it is
    wrong here: lines added after an erase stroke are wrong far more often than
    lines erased (docs/explanation/anchored.md has the numbers), so none are
    added there. With ``options.precision`` the margins are not given but
    measured by `calibrate`, as soon as validation patches are at hand.

    `encode` runs the image branch, a whole encoder-decoder; `refine` the
    prompt branch alone, which works at half resolution and below and is
    several times cheaper. A session therefore pays for the image once per
    place.
    """

    def __init__(self, options: AnchoredOptions | None = None, channels: int = 1) -> None:
        super().__init__()
        self.options = options = options or AnchoredOptions()
        network = options.network or NetworkConfig()
        self.network = build_network(network, channels, outputs=FINE)
        widths = (options.width, *[2 * options.width] * 3)
        self.pyramid = _ImagePyramid(widths)
        self.branch = _PromptBranch(widths)
        self.margins: Tensor
        """How sure it must be, log-odds: after an add or erase stroke, to add or to erase."""
        adding, correcting, erasing = options.margins
        margins = torch.tensor([[adding, correcting], [math.inf, erasing]])
        # What is given comes with the options; what was measured belongs to the weights.
        self.register_buffer("margins", margins, persistent=options.precision is not None)

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
        """Return what the network believes, and the answer.

        The belief is judged everywhere within reach, also where the answer
        before stays: what is not judged does not learn to be sure.
        """
        belief = self.belief(features, prompt)
        judged = torch.where(self._within(prompt), belief, self._before(prompt))
        return [judged, self._answer(prompt, belief)]

    def belief(self, features: Features, prompt: Prompt) -> Tensor:
        """Return the log-odds that a pixel is line, given the image and every stroke so far.

        Parameters
        ----------
        features : tuple of Tensor
            What `encode` returned.
        prompt : Prompt
            First prediction, strokes, answer before.

        Returns
        -------
        belief : Tensor, shape (B, 1, H, W)
            Logits, before anything is held or kept.
        """
        before = self._before(prompt)
        new = torch.cat(_halves(_news(prompt.hints, before)), dim=1)
        shown = (
            prompt.initial / HELD,
            before / HELD,
            2 * before.sigmoid() - 1,
            *_halves(prompt.hints),
            new,
            _meant(new, prompt.initial, before) / HELD,
        )
        change: Tensor = self.branch(features, torch.cat(shown, dim=1))
        return prompt.initial + change

    def _answer(self, prompt: Prompt, belief: Tensor) -> Tensor:
        before = self._before(prompt)
        is_sure = self._excess(prompt, belief) > self._margin(prompt)
        own = belief.clamp(2 * CLOSE - HELD, HELD - 2 * CLOSE)
        answer = torch.where(is_sure & self._within(prompt), own, before)
        if not self.options.hold:
            return answer
        return torch.where(prompt.hints != 0, HELD * prompt.hints, answer)

    def calibrate(self, trials: Iterable[Trial]) -> None:
        """Take the smallest margins with which enough of what would change is right.

        Parameters
        ----------
        trials : iterable of Trial
            Of one stroke per patch. Nothing happens if ``options.precision`` is None.
        """
        if self.options.precision is None:
            return
        found: dict[tuple[int, int], list[Tensor]] = {}
        for trial in trials:
            belief = self.belief(trial.features, trial.prompt)
            excess = self._excess(trial.prompt, belief)
            counts = self._within(trial.prompt) & trial.roi & (trial.prompt.hints == 0)
            is_right = (belief > 0) == trial.lines
            kinds = self._kinds(trial.prompt)
            for stroke, change in itertools.product((0, 1), repeat=2):
                chosen = (kinds[0] == stroke) & (kinds[1] == change) & counts & (excess > 0)
                found.setdefault((stroke, change), []).append(
                    torch.stack((excess[chosen].float(), is_right[chosen].float()))
                )
        for kinds_, parts in found.items():
            sureness, rights = torch.cat(parts, dim=1)
            self.margins[kinds_] = _smallest_margin(sureness, rights, self.options.precision)

    def _excess(self, prompt: Prompt, belief: Tensor) -> Tensor:
        """Return by how much the belief contradicts the answer before; negative if it does not."""
        return torch.where(self._before(prompt) > 0, -belief, belief)

    def _kinds(self, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Return the kind of the new stroke, (B, 1, 1, 1), and of any change, (B, 1, H, W).

        0 stands for add, 1 for erase.
        """
        before = self._before(prompt)
        stroke = _news(prompt.hints, before).sum(dim=(1, 2, 3), keepdim=True) < 0
        return stroke.long(), (before > 0).long()

    def _margin(self, prompt: Prompt) -> Tensor:
        stroke, change = self._kinds(prompt)
        return self.margins[stroke, change]

    def _within(self, prompt: Prompt) -> Tensor:
        """Return where anything may change, bool of shape (B, 1, H, W): nowhere without news."""
        new = _news(prompt.hints, self._before(prompt)) != 0
        if self.options.reach is None:
            return new.any(dim=3, keepdim=True).any(dim=2, keepdim=True).expand_as(new)
        return _near(new, self.options.reach)

    def _before(self, prompt: Prompt) -> Tensor:
        if prompt.previous is None or not self.options.feedback:
            return prompt.initial
        return prompt.previous


def _smallest_margin(sureness: Tensor, rights: Tensor, precision: float) -> float:
    """Return the smallest margin beyond which a share of `precision` is right.

    It is infinite if there is none, or less evidence than EVIDENCE pixels for it.

    Parameters
    ----------
    sureness : Tensor, shape (N,)
        Log-odds of the changes that a margin would allow or not.
    rights : Tensor, shape (N,)
        1 if a change is right, else 0.
    precision : float
        Least share.
    """
    order = sureness.argsort(descending=True)
    shares = rights[order].double().cumsum(0) / torch.arange(1, len(order) + 1, device=order.device)
    enough = (shares >= precision).nonzero()
    if len(enough) == 0 or enough[-1] + 1 < EVIDENCE:
        return math.inf
    last = int(enough[-1])
    if last == len(order) - 1:
        return 0.0
    return float(sureness[order[last + 1]])


def _news(hints: Tensor, before: Tensor) -> Tensor:
    """Return the hints that an answer does not hold yet, in {-1, 0, +1}."""
    held = hints * before > HELD - CLOSE
    return hints * ~held


def _halves(hints: Tensor) -> tuple[Tensor, Tensor]:
    return hints.clamp(min=0), (-hints).clamp(min=0)


@torch.no_grad()
def _meant(new: Tensor, initial: Tensor, before: Tensor) -> Tensor:
    """Return how surely a new stroke means each pixel too: log-odds of the weakest link to it.

    Of all ways from an add stroke over pixels that are not line yet, the best
    is the one whose least likely pixel is likeliest, and what it scores is that
    pixel's log-odds of being line; from an erase stroke it runs over line, and
    log-odds of being none count. Grey-scale reconstruction (L. Vincent, IEEE
    Trans. Image Processing 2 (2), 1993, DOI 10.1109/83.217222), STEPS steps of it.

    Parameters
    ----------
    new : Tensor, shape (B, 2, H, W)
        Add and erase strokes, 0 or 1.
    initial, before : Tensor, shape (B, 1, H, W)
        First prediction; answer before.

    Returns
    -------
    meant : Tensor, shape (B, 2, H, W)
        For add and erase, between -HELD and HELD.
    """
    is_line = (before > 0).to(initial.dtype)
    # Along its rim a line would lead to every other one.
    is_rim = functional.max_pool2d(is_line, 2 * RIM + 1, stride=1, padding=RIM) > 0
    missing = initial.masked_fill(is_rim, -HELD)
    superfluous = (-initial).masked_fill(is_line == 0, -HELD)
    open_ = torch.cat((missing, superfluous), dim=1).clamp(-HELD, HELD)
    open_ = torch.where(new > 0, HELD, open_)
    passes = functional.max_pool2d(open_, 2)
    best = torch.where(functional.max_pool2d(new, 2) > 0, HELD, -HELD).to(passes.dtype)
    for _ in range(STEPS):
        best = torch.minimum(passes, functional.max_pool2d(best, 3, stride=1, padding=1))
    return torch.minimum(open_, _twice(best))


def _near(marked: Tensor, reach: int) -> Tensor:
    """Return what lies within `reach` pixels of a marked one along both axes.

    Made of squares of CELL pixels, so that it costs nothing; never farther than `reach`.
    """
    cells = reach // CELL - 1
    near = functional.max_pool2d(marked.float(), CELL)
    near = functional.max_pool2d(near, 2 * cells + 1, stride=1, padding=cells)
    return functional.interpolate(near, scale_factor=CELL, mode="nearest") > 0


class _ImagePyramid(nn.Module):
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


class _PromptBranch(nn.Module):
    """Full resolution and four levels below it; what the image says is added, not looked at again.

    A convolution over image and prompt together is the sum of one over each,
    so the image's summand is computed once per place, for every level.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.shown = nn.Conv2d(PROMPT_CHANNELS, FINE, 3, padding=1, bias=False)
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

    def forward(self, features: Features, shown: Tensor) -> Tensor:
        """Return by how much strokes and image move the first prediction, shape (B, 1, H, W)."""
        fine, *image = features
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
