"""Sessions of several images as one curve over interactions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linerefine.config import MANUAL
from linerefine.events import SessionKey
from linerefine.gain import relative_gain
from linerefine.tracking.flatten import metric_key
from linerefine.types import Round

__all__ = ["ByHand", "SessionCurves", "best_numbers", "mean_of", "round_numbers"]


def round_numbers(round_: Round, metric: str, by_hand: float | None = None) -> dict[str, float]:
    """Return what is plotted of one interaction.

    Parameters
    ----------
    round_ : Round
        One interaction.
    metric : str
        The metric that relative gain is computed from.
    by_hand : float, optional
        The score that the gain is over; by default that of the same strokes pasted.

    Returns
    -------
    numbers : dict
        ``<metric>_manual`` and ``<metric>_refined`` of every metric,
        ``relative_gain``, ``hinted_pixels``, ``stroke_length``; nan where
        undefined.
    """
    numbers = {metric_key(f"{name}_manual"): value for name, value in round_.manual.items()}
    numbers |= {metric_key(f"{name}_refined"): value for name, value in round_.refined.items()}
    pasted, refined = (side.get(metric, math.nan) for side in (round_.manual, round_.refined))
    numbers["relative_gain"] = relative_gain(refined, pasted if by_hand is None else by_hand)
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


class ByHand:
    """The scores that gains are over, by the rules of a run.

    In the shared loop those of the same strokes pasted; in the independent
    one those of the manual person after as many interactions, on the same image
    and repeat. Their sessions come first, and stay where they ended.

    Parameters
    ----------
    config : mapping
        Settings of the run, as `linerefine.events.RunStarted` brings them.
    metric : str
        The metric that relative gain is computed from.
    """

    def __init__(self, config: Mapping[str, Any], metric: str) -> None:
        self._metric = metric
        self.is_apart = config.get("evaluation", {}).get("loop") == "independent"
        people = (part for part in config.get("refiners", ()) if part["name"] == MANUAL)
        person = next(people, {"name": MANUAL})
        self._person = person.get("label") or person["name"]
        self._scores: dict[tuple[int, str], list[float]] = {}

    def add(self, key: SessionKey, round_: Round) -> None:
        """Take note of an interaction, if it is the manual person's."""
        if self.is_apart and key.refiner == self._person:
            scores = self._scores.setdefault((key.repeat, key.image), [])
            # A session that is played again begins anew.
            scores[round_.index :] = [round_.refined.get(self._metric, math.nan)]

    def score(self, key: SessionKey, index: int) -> float | None:
        """Return what an interaction is compared with; None for the same strokes pasted.

        nan if the manual person's session has not been heard of.
        """
        if not self.is_apart:
            return None
        scores = self._scores.get((key.repeat, key.image), [math.nan])
        return scores[min(index, len(scores) - 1)]

    def carried(
        self, key: SessionKey, curve: Sequence[Mapping[str, float]]
    ) -> Iterator[dict[str, float]]:
        """Yield how a finished session goes on while the manual person still works.

        Parameters
        ----------
        key : SessionKey
            Which session.
        curve : sequence of mapping
            Its interactions, as `round_numbers` returns them.
        """
        for score in self._scores.get((key.repeat, key.image), [])[len(curve) :] if curve else ():
            refined = curve[-1].get(metric_key(f"{self._metric}_refined"), math.nan)
            yield {**curve[-1], "relative_gain": relative_gain(refined, score)}


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
