"""A refiner as one function of one tensor, as model registries want it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from linerefine.refiners.base import Prompt, Refiner

__all__ = ["ServedRefiner"]


class ServedRefiner(nn.Module):
    """A refiner whose image and prompt arrive stacked as channels.

    Parameters
    ----------
    refiner : Refiner
        Used as it is, in the mode and on the device it is in.

    Examples
    --------
    >>> from linerefine.refiners.manual import Manual
    >>> served = ServedRefiner(Manual())
    >>> served(served.example_input(channels=1, edge=32)).shape
    torch.Size([2, 1, 32, 32])
    """

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, stacked: Tensor) -> Tensor:
        """Return refined logits.

        Parameters
        ----------
        stacked : Tensor, shape (B, C + 2, H, W)
            The C channels of the image, the logits of the first prediction,
            the hints in {-1, 0, +1}. H and W are multiples of 32. The first
            prediction also stands for the refiner's previous answer.

        Returns
        -------
        logits : Tensor, shape (B, 1, H, W)
        """
        image, initial, hints = stacked[:, :-2], stacked[:, -2:-1], stacked[:, -1:]
        logits: Tensor = self.refiner(image, Prompt(initial, hints, initial))
        return logits

    @staticmethod
    def example_input(channels: int, edge: int = 128, *, batch: int = 2, seed: int = 0) -> Tensor:
        """Return a random input of the right kind.

        Parameters
        ----------
        channels : int
            Channels of the image.
        edge : int
            Height and width in pixels, a multiple of 32. By default what the
            most demanding architecture, pan, takes without enlarging it.
        batch : int
            Number of inputs.
        seed : int
            Same seed, same input.

        Returns
        -------
        stacked : Tensor of float32, shape (batch, channels + 2, edge, edge)
        """
        chance = torch.Generator().manual_seed(seed)
        stacked = torch.randn((batch, channels + 2, edge, edge), generator=chance)
        hints = torch.randint(-1, 2, (batch, edge, edge), generator=chance)
        stacked[:, -1] = hints.to(stacked.dtype)
        return stacked
