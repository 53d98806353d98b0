"""Patches per second that the data path of training delivers, without any network.

Usage: python scripts/benchmarks/data_path.py
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from time import perf_counter

import numpy as np
from drawn import Row, drawn, first_logits, show

from linerefine.chance import stream
from linerefine.config import AugmentationConfig, TilingConfig
from linerefine.samples import Target
from linerefine.simulators.longest import Longest
from linerefine.training.data import TrainingPatches
from linerefine.training.simulation import draw_hints

__all__ = ["patches_by_stage", "patches_by_workers"]

KINDS = {
    "mirror 2.4 MP, 192": (2, 1, TilingConfig(patch=192, train_rows=512, train_cols=512)),
    "mirror 15 MP, 256": (15, 1, TilingConfig()),
    "retina 1 MP x 3, 192": (1, 3, TilingConfig(patch=192, train_rows=512, train_cols=512)),
    "retina 1 MP x 3, 256": (1, 3, TilingConfig()),
}
PLAIN = AugmentationConfig(flip=0, rotate90=0, affine=0)


def rate(one: Callable[[int], object], seconds: float) -> float:
    """Return how often per second something numbered can be done, after a first time."""
    one(0)
    started = perf_counter()
    for number in itertools.count(1):
        one(number)
        taken = perf_counter() - started
        if taken >= seconds:
            return number / taken
    raise AssertionError  # count has no end


def patches_by_stage(seconds: float = 2.0) -> list[Row]:
    """Return patches per second of one process: cut, augmented, strokes drawn as well."""
    rows: list[Row] = []
    for kind, (megapixels, channels, tiling) in KINDS.items():
        sample = drawn(megapixels, channels)
        plain = TrainingPatches([sample], tiling, PLAIN)
        changed = TrainingPatches([sample], tiling)
        batch = [changed.patch(0, index) for index in range(16)]
        initial = [first_logits(patch.lines, index) for index, patch in enumerate(batch)]
        simulator = Longest()

        def strokes(number: int) -> object:
            index = number % len(batch)
            target = Target(batch[index].lines, batch[index].roi)  # noqa: B023
            return draw_hints(simulator, initial[index], target, stream(0, number))  # noqa: B023

        stages = {
            "cut": lambda number: plain.patch(0, number),  # noqa: B023
            "cut and augmented": lambda number: changed.patch(0, number),  # noqa: B023
            "strokes alone": strokes,
        }
        found = {stage: rate(one, seconds) for stage, one in stages.items()}
        found["all"] = 1 / (1 / found["cut and augmented"] + 1 / found["strokes alone"])
        rows += [
            {"what": f"{kind}: {stage}", "value": value, "unit": "patches/s"}
            for stage, value in found.items()
        ]
    return rows


def patches_by_workers(
    counts: tuple[int, ...] = (0, 1, 2, 4), batch_size: int = 32, batches: int = 12
) -> list[Row]:
    """Return patches per second of whole batches by number of worker processes."""
    rows: list[Row] = []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    patches = TrainingPatches([drawn(15)], TilingConfig())
    for workers in counts:
        delivered = patches.batches(batch_size, 100, workers=workers)
        next(delivered)
        started = perf_counter()
        for _ in range(batches):
            next(delivered)
        value = batch_size * batches / (perf_counter() - started)
        what = f"mirror 15 MP, 256: batches of {batch_size}, {workers} workers, {cores} cores"
        rows.append({"what": what, "value": value, "unit": "patches/s"})
    return rows


if __name__ == "__main__":
    np.set_printoptions(precision=3)
    show([*patches_by_stage(), *patches_by_workers()])
