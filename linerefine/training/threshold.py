"""From which probability a pixel of the first prediction is line: chosen on validation patches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from linerefine.interfaces import Metric
from linerefine.training.data import ValidationPatches
from linerefine.training.patches import Tick, pooled_scores, predict_patches
from linerefine.training.simulation import logit

__all__ = ["CUTS", "Cut", "tune_threshold"]

CUTS = tuple(percent / 100 for percent in range(2, 99, 2))
"""Probabilities that are tried."""


@dataclass(frozen=True)
class Cut:
    """A probability and how well the first prediction scores when cut there.

    Parameters
    ----------
    probability : float
        One of `CUTS`.
    score : float
        The metric, pooled over the patches.
    """

    probability: float
    score: float


def tune_threshold(
    segmenter: nn.Module,
    patches: ValidationPatches,
    metric: Metric,
    device: torch.device,
    tick: Tick = lambda _done, _total: None,
) -> Cut:
    """Return the cut at which a metric pooled over all patches is best.

    Parameters
    ----------
    segmenter : nn.Module
        On `device`.
    patches : ValidationPatches
        Of images that neither trained the network nor test it.
    metric : Metric
        What is to be best, whichever way that is.
    device : torch.device
    tick : callable
        Told how many cuts are tried.

    Returns
    -------
    cut : Cut
        Of several that are equally good the one nearest to one half; one half,
        with a score of nan, if the metric is defined at none.
    """
    answers = predict_patches(segmenter, patches, device)
    best, sign = Cut(0.5, math.nan), 1 if metric.higher_is_better else -1
    for done, probability in enumerate(sorted(CUTS, key=lambda cut: abs(cut - 0.5)), start=1):
        masks = [logits > logit(probability) for logits in answers]
        score = pooled_scores(masks, patches, {"": metric})[""]
        is_first = math.isnan(best.score) and not math.isnan(score)
        if is_first or sign * score > sign * best.score:
            best = Cut(probability, score)
        tick(done, len(CUTS))
    return best
