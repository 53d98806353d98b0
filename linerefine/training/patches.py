"""Scores on patches after one simulated stroke each: what training watches, what is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linerefine.chance import stream
from linerefine.gain import relative_gain
from linerefine.geometry.hints import apply_hints, constrain, merge_hints
from linerefine.interfaces import Metric, UserSimulator
from linerefine.models.inference import evaluating, suitable_batch
from linerefine.refiners.base import Prompt, Refiner
from linerefine.samples import Target
from linerefine.training.data import ValidationPatches
from linerefine.training.simulation import draw_stroke, logit
from linerefine.types import HintMap, Logits, Mask, Stroke

__all__ = [
    "PatchTrials",
    "Tick",
    "mean_defined",
    "pooled_scores",
    "predict_patches",
    "score_patches",
]

Tick = Callable[[int, int], None]
"""``tick(done, total)``, called as the work advances."""

Sums = dict[str, NDArray[np.float64]]
"""Additive statistics by metric name."""


def mean_defined(values: list[float]) -> float:
    """Return the mean of the values that are not nan; nan if there are none."""
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def predict_patches(
    network: nn.Module,
    patches: ValidationPatches,
    device: torch.device,
    *,
    batch_size: int | None = None,
    tick: Tick | None = None,
) -> list[Logits]:
    """Return a network's logits, shape (P, P), for every patch."""
    answers: list[Logits] = []
    with evaluating(network), torch.inference_mode():
        for indices, images in patches.images(batch_size or suitable_batch(device)):
            batch = images.to(device, memory_format=torch.channels_last)
            answers.extend(network(batch)[:, 0].float().cpu().numpy())
            if tick is not None:
                tick(indices.stop, len(patches))
    return answers


def pooled_scores(
    masks: list[Mask], patches: ValidationPatches, metrics: Mapping[str, Metric]
) -> dict[str, float]:
    """Return every metric from the statistics of all patches together."""
    sums: Sums = {}
    for index, mask in enumerate(masks):
        _add(sums, mask, patches.target(index), metrics)
    return {name: metric.reduce(sums[name]) for name, metric in metrics.items()}


def _add(sums: Sums, mask: Mask, target: Target, metrics: Mapping[str, Metric]) -> None:
    for name, metric in metrics.items():
        sums[name] = sums.get(name, 0.0) + metric.measure(mask, target)


@dataclass
class _Pass:
    """One stroke per patch, and what does not depend on the refiner."""

    strokes: list[Stroke | None]
    manual: dict[str, float]


