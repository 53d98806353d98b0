"""The script that says how much of what a refiner changes is right."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from linerefine.refiners.base import Refiner

SCRIPT = Path(__file__).parents[1] / "scripts" / "change_precision.py"


class Fixed(Refiner):
    """Answers with the logits it was given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.from_numpy(logits)[None, None]

    def refine(self, features, prompt):
        return self.logits


@pytest.fixture
def cut():
    rng = np.random.default_rng(0)
    hints = np.zeros((96, 96), dtype=np.int8)
    hints[40:44, 40:60] = 1
    old = np.zeros_like(hints)
    old[80:84, 10:20] = -1
    return {
        "image": rng.random((1, 96, 96), dtype=np.float32),
        "initial": rng.normal(size=(96, 96)).astype(np.float32),
        "hints": hints + old,
        "old": old,
        "lines": rng.random((96, 96)) < 0.4,
        "roi": rng.random((96, 96)) < 0.9,
    }


def test_every_change_is_counted_once_as_right_or_wrong(cut):
    script = runpy.run_path(str(SCRIPT))
    logits = np.random.default_rng(1).normal(size=(96, 96)).astype(np.float32)
    counts = script["_counted"](Fixed(logits), cut)
    before = np.where(cut["old"] != 0, 8.0 * cut["old"], cut["initial"])
    for margin in script["MARGINS"]:
        for change, adds in (("adds", True), ("erases", False)):
            expected = np.zeros(2, dtype=int)
            for place in np.argwhere(cut["roi"] & (cut["hints"] == 0)):
                was, now = before[tuple(place)], logits[tuple(place)]
                if (was > 0) != (now > 0) == adds and abs(now) > margin:
                    expected[int((now > 0) != cut["lines"][tuple(place)])] += 1
            found = sum(np.array(counts[change, band, margin]) for band in script["BANDS"])
            assert expected.sum() > 50 or margin == 2
            assert tuple(found) == tuple(expected)


def test_distances_are_from_the_new_stroke(cut):
    script = runpy.run_path(str(SCRIPT))
    logits = np.full((96, 96), -4, dtype=np.float32)
    cut["initial"][:] = -1
    logits[42, 70] = logits[82, 25] = 4  # near the new stroke; near the old one, far from the new
    cut["roi"][:] = True
    counts = script["_counted"](Fixed(logits), cut)
    assert sum(counts["adds", "to 24 px", 0.0]) == 1
    assert sum(counts["adds", "to 64 px", 0.0]) == 1
    assert sum(counts["adds", "beyond", 0.0]) == 0
