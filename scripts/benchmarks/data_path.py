"""Patches per second that the data path of training delivers, without any network.

Usage: python scripts/benchmarks/data_path.py
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from time import perf_counter, sleep

import numpy as np
from numpy.typing import NDArray

from benchmarks.drawn import Row, drawn, first_logits
from linerefine.config import AugmentationConfig, TilingConfig
from linerefine.samples import Sample
from linerefine.simulators.longest import Longest
from linerefine.training.augmentation import Patch
from linerefine.training.data import TrainingPatches
from linerefine.training.strokes import Drawer, DrawingPool

__all__ = ["patches_by_stage", "patches_by_workers", "strokes_by_workers"]

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
        found = {
            stage: rate(one, seconds)
            for stage, one in _stages(drawn(megapixels, channels), tiling).items()
        }
        found["all"] = 1 / (1 / found["cut and augmented"] + 1 / found["strokes alone"])
        rows += [
            {"what": f"{kind}: {stage}", "value": value, "unit": "patches/s"}
            for stage, value in found.items()
        ]
    return rows


def _stages(sample: Sample, tiling: TilingConfig) -> dict[str, Callable[[int], object]]:
    plain = TrainingPatches([sample], tiling, PLAIN)
    changed = TrainingPatches([sample], tiling)
    batch = _masks([changed.patch(0, index) for index in range(16)])
    drawer = Drawer(Longest(), 0, 1, overwrite=True)
    return {
        "cut": lambda number: plain.patch(0, number),
        "cut and augmented": lambda number: changed.patch(0, number),
        "strokes alone": lambda number: drawer.hints(*batch[:, number % 16], 0, number, 0),
    }


def _masks(patches: list[Patch]) -> NDArray[np.bool_]:
    """Return first predictions, lines and ROI, shape (3, B, P, P)."""
    found = [(first_logits(p.lines, i) > 0, p.lines, p.roi) for i, p in enumerate(patches)]
    return np.array(found).swapaxes(0, 1)


def patches_by_workers(
    counts: tuple[int, ...] = (0, 1, 2), batch_size: int = 32, batches: int = 12
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


def strokes_by_workers(
    counts: tuple[int, ...] = (0, 1, 2), batch_size: int = 32, batches: int = 12
) -> list[Row]:
    """Return how many patches per second get strokes, and for how long a step waits for them.

    A step is a pause of 100 ms, in which a GPU would learn.
    """
    rows: list[Row] = []
    source = TrainingPatches([drawn(15)], TilingConfig())
    masks = _masks([source.patch(0, index) for index in range(batch_size)])
    drawer = Drawer(Longest(), 0, 1, overwrite=True)
    for workers in counts:
        seconds, waits = _stroked(drawer, masks, workers, batches)
        what = f"strokes on batches of {batch_size}, {workers} workers"
        value = batch_size * batches / seconds
        rows += [
            {"what": what, "value": value, "unit": "patches/s"},
            {"what": f"{what}, a step of 100 ms waits", "value": 1000 * waits, "unit": "ms"},
        ]
    return rows


def _stroked(
    drawer: Drawer, masks: NDArray[np.bool_], workers: int, batches: int
) -> tuple[float, float]:
    """Return seconds for all batches one after the other, and the median wait beside steps."""
    if workers == 0:
        drawer.hints(*masks[:, 0], 0, 0, 0)  # imports
        started = perf_counter()
        for step in range(batches):
            for index in range(masks.shape[1]):
                drawer.hints(*masks[:, index], 0, step, index)
        taken = perf_counter() - started
        return taken, taken / batches
    pool = DrawingPool(drawer, workers)
    try:
        pool.draw(*masks, 0, 0)()  # the processes are up
        started = perf_counter()
        for waiting in [pool.draw(*masks, 0, step) for step in range(batches)]:
            waiting()
        return perf_counter() - started, float(np.median(_waits(pool, masks, batches)))
    finally:
        pool.close()


def _waits(pool: DrawingPool, masks: NDArray[np.bool_], batches: int) -> list[float]:
    waits, ahead = [], pool.draw(*masks, 0, 0)
    for step in range(1, batches):
        now, ahead = ahead, pool.draw(*masks, 0, step)
        sleep(0.1)
        started = perf_counter()
        now()
        waits.append(perf_counter() - started)
    ahead()
    return waits
