"""What a back-end is asked: can you run here, and make me something that runs this network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from linerefine.models.swapping import Inputs

__all__ = ["Backend", "Calibration", "Runner"]

Runner: TypeAlias = Callable[[Inputs], Tensor]
"""Maps what a network is asked to its answer in float32, on the same device."""

Calibration: TypeAlias = Sequence[Inputs]
"""Typical inputs; only int8 back-ends look at them."""


@dataclass(frozen=True)
class Backend(ABC):
    """One way to run a network that is not being trained.

    Parameters
    ----------
    name : str
        What ``--backend`` takes.
    summary : str
        One line for people.
    shapes : int or None
        None: what `build` returns takes inputs of every shape. A number: it
        takes the example's shape only, and so many are worth building.
    general : str
        The back-end of the same precision for all shapes beyond those.
    unquantised : str
        The back-end of the same engine for networks that cannot be quantised;
        none: it does not quantise.
    """

    name: str
    summary: str
    shapes: int | None = None
    general: str = ""
    unquantised: str = field(default="", kw_only=True)

    @abstractmethod
    def obstacle(self, device: torch.device) -> str | None:
        """Return why this back-end cannot run on a device, and the remedy; None if it can."""

    @abstractmethod
    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        """Return a function that runs a network.

        Parameters
        ----------
        network : nn.Module
            In evaluation mode, float32; never changed. Later changes of its
            weights need not be followed.
        example : Tensor of float32, shape (B, C, H, W), or several
            An input as it will come, on the device of the network.
        calibration : sequence of the same
            Typical inputs, for int8; the example if empty.

        Returns
        -------
        run : Runner
            The same input gives the same bits every time.
        """
