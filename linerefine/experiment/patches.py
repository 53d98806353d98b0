"""Scores on the patches of the test images, after one stroke on each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from linerefine.chance import seed_for
from linerefine.config import Component
from linerefine.experiment.bench import Bench
from linerefine.models.segmenter import Segmenter
from linerefine.refiners.base import Refiner
from linerefine.training.data import ValidationPatches
from linerefine.training.loop import score_patches

__all__ = ["patch_scores", "summarise_patches"]


def patch_scores(
    bench: Bench, component: Component, refiner: Refiner, segmenter: Segmenter
) -> list[dict[str, Any]]:
    """Return one row per pass over the patches; none if the configuration skips them.

    Read from the run folder if an earlier command scored them.
    """
    config = bench.config
    if config.evaluation.patch_passes == 0:
        return []
    name = f"patches-{component.name}.json"
    stored = bench.folder.read_json(name)
    if stored is not None:
        return list(stored["rows"])
    names = bench.loader.patch_names()
    samples = [s for s in map(bench.loaded, names) if s.lines is not None]
    rows = score_patches(
        refiner,
        segmenter,
        ValidationPatches(samples, config.tiling, None),
        bench.simulator,
        bench.metrics,
        passes=config.evaluation.patch_passes,
        threshold=config.session.threshold,
        device=bench.device,
        seed=seed_for(config.seed, "patches", "test") % 2**31,
    )
    named: list[dict[str, Any]] = [{"refiner": component.name, **row} for row in rows]
    bench.folder.write_json(name, {"rows": named})
    return named


def summarise_patches(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation over passes, by refiner."""
    summary: dict[str, dict[str, float]] = {}
    if rows.empty:
        return summary
    for refiner, part in rows.groupby("refiner", sort=False):
        numbers = part.drop(columns=["refiner", "pass"]).astype(float)
        summary[str(refiner)] = {
            name: value
            for column in numbers.columns
            for name, value in (
                (str(column), float(numbers[column].mean())),
                (f"{column}_sd", float(np.std(numbers[column].to_numpy()))),
            )
        }
    return summary
