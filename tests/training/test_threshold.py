"""The cut that is best on validation patches, against trying everything by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logit

from linerefine.config import TilingConfig
from linerefine.metrics.standard import IoU
from linerefine.training.data import ValidationPatches
from linerefine.training.threshold import CUTS, tune_threshold


class Scaled(torch.nn.Module):
    """Answers its input, scaled and moved: some cut other than one half is best."""

    def __init__(self, scale: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * image[:, :1] + self.offset


class Missing(IoU):
    """The share that is wrong: less is better."""

    higher_is_better = False

    def reduce(self, statistics):
        return 1 - super().reduce(statistics)


class Undefined(IoU):
    """Never defined."""

    def reduce(self, statistics):
        return math.nan


@pytest.fixture
def patches(drawn) -> ValidationPatches:
    tiling = TilingConfig(patch=64, overlap=16, train_rows=96, train_cols=96)
    return ValidationPatches([drawn(seed, faint=0.0) for seed in (1, 2)], tiling)


def by_hand(network: Scaled, patches: ValidationPatches, probability: float) -> float:
    """Return the IoU of all patches together, pixel by pixel."""
    both = either = 0
    for index in range(len(patches)):
        patch = patches.patch(index)
        logits = network(torch.from_numpy(patch.image)[None])[0, 0].numpy()
        mask = (logits > logit(probability)) & patch.roi
        lines = patch.lines & patch.roi
        both += int((mask & lines).sum())
        either += int((mask | lines).sum())
    return both / either


@pytest.mark.parametrize("network", [Scaled(), Scaled(2, -3), Scaled(0.7, 1)])
def test_the_best_of_all_cuts_is_found(network, patches):
    scores = {cut: by_hand(network, patches, cut) for cut in CUTS}
    found = tune_threshold(network, patches, IoU(), torch.device("cpu"))
    assert found.score == pytest.approx(max(scores.values()))
    assert scores[found.probability] == pytest.approx(found.score)
    assert found.score > scores[0.5]  # or the test would show nothing


def test_a_moved_network_has_a_moved_cut(patches):
    cuts = [
        logit(tune_threshold(Scaled(1, by), patches, IoU(), torch.device("cpu")).probability)
        for by in (-1.0, 0.0, 1.0)
    ]
    np.testing.assert_allclose(np.diff(cuts), 1.0, atol=0.2)


def test_what_should_be_small_is_made_small(patches):
    network, device = Scaled(2, -3), torch.device("cpu")
    assert (
        tune_threshold(network, patches, Missing(), device).probability
        == tune_threshold(network, patches, IoU(), device).probability
    )


def test_cuts_that_are_equally_good_give_way_to_one_half(patches):
    sure = Scaled(0, -50)  # empty at every cut
    found = tune_threshold(sure, patches, IoU(), torch.device("cpu"))
    assert (found.probability, found.score) == (0.5, 0.0)


def test_a_metric_that_is_undefined_leaves_one_half(patches):
    told: list[tuple[int, int]] = []
    found = tune_threshold(
        Scaled(), patches, Undefined(), torch.device("cpu"), lambda *at: told.append(at)
    )
    assert found.probability == 0.5
    assert math.isnan(found.score)
    assert told[-1] == (len(CUTS), len(CUTS))
