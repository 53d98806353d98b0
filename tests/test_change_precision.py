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
                if (was > 0) != adds and (now if adds else -now) > margin:
                    expected[int(cut["lines"][tuple(place)] != adds)] += 1
            found = sum(np.array(counts[change, where, margin]) for where in script["PLACES"])
            assert expected.sum() > 50
            assert tuple(found) == tuple(expected)


def test_the_rim_is_what_lies_two_pixels_to_either_side_of_a_border(cut):
    script = runpy.run_path(str(SCRIPT))
    cut |= {"initial": np.full((96, 96), -5, np.float32), "roi": np.ones((96, 96), bool)}
    cut["initial"][10:30, :] = 5
    counts = script["_counted"](Fixed(-cut["initial"]), cut)
    assert sum(counts["erases", "rim", 0.0]) == 4 * 96
    assert sum(counts["erases", "else", 0.0]) == 16 * 96
    assert sum(counts["adds", "rim", 0.0]) == 4 * 96
