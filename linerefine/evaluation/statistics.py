"""How sure a mean over images and repeats is, and whether two differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from linerefine.errors import ShapeError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Estimate", "PairedTest", "estimate", "paired_test"]

RESAMPLES = 2000
FEWEST_PAIRS = 3

ByImage: TypeAlias = (
    "Mapping[str, Sequence[float]] | Sequence[Sequence[float]] | NDArray[np.float64] | pd.DataFrame"
)


@dataclass(frozen=True)
class Estimate:
    """A mean over images and repeats, how sure it is, and the median beside it.

    Parameters
    ----------
    mean : float
        Mean over images of the mean over repeats.
    sd : float
        Standard deviation of all values (``ddof=0``, as in all tables).
    low, high : float
        95 % interval of the mean; nan if there are fewer than two values.
    images, repeats : int
        How many images have a value, and most values of any of them.
    median : float
        Of all values; a few that are far out do not move it.
    """

    mean: float
    sd: float
    low: float
    high: float
    images: int
    repeats: int
    median: float = math.nan


@dataclass(frozen=True)
class PairedTest:
    """Whether two series of the same images, or passes, differ.

    Parameters
    ----------
    mean_difference : float
        Of the first minus the second.
    p_t, p_wilcoxon : float
        Two-sided p-values of the paired t-test and of Wilcoxon's signed-rank test.
    pairs : int
        Pairs of which both values are defined.
    note : str
        Why there are no p-values; empty if there are.
    """

    mean_difference: float
    p_t: float
    p_wilcoxon: float
    pairs: int
    note: str = ""


def estimate(values: ByImage, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Return mean, spread and 95 % interval of what was repeated on several images.

    Parameters
    ----------
    values : mapping of str to sequence of float, or array_like, shape (images, repeats)
        The repeats of every image; nan is skipped. A DataFrame has a row per image,
        as ``sessions.pivot(index="image", columns="repeat", values="max_gain")`` gives it.
    resamples : int
        Of the bootstrap.
    seed : int
        Of the bootstrap: the same values give the same interval.

    Returns
    -------
    estimate : Estimate

    Notes
    -----
    Two-level percentile bootstrap: images are drawn with replacement, then of
    each image drawn its repeats. With one image the interval is over its
    repeats alone and says nothing about other images. With few images it is
    too narrow, as every percentile bootstrap of few values is.

    References
    ----------
    Davison, Hinkley: Bootstrap Methods and their Application, 1997, section
    3.8, DOI 10.1017/CBO9780511802843.

    Examples
    --------
    >>> found = estimate({"a": [0.1, 0.3], "b": [0.4, 0.6]})
    >>> round(found.mean, 6), found.images, found.repeats
    (0.35, 2, 2)
    """
    groups = [each[~np.isnan(each)] for each in _groups(values)]
    groups = [each for each in groups if each.size]
    if not groups:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0)
    everything = np.concatenate(groups)
    low, high = math.nan, math.nan
    if everything.size > 1:
        means = _resampled(groups, resamples, np.random.default_rng(seed))
        low, high = np.percentile(means, [2.5, 97.5]).tolist()
    return Estimate(
        mean=float(np.mean([each.mean() for each in groups])),
        sd=float(everything.std()),
        low=low,
        high=high,
        images=len(groups),
        repeats=max(each.size for each in groups),
        median=float(np.median(everything)),
    )


def paired_test(
    one: Sequence[float] | NDArray[np.float64], other: Sequence[float] | NDArray[np.float64]
) -> PairedTest:
    """Return whether two series differ, pair by pair.

    Parameters
    ----------
    one, other : sequence of float, shape (N,)
        Values of the same images, or passes, in the same order. Pairs with a nan are left out.

    Returns
    -------
    test : PairedTest
        Without p-values, and with a note, if there are fewer than three pairs
        or all pairs differ by the same.

    Raises
    ------
    ShapeError
        If the two differ in length.

    Notes
    -----
    `scipy.stats`; Wilcoxon's test leaves out pairs that do not differ and is exact for few pairs
    without ties. It cannot fall below 0.05 with fewer than six pairs.

    Examples
    --------
    >>> round(paired_test([0.5, 0.6, 0.7, 0.8], [0.4, 0.4, 0.4, 0.4]).p_t, 4)
    0.0305
    """
    first, second = (np.asarray(each, dtype=np.float64) for each in (one, other))
    if first.shape != second.shape or first.ndim != 1:
        msg = f"series of shapes {first.shape} and {second.shape} given; pairs need equal lengths."
        raise ShapeError(msg)
    difference = first - second
    difference = difference[~np.isnan(difference)]
    pairs = len(difference)
    mean = float(difference.mean()) if pairs else math.nan
    note = _obstacle(difference)
    if note:
        return PairedTest(mean, math.nan, math.nan, pairs, note)
    t = mean / (difference.std(ddof=1) / math.sqrt(pairs))
    p_t = 2 * float(stats.t.sf(abs(t), pairs - 1))
    return PairedTest(mean, p_t, float(stats.wilcoxon(difference).pvalue), pairs)


def _obstacle(difference: NDArray[np.float64]) -> str:
    """Return why some differences cannot be tested; empty if they can."""
    if len(difference) < FEWEST_PAIRS:
        return f"{len(difference)} pairs; a test needs {FEWEST_PAIRS}"
    # What is left of equal differences after subtraction is rounding.
    if np.ptp(difference) <= 1e-12 * max(1.0, float(np.abs(difference).max())):
        return "all pairs differ by the same"
    return ""


def _groups(values: ByImage) -> list[NDArray[np.float64]]:
    if isinstance(values, Mapping):
        rows: Sequence[Sequence[float]] = list(values.values())
        return [np.asarray(row, dtype=np.float64) for row in rows]
    if isinstance(values, Sequence):
        return [np.asarray(row, dtype=np.float64) for row in values]
    return list(np.atleast_2d(np.asarray(values, dtype=np.float64)))


def _resampled(
    groups: Sequence[NDArray[np.float64]], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the means of some resamples, shape (resamples,)."""
    sizes = np.array([each.size for each in groups])
    padded = np.full((len(groups), sizes.max()), np.nan)
    for row, each in zip(padded, groups, strict=True):
        row[: each.size] = each
    drawn = rng.integers(len(groups), size=(resamples, len(groups)))
    own = sizes[drawn][..., None]
    picks = (rng.random((*drawn.shape, sizes.max())) * own).astype(np.intp)
    counts = np.arange(sizes.max()) < own
    chosen = np.where(counts, padded[drawn[..., None], picks], 0.0)
    means: NDArray[np.float64] = (chosen.sum(-1) / own[..., 0]).mean(-1)
    return means
