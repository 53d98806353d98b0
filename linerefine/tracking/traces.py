"""The arithmetic behind the pictures: means of step curves, crossings, the fitted density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "GRID",
    "GammaFit",
    "Loop",
    "crossing",
    "gamma_density",
    "gamma_words",
    "helping",
    "interval",
    "mean_steps",
    "spread_out",
    "steps_at",
]

Loop: TypeAlias = Literal["shared", "independent"]
"""Whether manual and refined scores come from the same strokes (`EvaluationConfig.loop`)."""

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


def steps_at(
    grid: NDArray[np.float64], effort: NDArray[np.float64], score: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a step curve at the points of a grid from 0; past its end it keeps its last value."""
    return score[np.searchsorted(effort, grid, side="right") - 1]


def mean_steps(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of step curves on a common grid; ended ones keep their last value."""
    grid = np.linspace(0, max(float(effort[-1]) for effort, _ in curves), GRID)
    values = [steps_at(grid, effort, score) for effort, score in curves]
    known = np.count_nonzero(~np.isnan(values), axis=0)
    total = np.nansum(values, axis=0)
    return grid, np.divide(total, known, out=np.full(GRID, np.nan), where=known > 0)


def crossing(
    effort: NDArray[np.float64],
    manual: NDArray[np.float64],
    refined: NDArray[np.float64],
    refined_effort: NDArray[np.float64] | None = None,
) -> tuple[float, float, float]:
    """Return the best manual score, and the effort to reach it by hand and refined (or nan).

    Parameters
    ----------
    effort : ndarray of float64, shape (N,)
        After each round.
    manual : ndarray of float64, shape (N,)
        Scores by hand.
    refined : ndarray of float64, shape (M,)
        Scores of the refiner; M is N, unless it had a session of its own.
    refined_effort : ndarray of float64, shape (M,), optional
        Effort in that one.
    """
    if np.isnan(manual).all():
        return math.nan, math.nan, math.nan
    best = float(np.nanmax(manual))
    reached = np.flatnonzero(refined >= best)
    by_hand = float(effort[np.flatnonzero(manual >= best)[0]])
    spent = effort if refined_effort is None else refined_effort
    return best, by_hand, float(spent[reached[0]]) if reached.size else math.nan


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


def helping(rounds: pd.DataFrame) -> list[str]:
    """Return the refiners of a table of rounds that change anything; all if none does."""
    names = [str(name) for name in rounds["refiner"].unique()]
    largest = rounds.groupby("refiner")["relative_gain"].agg(lambda gains: gains.abs().max())
    changing = [name for name in names if largest[name] > 1e-9]
    return changing or names


def interval(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over the first axis, and half the length of its 95 % interval.

    Parameters
    ----------
    values : ndarray of float64, shape (N, ...)
        Independent draws; nan counts as absent.

    Returns
    -------
    mean, half : ndarray of float64, shape (...)
        Student's t interval; ``mean`` is nan where nothing is known, ``half``
        where fewer than two draws are.

    Examples
    --------
    >>> mean, half = interval(np.array([[1.0, 5.0], [3.0, np.nan]]))
    >>> mean.tolist(), half.round(2).tolist()
    ([2.0, 5.0], [12.71, nan])
    """
    from scipy.special import stdtrit  # only where a band is drawn

    known = np.count_nonzero(~np.isnan(values), axis=0)
    empty = np.full(known.shape, np.nan)
    mean = np.divide(np.nansum(values, axis=0), known, out=empty.copy(), where=known > 0)
    squares = np.nansum((values - mean) ** 2, axis=0)
    variance = np.divide(squares, known - 1, out=empty.copy(), where=known > 1)
    error = np.sqrt(np.divide(variance, known, out=empty.copy(), where=known > 1))
    half: NDArray[np.float64] = error * stdtrit(np.maximum(known - 1, 1), 0.975)
    return mean, half


def spread_out(values: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Return values moved as little as possible so that no two are closer than a gap.

    Parameters
    ----------
    values : sequence of float
        Where labels would like to be.
    gap : float
        Least distance, >= 0.

    Returns
    -------
    moved : ndarray of float64
        In the given order; least squares among all that keep the order of the values.

    Examples
    --------
    >>> spread_out([1.0, 1.0, 5.0], 2.0).tolist()
    [0.0, 2.0, 5.0]
    """
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(values, dtype=np.float64)
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    moved = np.empty_like(wanted)
    if len(wanted):
        moved[order] = isotonic_regression(wanted[order] - steps).x + steps
    return moved
