"""A part of a network that something faster may answer for while nothing is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["Inputs", "Swappable", "every", "listed", "swappable"]

Inputs: TypeAlias = Tensor | tuple[Tensor, ...]
"""What a network is asked: one tensor of shape (B, C, H, W), or several."""


def listed(given: Inputs) -> tuple[Tensor, ...]:
    """Return the tensors that a network is asked."""
    return (given,) if isinstance(given, Tensor) else given


def every(given: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """Return the same, every tensor changed."""
    return change(given) if isinstance(given, Tensor) else tuple(map(change, given))


def swappable(module: nn.Module) -> dict[str, Swappable]:
    """Return the parts of a module that something faster may answer for, by name inside it."""
    parts = module.named_modules()
    return {name: part for name, part in parts if isinstance(part, Swappable)}


class Swappable(nn.Module, ABC):
    """A network whose `body` back-ends build from; see `linerefine.models.backends.accelerate`.

    Attributes
    ----------
    body : nn.Module
        Maps what it is asked to what it answers, plainly.
    fast : callable or None
        What answers instead of `body` while nothing is trained.
    """

    body: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.fast: Callable[[Inputs], Tensor] | None = None

    @property
    @abstractmethod
    def is_mask(self) -> bool:
        """Whether the answer is logits, whose mask counts; else features to go on with."""

    @property
    def is_quantisable(self) -> bool:
        """Whether the values of one input say what those of others are; then int8 can be used."""
        return True

    @property
    @abstractmethod
    def construction(self) -> Mapping[str, Any]:
        """How it was built, its weights left out, as JSON holds it."""

    def answer(self, given: Inputs) -> Tensor:
        """Return what `body` or its substitute answers."""
        if self.fast is not None and not self.training and not torch.is_grad_enabled():
            return self.fast(given)
        return self.plain(given)

    def plain(self, given: Inputs) -> Tensor:
        """Return what the network answers as it was trained."""
        answer: Tensor = self.body(given)
        return answer

    def __getstate__(self) -> dict[str, Any]:
        # Copies and files hold the network, not what runs it on this machine.
        return {**super().__getstate__(), "fast": None}  # type: ignore[no-untyped-call]
