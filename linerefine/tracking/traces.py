"""The arithmetic behind the pictures: means of step curves, crossings, the fitted density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "GammaFit", "crossing", "gamma_density", "gamma_words", "mean_steps"]

GRID = 400
"""Points of a mean curve."""


class GammaFit(Protocol):
    """What a histogram needs of `linerefine.geometry.widths.WidthStatistics`."""

    @property
    def mean(self) -> float:
        """Mean of all widths."""

    @property
    def sd(self) -> float:
        """Their standard deviation."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def kept(self) -> int:
        """How many lie within two standard deviations of the mean."""

    @property
    def kept_mean(self) -> float:
        """Mean of those."""

    @property
    def kept_sd(self) -> float:
        """Standard deviation of those."""

    @property
    def gamma_shape(self) -> float:
        """Shape of the gamma distribution fitted to those."""

    @property
    def gamma_loc(self) -> float:
        """Its location."""

    @property
    def gamma_scale(self) -> float:
        """Its scale."""


def mean_steps(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of step curves on a common grid; ended ones keep their last value."""
    grid = np.linspace(0, max(float(effort[-1]) for effort, _ in curves), GRID)
    values = [score[np.searchsorted(effort, grid, side="right") - 1] for effort, score in curves]
    known = np.count_nonzero(~np.isnan(values), axis=0)
    total = np.nansum(values, axis=0)
    return grid, np.divide(total, known, out=np.full(GRID, np.nan), where=known > 0)


def crossing(
    effort: NDArray[np.float64], manual: NDArray[np.float64], refined: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the best manual score, and the effort to reach it by hand and refined (or nan)."""
    if np.isnan(manual).all():
        return math.nan, math.nan, math.nan
    best = float(np.nanmax(manual))
    reached = np.flatnonzero(refined >= best)
    by_hand = float(effort[np.flatnonzero(manual >= best)[0]])
    return best, by_hand, float(effort[reached[0]]) if reached.size else math.nan


def gamma_density(at: NDArray[np.float64], fit: GammaFit) -> NDArray[np.float64] | None:
    """Return the density of the fitted gamma distribution; None where all widths are equal."""
    if fit.gamma_scale <= 0:
        return None
    z = np.clip((at - fit.gamma_loc) / fit.gamma_scale, 1e-12, None)
    log_density = (fit.gamma_shape - 1) * np.log(z) - z - math.lgamma(fit.gamma_shape)
    density: NDArray[np.float64] = np.exp(log_density) / fit.gamma_scale
    return np.where(at > fit.gamma_loc, density, 0.0)


def gamma_words(fit: GammaFit) -> str:
    """Return the three parameters of the fit in words."""
    return f"shape {fit.gamma_shape:.3g}, loc {fit.gamma_loc:.3g}, scale {fit.gamma_scale:.3g}"
