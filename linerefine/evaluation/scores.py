"""Scores of images and tiles, kept up to date from the pixels that changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linerefine.evaluation.changes import Flips
from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.types import Mask

__all__ = ["ImageScores", "TileScore"]


class ImageScores:
    """Every metric of one mask against one target.

    Metrics are additive: a change costs two measurements of its pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    target : Target
        Of the same shape.
    metrics : mapping of str to Metric
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
