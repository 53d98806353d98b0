"""The fourth interface: what a refiner is asked and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from linerefine.models.segmenter import Segmenter
    from linerefine.refiners.serving import ServedRefiner

__all__ = ["Prompt", "Refiner"]


@dataclass(frozen=True)
class Prompt:
    """What a refiner gets besides the image.

    Parameters
    ----------
    initial : Tensor, shape (B, 1, H, W)
        Logits of the first prediction; never changed by strokes.
    hints : Tensor, shape (B, 1, H, W)
        All strokes so far, in {-1, 0, +1}, float.
    previous : Tensor, shape (B, 1, H, W), or None
        Logits of this refiner's last answer; before any, ``initial`` or what
        `Refiner.revise` made of it.
    """

    initial: Tensor
    hints: Tensor
    previous: Tensor | None = None


class Refiner(nn.Module, ABC):
    """Redraws a prediction around a person's strokes; in use it never sees a target.

    The work is split so that what does not change is not recomputed:
    `encode` is called once per place, `refine` once per stroke.
    """

    def encode(self, image: Tensor, initial: Tensor) -> Any:
        """Return what no stroke changes; by default the image itself.

        Parameters
        ----------
        image : Tensor, shape (B, C, H, W)
            Normalised channels; H and W are multiples of 32.
        initial : Tensor, shape (B, 1, H, W)
            Logits of the first prediction, the same for all strokes at a place.
        """
        return image

    @property
    def revises(self) -> bool:
        """Whether `revise` is to be asked; by default not."""
        return False

    def revise(self, features: Any, initial: Tensor) -> Tensor:
        """Return what it makes of the first prediction before there are strokes.

        A session asks once, about the whole image, where `revises` says so,
        and begins with the answer. By default the first prediction itself.

        Parameters
        ----------
        features : object
            What `encode` returned for the same place and batch.
        initial : Tensor, shape (B, 1, H, W)
            Logits of the first prediction.

        Returns
        -------
        logits : Tensor, shape (B, 1, H, W)
        """
        return initial

    @abstractmethod
    def refine(self, features: Any, prompt: Prompt) -> Tensor:
        """Return refined logits.

        Parameters
        ----------
        features : object
            What `encode` returned for the same place and batch.
        prompt : Prompt
            First prediction, strokes, previous answer.

        Returns
        -------
        logits : Tensor, shape (B, 1, H, W)
        """

    def answers(self, features: Any, prompt: Prompt) -> list[Tensor]:
        """Return every answer that training judges; by default that of `refine` alone.

        A refiner that corrects itself in several steps returns the answer of
        each, in order: training makes the mean of their losses small, and so
        every step learns from the target directly (deep supervision).

        Parameters
        ----------
        features : object
            What `encode` returned for the same place and batch.
        prompt : Prompt
            First prediction, strokes, previous answer.

        Returns
        -------
        answers : list of Tensor, each of shape (B, 1, H, W)
            Logits; the last are what `refine` returns.
        """
        return [self.refine(features, prompt)]

    def revisions(self, features: Any, initial: Tensor) -> list[Tensor]:
        """Return what training judges where `revises` says so; by default what `revise` returns.

        Parameters
        ----------
        features : object
            What `encode` returned for the same place and batch.
        initial : Tensor, shape (B, 1, H, W)
            Logits of the first prediction.

        Returns
        -------
        answers : list of Tensor, each of shape (B, 1, H, W)
            Logits; the last are what `revise` returns.
        """
        return [self.revise(features, initial)]

    def begin_from(self, segmenter: Segmenter) -> None:
        """Take over what the first-prediction network has learnt; called once, before training.

        By default nothing: the weights are those the refiner was built with.
        Before a run trains anything it asks a refiner that it throws away to
        begin from an untrained network, so that what cannot fit is refused at once.

        Parameters
        ----------
        segmenter : Segmenter
            Not to be changed.

        Raises
        ------
        ConfigError
            If the refiner cannot begin from such a network.
        """

    def forward(self, image: Tensor, prompt: Prompt) -> Tensor:
        """Return ``refine(encode(image, prompt.initial), prompt)``."""
        return self.refine(self.encode(image, prompt.initial), prompt)

    def served(self) -> ServedRefiner:
        """Return this refiner as a function of one tensor, for model registries."""
        from linerefine.refiners.serving import ServedRefiner

        return ServedRefiner(self)

    @property
    def is_trainable(self) -> bool:
        """Whether there is anything to train."""
        return any(parameter.requires_grad for parameter in self.parameters())
