"""What a stroke touches does not grow with the image: counted, not timed."""

from __future__ import annotations

import numpy as np
import torch

from linerefine.config import EvaluationConfig, SessionConfig
from linerefine.evaluation.drive import drive
from linerefine.interfaces import Metric
from linerefine.metrics.standard import PseudoFMeasure
from linerefine.refiners.base import Prompt, Refiner
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.simulators.longest import Longest
from linerefine.types import Mask


class Counted(PseudoFMeasure):
    """Counts the pixels it is asked to measure."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels: list[int] = []

    def measure(self, prediction: Mask, target: Target) -> np.ndarray:
        self.pixels.append(prediction.size)
        return super().measure(prediction, target)


class Follow(Refiner):
    """Follows the hints around them."""

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        return prompt.initial + 3 * torch.nn.functional.max_pool2d(prompt.hints, 9, 1, 4)


def pixels_per_stroke(edge: int) -> float:
    lines = np.zeros((edge, edge), dtype=bool)
    for row in range(20, 26):
        lines[row::40, 5:-5] = True
    initial = np.where(lines, 1.0, -1.0).astype(np.float32)
    initial[:, 30:60] = -1
    metric = Counted()
    metrics: dict[str, Metric] = {"pfm": metric}
    session = RefinementSession(
        np.zeros((1, edge, edge), np.float32), initial, Follow(), SessionConfig(crop=64, margin=8)
    )
    begun: list[int] = []
    result = drive(
        session,
        Target(lines, np.ones_like(lines)),
        Longest(),
        EvaluationConfig(budget=8),
        metrics=metrics,
        rng=np.random.default_rng(0),
        on_round=lambda _: begun.append(len(metric.pixels)),
    )
    assert len(result.rounds) == 9
    return sum(metric.pixels[begun[0] :]) / 8


def test_the_pixels_measured_per_stroke_do_not_grow_with_the_image() -> None:
    small, large = pixels_per_stroke(192), pixels_per_stroke(1152)
    assert small < 64 * 64 * 2
    assert large < 1.5 * small


def test_memory_does_not_grow_with_strokes() -> None:
    """What a session keeps of a stroke is the stroke; old pixels wait in a file."""
    import tracemalloc

    from linerefine.types import Operation, Stroke

    blank = np.zeros((256, 256), np.float32)
    session = RefinementSession(blank[None], blank - 1, Follow(), SessionConfig(crop=64, margin=8))

    def draw(count: int) -> None:
        for index in range(count):
            place = (20 + index % 200, 30 + 7 * (index % 30))
            session.apply(Stroke(np.array([place]), 3.0, Operation.ADD))

    draw(150)
    tracemalloc.start()
    try:
        draw(200)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / 200 < 4096  # one crop of logits alone is 16 KiB
