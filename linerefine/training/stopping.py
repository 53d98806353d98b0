"""When to stop, and when to take smaller steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from linerefine.config import TrainingConfig

__all__ = ["EarlyStopping", "plateau_schedule"]

PLATEAU_THRESHOLD = 1e-4
"""Least absolute change of the score that ends a plateau."""


class EarlyStopping:
    """Says when a score has not risen for a while.

    Parameters
    ----------
    patience : int
        Epochs without improvement before stopping.
    min_delta : float
        Only a rise by more than this is an improvement.

    Examples
    --------
    >>> stopping = EarlyStopping(patience=2, min_delta=0.1)
    >>> [stopping.update(score) for score in (0.5, 0.55, 0.7, 0.7, float("nan"))]
    [False, False, False, False, True]
    """

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience = patience
        self.min_delta = min_delta
        self.best = -math.inf
        self.waited = 0

    def update(self, score: float) -> bool:
        """Take note of a score, higher is better, and say whether to stop.

        An undefined score (nan) is no improvement.
        """
        if score > self.best + self.min_delta:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        return self.should_stop

    @property
    def should_stop(self) -> bool:
        """Whether patience has run out."""
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, float]:
        """Return what `load_state_dict` needs."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on where `state_dict` was taken."""
        self.best, self.waited = float(state["best"]), int(state["waited"])


def plateau_schedule(optimizer: Optimizer, config: TrainingConfig) -> ReduceLROnPlateau:
    """Return the schedule that lowers the learning rate when the score stops rising."""
    return ReduceLROnPlateau(
        optimizer,
        mode="max",
        factor=config.plateau_factor,
        patience=config.plateau_patience,
        threshold=PLATEAU_THRESHOLD,
        threshold_mode="abs",
    )
