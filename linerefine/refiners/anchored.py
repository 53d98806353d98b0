"""A refiner that is trained for how it is used: each answer is anchored in the one before."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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

FOLLOWED = 40
"""Pixels from an erase stroke up to which the line it lies on may go."""

RIDGE = 3
"""Pixels on either side of the middle of a line that are compared with it."""

FAINTEST = 0.25
"""Least logits of what was changed."""

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
        self.network = build_network(network, channels + 1, outputs=FINE)
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
        alike = {
            name: _with_one_more(learnt[name], own[name])
            for name in own.keys() - head
            if name in learnt
        }
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

    def encode(self, image: Tensor, initial: Tensor) -> Features:
        """Return what no stroke changes, at full resolution and at each level of the branch."""
        fine: Tensor = self.network(torch.cat((image, initial / HELD), dim=1))
        return fine, *self.pyramid(fine)

    def refine(self, features: Features, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        asked = self._asked(prompt)
        return self._answer(asked, self._belief(features, asked))

    def answers(self, features: Features, prompt: Prompt) -> list[Tensor]:
        """Return what the network believes, and the answer.

        Training learns from the belief alone, everywhere within reach: also
        where the answer before stays, for what is not judged does not learn to
        be sure.
        """
        asked = self._asked(prompt)
        belief = self._belief(features, asked)
        judged = torch.where(self._within(asked), belief, asked.before)
        return [judged, self._answer(asked, belief.detach())]

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
        return self._belief(features, self._asked(prompt))

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
            asked = self._asked(trial.prompt)
            belief = self._belief(trial.features, asked)
            excess = asked.excess(belief)
            counts = self._open(asked) & trial.roi & (asked.hints == 0)
            is_right = (belief > 0) == trial.lines
            for stroke, change in itertools.product((0, 1), repeat=2):
                is_of_kind = (asked.stroke == stroke) & (asked.change == change)
                chosen = is_of_kind & counts & (excess > 0)
                found.setdefault((stroke, change), []).append(
                    torch.stack((excess[chosen].float(), is_right[chosen].float()))
                )
        for kinds, parts in found.items():
            sureness, rights = torch.cat(parts, dim=1)
            self.margins[kinds] = _smallest_margin(sureness, rights, self.options.precision)

    def _asked(self, prompt: Prompt) -> _Asked:
        before = prompt.previous
        if before is None or not self.options.feedback:
            before = prompt.initial
        return _Asked.of(prompt.initial, prompt.hints, before)

    def _belief(self, features: Features, asked: _Asked) -> Tensor:
        shown = (
            asked.initial / HELD,
            asked.before / HELD,
            2 * asked.before.sigmoid() - 1,
            *_halves(asked.hints),
            asked.new,
            asked.meant / HELD,
        )
        change: Tensor = self.branch(features, torch.cat(shown, dim=1))
        return asked.initial + change

    def _answer(self, asked: _Asked, belief: Tensor) -> Tensor:
        excess = asked.excess(belief)
        is_sure = excess > self.margins[asked.stroke, asked.change]
        # With a margin below 0 a pixel changes that the belief does not quite contradict.
        surest = HELD - 2 * CLOSE
        own = asked.opposite * excess.clamp(FAINTEST, surest)
        answer = torch.where(is_sure & self._open(asked), own, asked.before)
        if not self.options.hold:
            return answer
        return torch.where(asked.hints != 0, HELD * asked.hints, answer)

    def _open(self, asked: _Asked) -> Tensor:
        """Return what the network may change at all, bool of shape (B, 1, H, W)."""
        within = self._within(asked)
        return within & ~asked.spines() if self.options.thin else within

    def _within(self, asked: _Asked) -> Tensor:
        """Return where anything may change, bool of shape (B, 1, H, W): nowhere without news."""
        new = asked.new.amax(dim=1, keepdim=True) > 0
        if self.options.reach is None:
            return new.any(dim=3, keepdim=True).any(dim=2, keepdim=True).expand_as(new)
        return _near(new, self.options.reach)


@dataclass(frozen=True)
class _Asked:
    """What a prompt says, taken apart once.

    Parameters
    ----------
    initial, hints, before : Tensor, shape (B, 1, H, W)
        First prediction, all strokes, the answer that the next one starts from.
    new : Tensor, shape (B, 2, H, W)
        Add and erase strokes that the answer before does not hold yet, 0 or 1.
    meant : Tensor, shape (B, 2, H, W)
        How surely a new add or erase stroke means each pixel, as `_meant` says.
    """

    initial: Tensor
    hints: Tensor
    before: Tensor
    new: Tensor
    meant: Tensor

    @classmethod
    def of(cls, initial: Tensor, hints: Tensor, before: Tensor) -> _Asked:
        is_held = hints * before > HELD - CLOSE
        new = torch.cat(_halves(hints * ~is_held), dim=1)
        return cls(initial, hints, before, new, _meant(new, initial, before))

    @property
    def stroke(self) -> Tensor:
        """Kind of the new stroke, 0 for add, 1 for erase; shape (B, 1, 1, 1)."""
        added, erased = self.new.sum(dim=(2, 3)).split(1, dim=1)
        return (erased > added).long()[..., None, None]

    @property
    def change(self) -> Tensor:
        """Kind of any change, 0 for adding, 1 for erasing; shape (B, 1, H, W)."""
        return (self.before > 0).long()

    @property
    def opposite(self) -> Tensor:
        """Sign of what the answer before is not; shape (B, 1, H, W)."""
        return 1 - 2 * self.change.to(self.before.dtype)

    def excess(self, belief: Tensor) -> Tensor:
        """Return by how much a belief contradicts the answer before; negative if it does not."""
        return self.opposite * belief

    def spines(self) -> Tensor:
        """Return the middles of lines that no erase stroke means, bool of shape (B, 1, H, W)."""
        smooth = functional.avg_pool2d(self.before.sigmoid(), 2 * RIM + 1, stride=1, padding=RIM)
        middle = (self.before > 0) & _is_ridge(smooth)
        is_meant = (self.meant[:, 1:] > -HELD) & _near(self.new[:, 1:] > 0, FOLLOWED)
        return middle & ~is_meant


def _with_one_more(learnt: Tensor, own: Tensor) -> Tensor:
    """Return learnt weights, with none for one more input channel if they lack just that."""
    if learnt.ndim < 2 or own.shape[1] != learnt.shape[1] + 1:
        return learnt
    return torch.cat((learnt, torch.zeros_like(own[:, :1])), dim=1)


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
    near = is_line
    for _ in range(RIM):
        near = _grown(near)
    is_rim = near > 0
    missing = initial.masked_fill(is_rim, -HELD)
    superfluous = (-initial).masked_fill(is_line == 0, -HELD)
    open_ = torch.cat((missing, superfluous), dim=1).clamp(-HELD, HELD)
    open_ = torch.where(new > 0, HELD, open_)
    passes, marked = _halved(open_), _halved(new)
    best = torch.where(marked > 0, HELD, -HELD).to(passes.dtype)
    for _ in range(STEPS):
        best = torch.minimum(passes, _grown(best))
    return torch.minimum(open_, _twice(best))


def _halved(values: Tensor) -> Tensor:
    """Return the largest of each square of two by two pixels."""
    columns = torch.maximum(values[..., ::2], values[..., 1::2])
    return torch.maximum(columns[..., ::2, :], columns[..., 1::2, :])


def _grown(values: Tensor) -> Tensor:
    """Return the largest of each pixel and its eight neighbours.

    On a CPU slices take a twentieth of the time of ``max_pool2d``.
    """
    wide = functional.pad(values, (1, 1, 1, 1), value=-HELD)
    rows = torch.maximum(torch.maximum(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    return torch.maximum(torch.maximum(rows[..., :-2, :], rows[..., 1:-1, :]), rows[..., 2:, :])


def _is_ridge(values: Tensor) -> Tensor:
    """Return where a pixel is the largest of its row, column or diagonal, RIDGE pixels each way."""
    height, width = values.shape[-2:]
    wide = functional.pad(values, (RIDGE,) * 4, mode="replicate")
    found = torch.zeros_like(values, dtype=torch.bool)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        largest = values
        for step in (*range(-RIDGE, 0), *range(1, RIDGE + 1)):
            top, left = RIDGE + step * down, RIDGE + step * right
            largest = torch.maximum(largest, wide[..., top : top + height, left : left + width])
        found |= values >= largest
    return found


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
