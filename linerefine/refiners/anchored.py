"""A refiner that is trained for how it is used: each answer is anchored in the one before."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.asked import CLOSE, HELD, Asked, halves, middles
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.branches import FINE, Features, ImagePyramid, PromptBranch
from linerefine.refiners.options import AnchoredOptions

__all__ = ["Anchored"]

PROMPT_CHANNELS = 7
"""First prediction, answer before (logits and probability), strokes, new strokes."""

FAINTEST = 0.25
"""Least logits of what was changed, though the belief may say less."""


class Anchored(Refiner):
    """Keeps its last answer, but for pixels that are likely enough to be wrong.

    Parameters
    ----------
    options : AnchoredOptions
        Image branch, width of the prompt branch, which ingredients are used.
    channels : int
        Channels of the image.

    Notes
    -----
    The network's `belief` is the log-odds that a pixel is line, given the
    image, the first prediction and every stroke so far. An answer changes only
    where that contradicts the answer before by more than a margin; all else
    stays as it was, bit for bit.

    How sure it must be depends on stroke and change, for these say how often
    it is wrong. Additions after an erase stroke are right least often, so there
    are none. In the middle of a line that no erase stroke lies on it must be
    surer to erase than at its rim (``options.cut``): lines become thinner, and
    are seldom cut.

    The middle of a line, where the belief has a ridge, is a pixel or two wide:
    adding it spoils little where there is no line, and joins much where there
    is one. So rules that add more freely add middles.

    Before there is a stroke it looks at the whole image once (`revise`), so that
    nobody has to draw in every corner to have its opinion there
    (``options.look``). Where by its own belief the first prediction is poor, a
    smaller margin is enough to add (``options.lenient``). What that look left it
    does not judge again with every stroke, but for what it is surer of
    (``options.margins``).

    What an add stroke says is the difference between the belief with it and
    without it: where it raises the belief by ``options.lift`` the line goes on,
    and less is asked for (``options.lifted``).

    `encode` runs the image branch, a whole encoder-decoder; `refine` the prompt
    branch alone, most of which works at half resolution and below. A session
    therefore pays for the image once per place.
    """

    def __init__(self, options: AnchoredOptions | None = None, channels: int = 1) -> None:
        super().__init__()
        self.options = options = options or AnchoredOptions()
        network = options.network or NetworkConfig()
        self.network = build_network(network, channels, outputs=FINE)
        widths = (options.width, *[2 * options.width] * 3)
        self.pyramid = ImagePyramid(widths)
        self.branch = PromptBranch(PROMPT_CHANNELS, widths)

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

    def encode(self, image: Tensor, initial: Tensor) -> Features:
        """Return what no stroke changes, at full resolution and at each level of the branch."""
        fine: Tensor = _channels_last(self.network(image))
        return fine, *self.pyramid(fine)

    @property
    def revises(self) -> bool:
        """Whether it looks at the whole image before the first stroke, as its options say."""
        return self.options.revise

    def revise(self, features: Features, initial: Tensor) -> Tensor:
        """Return the first prediction without what it is sure is wrong, shape (B, 1, H, W)."""
        asked = _unasked(initial)
        return self._revised(asked, self._belief(features, asked))

    def revisions(self, features: Features, initial: Tensor) -> list[Tensor]:
        """Return what the network believes before there are strokes, and what comes of it.

        As for `answers`, only the first has a gradient.
        """
        asked = _unasked(initial)
        belief = self._belief(features, asked)
        return [belief, self._revised(asked, belief.detach())]

    def refine(self, features: Features, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        asked = self._asked(prompt)
        return self._redrawn(features, asked, self._belief(features, asked))

    def answers(self, features: Features, prompt: Prompt) -> list[Tensor]:
        """Return what the network believes, and the answer.

        Training learns from the belief alone, everywhere: also where the
        answer before stays, for what is not judged does not learn to
        be sure. The answer has no gradient; the next round starts from it.
        """
        asked = self._asked(prompt)
        belief = self._belief(features, asked)
        return [belief, self._redrawn(features, asked, belief.detach())]

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

    def _asked(self, prompt: Prompt) -> Asked:
        before = prompt.previous
        if before is None or not self.options.feedback:
            before = prompt.initial
        return Asked(prompt.initial, prompt.hints, before)

    def _belief(self, features: Features, asked: Asked) -> Tensor:
        shown = [
            asked.initial / HELD,
            asked.before / HELD,
            2 * asked.before.sigmoid() - 1,
            *halves(asked.hints),
            asked.new,
        ]
        change: Tensor = self.branch(features, _channels_last(torch.cat(shown, dim=1)))
        return asked.initial + change

    def _revised(self, asked: Asked, belief: Tensor) -> Tensor:
        """Return what it makes of the first prediction."""
        look = self.options.look
        to_add = torch.full_like(belief, look.add)
        if self.options.lenient:
            to_add = to_add.minimum(asked.expected_f(belief).logit().clamp(min=0) / 2)
        to_add = torch.where(middles(belief), to_add.clamp(max=look.middle), to_add)
        margins = torch.where(asked.is_line, self._to_erase(asked, look.erase), to_add)
        return self._answer(asked, belief, margins, torch.ones_like(asked.is_line))

    def _redrawn(self, features: Features, asked: Asked, belief: Tensor) -> Tensor:
        """Return the answer to a new stroke."""
        to_add = torch.full_like(belief, self.options.margins.add)
        # Not while it learns, whose sessions need not be as good: it takes a second pass.
        if self.options.lift is not None and not self.training and _may_hold(asked.adds):
            with torch.no_grad():
                lift = belief - self._belief(features, asked.without_new())
            add, middle = self.options.lifted.add, self.options.lifted.middle
            least = torch.where(middles(belief), min(add, middle), add)
            to_add = torch.where(lift > self.options.lift, to_add.minimum(least), to_add)
        to_add = torch.where(asked.adds, to_add, math.inf)
        to_erase = self._to_erase(asked, self.options.margins.erase)
        margins = torch.where(asked.is_line, to_erase, to_add)
        return self._answer(asked, belief, margins, asked.is_new)

    def _answer(self, asked: Asked, belief: Tensor, margins: Tensor, is_open: Tensor) -> Tensor:
        """Return the answer before with what is surely wrong of what is open changed."""
        excess = asked.excess(belief)
        is_sure = excess > margins
        # With a margin below 0 a pixel changes that the belief does not quite contradict.
        surest = HELD - 2 * CLOSE
        own = asked.opposite * excess.clamp(FAINTEST, surest)
        answer = torch.where(is_sure & is_open, own, asked.before)
        if not self.options.hold:
            return answer
        return torch.where(asked.hints != 0, HELD * asked.hints, answer)

    def _to_erase(self, asked: Asked, margin: float) -> Tensor:
        """Return how sure it must be to erase each pixel, shape (B, 1, H, W)."""
        cut = math.inf if self.options.cut is None else max(self.options.cut, margin)
        rims = torch.full_like(asked.before, margin)
        return rims.masked_fill(asked.spines(), cut)


def _may_hold(condition: Tensor) -> bool:
    """Return whether something holds anywhere; in an exported graph, which has one way, yes."""
    is_traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return is_traced or torch.compiler.is_compiling() or bool(condition.any())


def _channels_last(values: Tensor) -> Tensor:
    """Return the same in a layout in which a CPU convolves few channels faster."""
    return values.contiguous(memory_format=torch.channels_last)


def _unasked(initial: Tensor) -> Asked:
    """Return what is asked before there is a stroke."""
    return Asked(initial, torch.zeros_like(initial), initial)
