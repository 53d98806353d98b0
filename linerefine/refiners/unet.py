"""The paper's refiner: one encoder-decoder over image, first prediction and strokes."""

from __future__ import annotations

import torch
from torch import Tensor

from linerefine.models.segmenter import build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.options import UNetOptions

__all__ = ["UNetRefiner"]


class UNetRefiner(Refiner):
    """Image, first prediction and hint map stacked as channels of one network.

    Parameters
    ----------
    options : UNetOptions
        Architecture and encoder.
    channels : int
        Channels of the image.

    Notes
    -----
    The network sees, in the order of the authors' code, the image, the
    *logits* of the first prediction (unbounded) and the hints in {-1, 0, +1}.
    Its first layer mixes all three, so nothing can be computed before the
    strokes are known and `encode` returns the image itself.
    """

    def __init__(self, options: UNetOptions | None = None, channels: int = 1) -> None:
        super().__init__()
        self.network = build_network((options or UNetOptions()).network, channels + 2)

    def refine(self, features: Tensor, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        stacked = torch.cat((features, prompt.initial, prompt.hints), dim=1)
        logits: Tensor = self.network(stacked)
        return logits
