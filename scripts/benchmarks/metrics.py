"""What each metric costs on a whole image, skeletons of the target included."""

from __future__ import annotations

from statistics import median
from time import perf_counter

from benchmarks.drawn import Case, Row
from linerefine.config import Component
from linerefine.registry import Registry
from linerefine.samples import Target

__all__ = ["metrics"]


def metrics(megapixels: int = 1, times: int = 5) -> list[Row]:
    """Return one row per registered metric: its score of a fair prediction, and the seconds."""
    case = Case.of(megapixels)
    prediction = case.initial > 0
    registry = Registry.discover()
    rows = []
    for name in registry.metrics():
        metric = registry.make_metric(Component(name=name))
        metric.score(prediction, case.target)  # imports
        seconds = []
        for _ in range(times):
            # A target that nothing is kept with yet.
            target = Target(case.target.mask, case.target.roi)
            started = perf_counter()
            score = metric.score(prediction, target)
            seconds.append(perf_counter() - started)
        again = perf_counter()
        metric.score(prediction, target)
        rows.append(
            {
                "metric": name,
                "additive": "yes" if metric.is_additive else "no",
                "score": float(score),
                "first, ms": 1000 * median(seconds),
                "again, ms": 1000 * (perf_counter() - again),
            }
        )
    return rows
