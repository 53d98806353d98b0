"""When to stop, and when to take smaller steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from linerefine.config import TrainingConfig

__all__ = ["CosineSchedule", "EarlyStopping", "PlateauSchedule", "make_schedule"]

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


class PlateauSchedule:
    """Lowers the learning rate when the score stops rising (paper, section 4.1)."""

    def __init__(self, optimizer: Optimizer, config: TrainingConfig) -> None:
        self._plateau = ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            threshold=PLATEAU_THRESHOLD,
            threshold_mode="abs",
        )

    def after_step(self, done: int) -> None:
        """Do nothing: this schedule moves by epochs."""

    def after_epoch(self, score: float) -> None:
        """Take note of an epoch's score, larger being better."""
        self._plateau.step(score)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs."""
        return dict(self._plateau.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._plateau.load_state_dict(dict(state))


class CosineSchedule:
    """Raises the learning rate over the first tenth of all steps, then lets it fall to nothing.

    For trainings of few steps, whose length is fixed beforehand and too short
    for a score to stop rising.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are the peaks.
    total : int
        Steps of the whole training.
    """

    WARM_UP = 0.1

    def __init__(self, optimizer: Optimizer, total: int) -> None:
        self._optimizer = optimizer
        self._peaks = [group["lr"] for group in optimizer.param_groups]
        self._total = total
        self.after_step(0)

    def after_step(self, done: int) -> None:
        """Set the learning rate of the next step; `done` steps were taken since the start."""
        factor = self._factor(done)
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor

    def after_epoch(self, score: float) -> None:
        """Do nothing: this schedule moves by steps and looks at no score."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs; the optimizer holds the current rates."""
        return {"peaks": list(self._peaks)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._peaks = list(state["peaks"])

    def _factor(self, done: int) -> float:
        warm_up = max(1, round(self.WARM_UP * self._total))
        if done < warm_up:
            return (done + 1) / warm_up
        share = min(1.0, (done - warm_up) / max(1, self._total - warm_up))
        return 0.5 * (1 + math.cos(math.pi * share))


def make_schedule(
    optimizer: Optimizer, config: TrainingConfig, total: int
) -> PlateauSchedule | CosineSchedule:
    """Return the schedule a configuration names, for a training of at most `total` steps."""
    if config.schedule == "cosine":
        return CosineSchedule(optimizer, total)
    return PlateauSchedule(optimizer, config)
