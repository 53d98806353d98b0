"""Stand-ins for a refiner: one that knows the truth, one that knows nothing."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from linerefine.errors import ShapeError
from linerefine.refiners.base import Prompt, Refiner
from linerefine.testing.drawing import LEVEL

__all__ = ["NoisyRefiner", "OracleRefiner"]


class OracleRefiner(Refiner):
    """Answers with the true lines, whatever is drawn.

    Parameters
    ----------
    mask : array_like of bool, shape (H, W), or None
        The truth, for inputs of exactly this size. None reads it off the first
        channel of a drawn image, whose lines are the pixels above 0.5; that
        works on crops of any place.
    strength : float
        Logit of a line pixel; all others get its negative.
    """

    def __init__(self, mask: ArrayLike | None = None, *, strength: float = 10.0) -> None:
        super().__init__()
        self._truth = None if mask is None else torch.as_tensor(mask).bool()[None, None]
        self._strength = strength

    def encode(self, image: Tensor, initial: Tensor) -> Tensor:
        """Return the true lines as bool, shape (B, 1, H, W)."""
        if self._truth is None:
            return image[:, :1] > LEVEL
        if self._truth.shape[-2:] != image.shape[-2:]:
            msg = (
                f"OracleRefiner knows a mask of shape {tuple(self._truth.shape[-2:])}, the image "
                f"is {tuple(image.shape)}; H and W must agree."
            )
            raise ShapeError(msg)
        return self._truth.to(image.device).expand(len(image), -1, -1, -1)

    def refine(self, features: Tensor, prompt: Prompt) -> Tensor:
        """Return +-``strength``, shape (B, 1, H, W)."""
        return torch.where(features, self._strength, -self._strength).to(prompt.initial.dtype)


class NoisyRefiner(Refiner):
    """Adds the same noise to every first prediction: harmful, but reproducible.

    Parameters
    ----------
    amount : float
        Standard deviation of the noise, in logits.
    seed : int
        Of the noise.
    """

    def __init__(self, amount: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self._amount = amount
        self._seed = seed

    def refine(self, features: object, prompt: Prompt) -> Tensor:
        """Return the first prediction plus noise that depends on the size alone."""
        generator = torch.Generator().manual_seed(self._seed)
        noise = torch.randn(prompt.initial.shape[-2:], generator=generator)
        return prompt.initial + self._amount * noise.to(prompt.initial)