class PatchTrials:
    """One random stroke on every patch, several times over; drawn once, for any refiner.

    Neither the first predictions nor the strokes depend on the refiner, so
    both are made here once and used again in every epoch.

    Parameters
    ----------
    segmenter : nn.Module
        Makes the first predictions.
    patches : ValidationPatches
        Where strokes are drawn.
    simulator : UserSimulator
        Draws them.
    metrics : mapping of str to Metric
        What is scored; the first gives the relative gain.
    passes : int
        Strokes per patch, each on the untouched first prediction.
    threshold : float
        Probability above which a pixel is line.
    device : torch.device
        Where the networks are.
    seed : int
        Pass k draws the same strokes for the same seed.
    even : bool
        Whether add and erase have equal chance; else the simulator decides.
    batch_size : int, optional
        Patches per network call; by default what suits the device.
    tick : callable, optional
        Called as strokes are drawn.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        patches: ValidationPatches,
        simulator: UserSimulator,
        metrics: Mapping[str, Metric],
        *,
        passes: int,
        threshold: float,
        device: torch.device,
        seed: int,
        even: bool = True,
        batch_size: int | None = None,
        tick: Tick | None = None,
    ) -> None:
        self._patches = patches
        self._even = even
        self._metrics = metrics
        self._cut = logit(threshold)
        self._device = device
        self._batch_size = batch_size or suitable_batch(device)
        self._initial = predict_patches(segmenter, patches, device, batch_size=self._batch_size)
        masks = [initial > self._cut for initial in self._initial]
        self.initial_scores = pooled_scores(masks, patches, metrics)
        self._passes = [
            self._draw(number, masks, simulator, seed, tick, passes) for number in range(passes)
        ]

    def rows(self, refiner: Refiner, tick: Tick | None = None) -> list[dict[str, float]]:
        """Return one row of scores per pass, pooled over all patches.

        Parameters
        ----------
        refiner : Refiner
            On this object's device; left in the mode it was in.
        tick : callable, optional
            Called as patches are refined.

        Returns
        -------
        rows : list of dict
            ``pass``; ``initial_<metric>``, ``manual_<metric>`` and
            ``refined_<metric>`` of every metric; ``relative_gain`` of the
            first. As in a session, strokes are hard constraints in the refined
            mask, and where nothing is left to draw the refiner is not asked.
        """
        sums: list[Sums] = [{} for _ in self._passes]
        with evaluating(refiner), torch.inference_mode():
            for indices, images in self._patches.images(self._batch_size):
                features = self._encoded(refiner, indices, images)
                for drawn, total in zip(self._passes, sums, strict=True):
                    self._refine(refiner, features, indices, drawn, total)
                if tick is not None:
                    tick(indices.stop, len(self._patches))
        return [self._row(number, total) for number, total in enumerate(sums)]

    def _row(self, number: int, sums: Sums) -> dict[str, float]:
        manual = self._passes[number].manual
        refined = {name: metric.reduce(sums[name]) for name, metric in self._metrics.items()}
        first = next(iter(self._metrics))
        row: dict[str, float] = {"pass": number}
        row |= {f"initial_{name}": score for name, score in self.initial_scores.items()}
        row |= {f"manual_{name}": score for name, score in manual.items()}
        row |= {f"refined_{name}": score for name, score in refined.items()}
        return row | {"relative_gain": relative_gain(refined[first], manual[first])}

    def _draw(
        self,
        number: int,
        masks: list[Mask],
        simulator: UserSimulator,
        seed: int,
        tick: Tick | None,
        passes: int,
    ) -> _Pass:
        """Draw the strokes of one pass and score them pasted by hand."""
        strokes: list[Stroke | None] = []
        sums: Sums = {}
        for index, mask in enumerate(masks):
            target, rng = self._patches.target(index), stream(seed, "trial", number, index)
            none = np.zeros(mask.shape, dtype=np.int8)
            stroke = draw_stroke(simulator, mask, target, none, rng, even=self._even)
            strokes.append(stroke)
            manual = apply_hints(self._initial[index], _hints(strokes[-1], mask.shape)) > self._cut
            _add(sums, manual, target, self._metrics)
            if tick is not None:
                tick(number * len(masks) + index + 1, passes * len(masks))
        scores = {name: metric.reduce(sums[name]) for name, metric in self._metrics.items()}
        return _Pass(strokes, scores)

    def _refine(
        self, refiner: Refiner, features: object, indices: range, drawn: _Pass, sums: Sums
    ) -> None:
        """Add the statistics of one batch in one pass."""
        prompt = self._prompt(indices, drawn)
        answers = refiner.refine(features, prompt)[:, 0].float().cpu().numpy()
        hints = prompt.hints[:, 0].to(torch.int8).cpu().numpy()
        for position, index in enumerate(indices):
            has_stroke = drawn.strokes[index] is not None
            logits = answers[position] if has_stroke else self._initial[index]
            mask = constrain(logits > self._cut, hints[position])
            _add(sums, mask, self._patches.target(index), self._metrics)

    def _encoded(self, refiner: Refiner, indices: range, images: Tensor) -> object:
        batch = images.to(self._device, memory_format=torch.channels_last)
        return refiner.encode(batch, self._stack([self._initial[i] for i in indices]))

    def _prompt(self, indices: range, drawn: _Pass) -> Prompt:
        first = self._stack([self._initial[i] for i in indices])
        hints = [_hints(drawn.strokes[i], self._initial[i].shape) for i in indices]
        return Prompt(first, self._stack(hints), previous=first)

    def _stack(self, arrays: list[Logits] | list[HintMap] | list[Mask]) -> Tensor:
        stack = np.stack(arrays)[:, None].astype(np.float32)
        return torch.from_numpy(stack).to(self._device)


def _hints(stroke: Stroke | None, shape: tuple[int, ...]) -> HintMap:
    hints: HintMap = np.zeros(shape, dtype=np.int8)
    return hints if stroke is None else merge_hints(hints, stroke)


def score_patches(
    refiner: Refiner,
    segmenter: nn.Module,
    patches: ValidationPatches,
    simulator: UserSimulator,
    metrics: Mapping[str, Metric],
    *,
    passes: int,
    threshold: float,
    device: torch.device,
    seed: int,
    batch_size: int | None = None,
    tick: Tick | None = None,
) -> list[dict[str, float]]:
    """Return scores of a refiner on patches after one stroke each; one row per pass.

    Parameters
    ----------
    refiner : Refiner
        On `device`.
    segmenter, patches, simulator, metrics, passes, threshold, device, seed, batch_size, tick
        As for `PatchTrials`.

    Returns
    -------
    rows : list of dict
        As `PatchTrials.rows` describes.
    """
    trials = PatchTrials(
        segmenter,
        patches,
        simulator,
        metrics,
        passes=passes,
        threshold=threshold,
        device=device,
        seed=seed,
        batch_size=batch_size,
        tick=tick,
    )
    return trials.rows(refiner)
