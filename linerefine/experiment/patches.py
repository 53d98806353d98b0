"""Scores on the patches of the test images, after one stroke on each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from linerefine.chance import seed_for
from linerefine.experiment.bench import Bench
from linerefine.models.segmenter import Segmenter
from linerefine.refiners.base import Refiner
from linerefine.training.data import ValidationPatches
from linerefine.training.loop import score_patches

__all__ = ["keep_patch_scores", "patch_scores", "stored_patch_scores", "summarise_patches"]


def patch_scores(
    bench: Bench, name: str, refiner: Refiner, segmenter: Segmenter
) -> list[dict[str, Any]]:
    """Return one row of scores per pass over the patches."""
    config = bench.config
    names = bench.loader.patch_names()
    samples = [s for s in map(bench.loaded, names) if s.lines is not None]
    patches = ValidationPatches(samples, config.tiling, None)
    with (
        bench.fast.running("segmenter", segmenter, len(patches)),
        bench.fast.running(name, refiner, bench.session_calls),
    ):
        rows = score_patches(
            refiner,
            segmenter,
            patches,
            bench.simulator_for(name),
            bench.metrics,
            passes=config.evaluation.patch_passes,
            threshold=config.session.threshold,
            device=bench.device,
            seed=seed_for(config.seed, "patches", "test") % 2**31,
        )
    return [{"refiner": name, **row} for row in rows]


def keep_patch_scores(bench: Bench, name: str, rows: list[dict[str, Any]]) -> None:
    """Write a refiner's rows to the run folder."""
    bench.folder.write_json(f"patches-{name}.json", {"rows": rows})


def stored_patch_scores(bench: Bench, name: str) -> list[dict[str, Any]] | None:
    """Return the rows that an earlier part of the run kept; None if it did not."""
    stored = bench.folder.read_json(f"patches-{name}.json")
    return None if stored is None else list(stored["rows"])


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
