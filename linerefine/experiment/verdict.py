"""What a run found, in sentences: for the console, the report and the page alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from linerefine.evaluation.sessions import by_hand, sessions_of
from linerefine.evaluation.statistics import estimate
from linerefine.report import RunResult
from linerefine.tracking.style import metric_title
from linerefine.tracking.tables import percent
from linerefine.tracking.traces import helping

__all__ = ["verdict"]

_WORDS = {
    "shared": {
        "gain": "after the same strokes {0} is {1} that of work by hand, mean over interactions, "
        "repeats and images",
        "saved": "The best manual {0} takes {1} hinted pixels in the {2} sessions that reach it.",
    },
    "independent": {
        "gain": "{0} is {1} that of the manual person after as many interactions, mean over "
        "interactions, repeats and images",
        "saved": "The manual person's best {0} takes {1} hinted pixels; sessions that never "
        "reach it count with the whole budget.",
    },
}
"""What is compared with what, by loop."""

_MORE = "More training may change that, such as --set training.max_epochs=20."


def verdict(result: RunResult) -> tuple[str, ...]:
    """Return what a run found: the first prediction, then every refiner against ``manual``.

    Parameters
    ----------
    result : RunResult
        Its report is not looked at.

    Returns
    -------
    sentences : tuple of str
        One entry per thing found. A refiner whose mean gain is below 0 is said
        to do worse than ``manual``; where the 95 % interval over images holds 0
        it is said that chance may have made the difference.
    """
    metric = next(part.name for part in result.config.metrics)
    return (*_first(result.summary, metric), *_refiners(result, metric))


def _first(summary: Mapping[str, Any], metric: str) -> Iterator[str]:
    first = summary.get("first_prediction", {})
    images, mean = first.get("images", {}), first.get("mean", {})
    if metric in mean and not math.isnan(mean[metric]):
        many = f"mean of {len(images)} test images" if len(images) > 1 else "one test image"
        score = f"{metric_title(metric)} {percent(mean[metric])}"
        yield f"First prediction, before any stroke: {score}, {many}."


def _refiners(result: RunResult, metric: str) -> Iterator[str]:
    if result.rounds.empty:
        return
    intervals = _intervals(result, metric)
    words = _WORDS[result.config.evaluation.loop]
    manual = by_hand(result.config.refiners)
    for refiner in helping(result.rounds):
        numbers = result.summary["refiners"].get(refiner, {})
        mean, images = numbers.get("mean", {}), numbers.get("images", {}).values()
        gain = float(mean.get("mean_gain", math.nan))
        found = list(_revised(refiner, mean, metric))
        if not math.isnan(gain) and refiner != manual:
            is_worse = gain < 0
            size = f"{percent(abs(gain))} {'below' if is_worse else 'above'}"
            said = words["gain"].format(metric_title(metric), size)
            found.append(
                f"{refiner} does {'worse' if is_worse else 'better'} than manual: {said}"
                f"{intervals.get(refiner, '')}."
            )
            found += [_MORE] if is_worse else []
        saved = float(mean.get("workload_reduction", math.nan))
        if not math.isnan(saved):
            share = f"{percent(abs(saved))} {'fewer' if saved >= 0 else 'more'}"
            reached, of = (sum(image[key] for image in images) for key in ("reached", "repeats"))
            found.append(words["saved"].format(metric_title(metric), share, f"{reached} of {of}"))
        if found:
            yield " ".join(found)


def _revised(refiner: str, mean: Mapping[str, float], metric: str) -> Iterator[str]:
    """Say what a refiner made of the first prediction by itself, if anything."""
    initial, revised = (mean.get(name, math.nan) for name in ("initial", "revised"))
    if math.isnan(initial) or math.isnan(revised) or initial == revised:
        return
    yield (
        f"Before the first stroke {refiner} revises the first prediction: {metric_title(metric)} "
        f"{percent(initial)} becomes {percent(revised)}."
    )


def _intervals(result: RunResult, metric: str) -> dict[str, str]:
    """Return how sure the mean gain of each refiner is, in words."""
    said = {}
    for refiner, part in sessions_of(result.rounds, result.config, metric).groupby("refiner"):
        found = estimate(part.pivot(index="image", columns="repeat", values="mean_gain"))
        if found.images < 2 or math.isnan(found.low):
            continue
        ends = f"{percent(found.low, signed=True)} to {percent(found.high, signed=True)}"
        chance = "; chance may have made it" if found.low <= 0 <= found.high else ""
        said[str(refiner)] = f" (95 % interval {ends}{chance})"
    return said
