"""Sessions of several images as one curve over interactions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from linerefine.gain import relative_gain
from linerefine.tracking.flatten import metric_key
from linerefine.types import Round

__all__ = ["SessionCurves", "best_numbers", "mean_of", "round_numbers"]


def round_numbers(round_: Round, metric: str) -> dict[str, float]:
    """Return what is plotted of one interaction.

    Parameters
    ----------
    round_ : Round
        One interaction.
    metric : str
        The metric that relative gain is computed from.

    Returns
    -------
    numbers : dict
        ``<metric>_manual`` and ``<metric>_refined`` of every metric,
        ``relative_gain``, ``hinted_pixels``, ``stroke_length``; nan where
        undefined.
    """
    numbers = {metric_key(f"{name}_manual"): value for name, value in round_.manual.items()}
    numbers |= {metric_key(f"{name}_refined"): value for name, value in round_.refined.items()}
    manual, refined = (side.get(metric, math.nan) for side in (round_.manual, round_.refined))
    numbers["relative_gain"] = relative_gain(refined, manual)
    numbers["hinted_pixels"] = float(round_.effort)
    numbers["stroke_length"] = round_.stroke_length
    return numbers


def best_numbers(curve: Sequence[Mapping[str, float]], metric: str) -> dict[str, float]:
    """Return the highest points of a session's curve; nan where nothing is defined.

    Returns
    -------
    numbers : dict
        ``initial``, ``manual_best``, ``refined_best``, ``max_gain`` (from the
        first stroke on), ``rounds`` and ``hinted_pixels``.
    """
    manual = [point.get(f"{metric}_manual", math.nan) for point in curve]
    refined = [point.get(f"{metric}_refined", math.nan) for point in curve]
    return {
        "initial": manual[0],
        "manual_best": _largest(manual),
        "refined_best": _largest(refined),
        "max_gain": _largest([point["relative_gain"] for point in curve[1:]]),
        "rounds": float(len(curve) - 1),
        "hinted_pixels": curve[-1]["hinted_pixels"],
    }


class SessionCurves:
    """The curves of one refiner and repeat, one per image.

    Examples
    --------
    >>> curves = SessionCurves()
    >>> for value in (0.5, 0.75):
    ...     curves.add("left", {"pfm_refined": value})
    >>> curves.add("right", {"pfm_refined": 0.25})
    >>> [point["pfm_refined"] for point in curves.mean()]
    [0.375, 0.5]
    """

    def __init__(self) -> None:
        self._images: dict[str, list[dict[str, float]]] = {}
        self._numbers: dict[str, dict[str, float]] = {}

    def begin(self, image: str) -> None:
        """Forget what is known of an image: its session starts (again)."""
        self._images[image] = []
        self._numbers.pop(image, None)

    def add(self, image: str, numbers: Mapping[str, float]) -> None:
        """Append the next interaction of an image."""
        self._images.setdefault(image, []).append(dict(numbers))

    def finish(self, image: str, numbers: Mapping[str, float]) -> None:
        """Keep what an image's session achieved."""
        self._numbers[image] = dict(numbers)

    def curve(self, image: str) -> Sequence[Mapping[str, float]]:
        """Return the interactions of an image so far."""
        return self._images.get(image, [])

    @property
    def finished(self) -> frozenset[str]:
        """Images whose session has ended."""
        return frozenset(self._numbers)

    def mean(self) -> list[dict[str, float]]:
        """Return the mean over images, one mapping per interaction.

        Images that stopped earlier carry their last value forward; nan is
        left out of the mean, and is the mean where nothing else is. What some
        image has no number of, such as a metric that is scored at both ends
        only, has no mean at that interaction.
        """
        curves = [curve for curve in self._images.values() if curve]
        longest = max((len(curve) for curve in curves), default=0)
        return [
            _common([curve[min(step, len(curve) - 1)] for curve in curves])
            for step in range(longest)
        ]

    def mean_numbers(self) -> dict[str, float]:
        """Return the mean over finished images of what their sessions achieved."""
        return mean_of(list(self._numbers.values()))


def mean_of(points: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every number, skipping nan."""
    names = dict.fromkeys(name for point in points for name in point)
    return {name: _mean([point.get(name, math.nan) for point in points]) for name in names}


def _common(points: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every number that all points have."""
    means = mean_of(points)
    return {name: value for name, value in means.items() if all(name in p for p in points)}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _largest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)
