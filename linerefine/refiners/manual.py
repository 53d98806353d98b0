"""The baseline: strokes are pasted on the first prediction and nothing else happens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from linerefine.config import Options
from linerefine.geometry.hints import HINT_LOGIT
from linerefine.refiners.base import Prompt, Refiner

__all__ = ["Manual"]


class Manual(Refiner):
    """First prediction with hints applied, as a person with an eraser and a pen works.

    Parameters
    ----------
    options : Options
        None to choose from.
    channels : int
        Channels of the image, which this refiner never looks at.
    """

    def __init__(self, options: Options | None = None, channels: int = 1) -> None:
        super().__init__()

    def refine(self, features: Any, prompt: Prompt) -> Tensor:
        """Return the first prediction, +-`HINT_LOGIT` where a stroke lies."""
        return torch.where(prompt.hints != 0, prompt.hints * HINT_LOGIT, prompt.initial)
