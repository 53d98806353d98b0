"""Scores of images and tiles, kept up to date from the pixels that changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ConfigError
from linerefine.evaluation.changes import Flips
from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Mask, Round

__all__ = ["ImageScores", "TileScore", "by_additivity", "scored_at_both_ends"]


def by_additivity(
    metrics: Mapping[str, Metric],
) -> tuple[dict[str, Metric], dict[str, Metric]]:
    """Return the metrics that are kept up to date stroke by stroke, and the others.

    Raises
    ------
    ConfigError
        If the first one, which steers, is one of the others.
    """
    first = next(iter(metrics))
    additive = {name: metric for name, metric in metrics.items() if metric.is_additive}
    if first not in additive:
        msg = f"metric '{first}' is not additive, expected one that is: the first one steers."
        raise ConfigError(msg)
    return additive, {name: metrics[name] for name in metrics if name not in additive}


def scored_at_both_ends(
    rounds: Iterable[Round],
    session: RefinementSession,
    target: Target,
    metrics: Mapping[str, Metric],
    budget: int,
) -> Iterator[Round]:
    """Yield rounds; the first and the last have the scores of these metrics too.

    Parameters
    ----------
    rounds : iterable of Round
        As they are played in the session, round 0 first.
    session : RefinementSession
        Scored.
    target : Target
        Of the whole image.
    metrics : mapping of str to Metric
        If there are any, a round is held back until the next one is played:
        only then is it known not to be the last.
    budget : int
        The round of this number is the last.
    """
    if not metrics:
        yield from rounds
        return
    held: Round | None = None
    for round_ in rounds:
        if held is not None:
            yield held
        if round_.index in (0, budget):
            held = _with_scores(round_, session, target, metrics)
        else:
            held = round_
        if round_.index == budget:
            break
    if held is not None:
        is_scored = held.index in (0, budget)
        yield held if is_scored else _with_scores(held, session, target, metrics)


def _with_scores(
    round_: Round, session: RefinementSession, target: Target, metrics: Mapping[str, Metric]
) -> Round:
    manual, refined = (
        {name: metric.score(mask, target) for name, metric in metrics.items()}
        for mask in (session.manual_mask, session.mask)
    )
    return replace(
        round_, manual={**round_.manual, **manual}, refined={**round_.refined, **refined}
    )


class ImageScores:
    """Every metric of one mask against one target; a change costs two measurements of its pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    target : Target
        Of the same shape.
    metrics : mapping of str to Metric
        All of them additive.
    """

    def __init__(self, mask: Mask, target: Target, metrics: Mapping[str, Metric]) -> None:
        self._target = target
        self._metrics = metrics
        self._statistics: dict[str, NDArray[np.float64]] = {
            name: metric.measure(mask, target) for name, metric in metrics.items()
        }

    def update(self, flips: Flips) -> None:
        """Take note of pixels that changed."""
        if len(flips.rows) == 0:
            return
        for name, metric in self._metrics.items():
            self._statistics[name] = self._statistics[name] + flips.shift(metric, self._target)

    @property
    def scores(self) -> dict[str, float]:
        """Metric name to score; nan where undefined."""
        return {name: self._metrics[name].reduce(stat) for name, stat in self._statistics.items()}


class TileScore:
    """Puts the states of one tile in order, the steering metric first.

    A tile without target lines has no score. It counts as perfect while
    nothing is predicted there, else as 0, and of two such states the one with
    fewer false pixels is better: so false lines can be erased there too.

    Parameters
    ----------
    target : Target
        Of the tile alone.
    metric : Metric
        Steers.
    """

    def __init__(self, target: Target, metric: Metric) -> None:
        self.target = target
        self.is_empty = not (target.mask & target.roi).any()
        """Whether the tile has no target line inside the ROI."""
        self._metric = _Clean() if self.is_empty else metric

    def measure(self, mask: Mask) -> NDArray[np.float64]:
        """Return the additive statistics of a mask of this tile, shape (S,)."""
        return self._metric.measure(mask, self.target)

    def shifted(self, statistics: NDArray[np.float64], flips: Flips) -> NDArray[np.float64]:
        """Return statistics as they are once pixels of the tile have changed.

        Parameters
        ----------
        statistics : ndarray of float64, shape (S,)
            As `measure` gave them.
        flips : Flips
            In the tile's coordinates.
        """
        if len(flips.rows) == 0:
            return statistics
        return statistics + flips.shift(self._metric, self.target)

    def order(self, statistics: NDArray[np.float64]) -> tuple[float, float]:
        """Return a key that is larger for the better of two states of this tile."""
        score = self._metric.reduce(statistics)
        if self.is_empty:
            return (0.0, score) if score else (1.0, 0.0)
        if np.isnan(score):
            return 0.0, 0.0
        return (score if self._metric.higher_is_better else -score), 0.0

    def value(self, mask: Mask) -> tuple[float, float]:
        """Return `order` of `measure`."""
        return self.order(self.measure(mask))


class _Clean(Metric):
    """Minus the number of predicted pixels, where there is no line to predict."""

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        return np.array([-np.count_nonzero(prediction & target.roi)], dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        return float(statistics[0])
