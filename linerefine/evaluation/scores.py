"""Scores of a whole image, kept up to date from the rectangle that changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.samples import Target
from linerefine.types import Mask, Tile

__all__ = ["ImageScores", "TileScore"]


class ImageScores:
    """Every metric of one mask against one target.

    Metrics are additive: a change costs two measurements of its rectangle.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Copied.
    target : Target
        Of the same shape.
    metrics : mapping of str to Metric
    """

    def __init__(self, mask: Mask, target: Target, metrics: Mapping[str, Metric]) -> None:
        self._mask = mask.copy()
        self._target = target
        self._metrics = metrics
        self._statistics: dict[str, NDArray[np.float64]] = {
            name: metric.measure(self._mask, target) for name, metric in metrics.items()
        }

    def update(self, box: Tile, content: Mask) -> None:
        """Replace a rectangle of the mask."""
        window = self._target.window(box)
        before = self._mask[box.index]
        for name, metric in self._metrics.items():
            change = metric.measure(content, window) - metric.measure(before, window)
            self._statistics[name] = self._statistics[name] + change
        self._mask[box.index] = content

    @property
    def scores(self) -> dict[str, float]:
        """Metric name to score; nan where undefined."""
        return {name: self._metrics[name].reduce(stat) for name, stat in self._statistics.items()}


class TileScore:
    """Puts the states of one tile in order, the steering metric first.

    A tile without target lines has no score. It counts as perfect while
    nothing is predicted there, else as 0, and of two such states the one with
    fewer false pixels is better: so false lines can be erased there too.
    """

    def __init__(self, target: Target, metric: Metric) -> None:
        self.target = target
        self._metric = metric
        self._is_empty = not (target.mask & target.roi).any()

    @property
    def is_empty(self) -> bool:
        """Whether the tile has no target line inside the ROI."""
        return self._is_empty

    def value(self, mask: Mask) -> tuple[float, int]:
        """Return a key that is larger for the better of two masks of this tile."""
        if self._is_empty:
            false = int(np.count_nonzero(mask & self.target.roi))
            return (0.0, -false) if false else (1.0, 0)
        score = self._metric.score(mask, self.target)
        if np.isnan(score):
            return 0.0, 0
        return (score if self._metric.higher_is_better else -score), 0
