"""Contract check of refiners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from linerefine.refiners.base import Prompt, Refiner
from linerefine.testing.demands import demand, unchanged_randomness

__all__ = ["check_refiner"]

_SIZES = ((64, 64), (64, 96), (96, 64))
_BATCH = 2


def check_refiner(refiner: Refiner, *, channels: int = 1, tolerance: float = 1e-3) -> None:
    """Check that a refiner keeps the promises of `Refiner`.

    Parameters
    ----------
    refiner : Refiner
        On the CPU; its weights and its training mode are left as they are.
    channels : int
        Image channels it was made for.
    tolerance : float
        Largest difference of logits between alone and in a batch, relative to
        the largest logit.

    Raises
    ------
    AssertionError
        Says which promise is broken and how to mend it.
    """
    who = type(refiner).__name__
    demand(isinstance(refiner, Refiner), f"{who} is no Refiner; derive it from linerefine.Refiner.")
    with _evaluating(refiner), unchanged_randomness(who), torch.no_grad():
        for size in _SIZES:
            _check_answers(refiner, _drawn_input(channels, size), who, tolerance)
    if refiner.is_trainable:
        _check_gradients(refiner, _drawn_input(channels, _SIZES[0]), who)


@dataclass(frozen=True)
class _Input:
    """A batch of images and two different prompts for it."""

    image: Tensor
    prompt: Prompt
    other: Prompt

    def alone(self, index: int) -> _Input:
        part = slice(index, index + 1)
        return _Input(self.image[part], _part(self.prompt, part), _part(self.other, part))

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield "image", self.image
        for prompt in (self.prompt, self.other):
            for name in ("initial", "hints", "previous"):
                tensor = getattr(prompt, name)
                if tensor is not None:
                    yield name, tensor


def _part(prompt: Prompt, part: slice) -> Prompt:
    previous = None if prompt.previous is None else prompt.previous[part]
    return Prompt(prompt.initial[part], prompt.hints[part], previous)


def _drawn_input(channels: int, size: tuple[int, int]) -> _Input:
    generator = torch.Generator().manual_seed(3)

    def noise(count: int) -> Tensor:
        return torch.randn((_BATCH, count, *size), generator=generator)

    first, second = noise(1), noise(1)
    hints = torch.zeros_like(first)
    hints[:, :, 20:26, 10:40] = 1
    hints[1, :, 40:50, 30:36] = -1
    prompt = Prompt(4 * first, hints, 4 * first)
    return _Input(noise(channels), prompt, Prompt(4 * second, -hints, None))


def _check_answers(refiner: Refiner, drawn: _Input, who: str, tolerance: float) -> None:
    before = [(name, tensor, tensor.clone()) for name, tensor in drawn.tensors()]
    features = refiner.encode(drawn.image, drawn.prompt.initial)
    answer = refiner.refine(features, drawn.prompt)
    _check_form(answer, drawn, who)
    refiner.refine(features, drawn.other)
    again = refiner.refine(features, drawn.prompt)
    demand(
        torch.equal(answer, again),
        f"{who}.refine answers the same question differently the second time; "
        f"it must not change `features`, nor draw at random, in evaluation mode.",
    )
    _check_close(refiner(drawn.image, drawn.prompt), answer, tolerance, f"{who}.forward")
    judged = refiner.answers(features, drawn.prompt)
    demand(judged, f"{who}.answers returned none; expected at least that of `refine`.")
    for each in judged:
        _check_form(each, drawn, who, "answers")
    _check_close(judged[-1], answer, tolerance, f"{who}.refine and the last of {who}.answers")
    for index in range(_BATCH):
        alone = drawn.alone(index)
        single = refiner.refine(refiner.encode(alone.image, alone.prompt.initial), alone.prompt)
        _check_form(single, alone, who)
        _check_close(single, answer[index : index + 1], tolerance, f"{who} alone and in a batch")
    if refiner.revises:
        _check_revision(refiner, drawn, who, tolerance)
    for name, tensor, copy in before:
        demand(torch.equal(tensor, copy), f"{who} changed `{name}`; work on a copy of it.")


def _check_revision(refiner: Refiner, drawn: _Input, who: str, tolerance: float) -> None:
    initial = drawn.prompt.initial
    features = refiner.encode(drawn.image, initial)
    answer = refiner.revise(features, initial)
    _check_form(answer, drawn, who, "revise")
    demand(
        torch.equal(answer, refiner.revise(features, initial)),
        f"{who}.revise answers differently the second time; it must not change `features`, nor "
        f"draw at random, in evaluation mode.",
    )
    judged = refiner.revisions(features, initial)
    demand(judged, f"{who}.revisions returned none; expected at least that of `revise`.")
    for each in judged:
        _check_form(each, drawn, who, "revisions")
    _check_close(judged[-1], answer, tolerance, f"{who}.revise and the last of {who}.revisions")
    for index in range(_BATCH):
        one = drawn.alone(index)
        single = refiner.revise(refiner.encode(one.image, one.prompt.initial), one.prompt.initial)
        what = f"{who}.revise alone and in a batch"
        _check_close(single, answer[index : index + 1], tolerance, what)


def _check_form(answer: Tensor, drawn: _Input, who: str, method: str = "refine") -> None:
    expected = (len(drawn.image), 1, *drawn.image.shape[-2:])
    demand(
        tuple(answer.shape) == expected,
        f"{who}.{method} returned shape {tuple(answer.shape)} for images of shape "
        f"{tuple(drawn.image.shape)}; expected {expected}.",
    )
    demand(
        answer.is_floating_point() and bool(torch.isfinite(answer).all()),
        f"{who}.{method} returned {answer.dtype} or values that are not finite; "
        f"expected logits: finite floating point numbers.",
    )


def _check_close(one: Tensor, other: Tensor, tolerance: float, what: str) -> None:
    scale = max(1.0, float(other.abs().max()))
    difference = float((one - other).abs().max())
    demand(
        difference <= tolerance * scale,
        f"{what}: answers differ by {difference:.3g} (tolerance {tolerance * scale:.3g}); "
        f"one sample's answer must not depend on the others or on the way it is asked.",
    )


def _check_gradients(refiner: Refiner, drawn: _Input, who: str) -> None:
    """Demand that a loss on the answer reaches the weights; leaves no gradients behind."""
    weights = [parameter for parameter in refiner.parameters() if parameter.requires_grad]
    with _evaluating(refiner):
        loss = refiner(drawn.image, drawn.prompt).square().mean()
    demand(
        loss.requires_grad,
        f"{who} has weights to train, but no gradient reaches them; do not detach the answer.",
    )
    gradients: Sequence[Tensor | None] = torch.autograd.grad(loss, weights, allow_unused=True)
    found = [gradient for gradient in gradients if gradient is not None]
    demand(
        found and all(torch.isfinite(gradient).all() for gradient in found),
        f"{who}: gradients are NaN or infinite, or reach no weight.",
    )


@contextmanager
def _evaluating(refiner: Refiner) -> Iterator[None]:
    """Put every part in evaluation mode, and back into what it was in."""
    modes = {module: module.training for module in refiner.modules()}
    refiner.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
