"""A simulated session worked out the slow way, to compare the fast one with.

Everything is computed from whole arrays after every stroke, straight from its
definition: nothing is kept, nothing is updated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from linerefine.config import EvaluationConfig, SessionConfig
from linerefine.geometry.hints import constrain, merge_hints
from linerefine.geometry.strokes import mark
from linerefine.geometry.tiles import crop, taper, tile_grid
from linerefine.interfaces import Metric, UserSimulator
from linerefine.refiners.base import Prompt, Refiner
from linerefine.samples import Target
from linerefine.session.placement import place
from linerefine.types import HintMap, Logits, Mask, Operation, Stroke, Tile

__all__ = ["PlainRound", "PlainSession", "plain_drive"]


@dataclass(frozen=True)
class PlainRound:
    """One interaction: the stroke, effort and scores of the whole image after it."""

    tile: Tile
    stroke: Stroke
    effort: int
    manual: Mapping[str, float]
    refined: Mapping[str, float]


@dataclass
class PlainSession:
    """The state of a session, from which everything else is derived on demand.

    Parameters
    ----------
    image : ndarray of float32, shape (C, H, W)
    initial : ndarray of float32, shape (H, W)
    refiner : Refiner
    config : SessionConfig
    """

    image: NDArray[np.float32]
    initial: Logits
    refiner: Refiner
    config: SessionConfig
    logits: Logits = field(init=False)
    hints: HintMap = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the first prediction and no stroke."""
        self.logits = self.initial.copy()
        self.hints = np.zeros(self.initial.shape, dtype=np.int8)

    @property
    def mask(self) -> Mask:
        """The refined mask, shape (H, W), with the strokes pasted."""
        return self._constrained(self.logits)

    @property
    def manual_mask(self) -> Mask:
        """The first prediction, shape (H, W), with the strokes pasted."""
        return self._constrained(self.initial)

    def after(self, stroke: Stroke) -> PlainSession:
        """Return the session with one more stroke; this one stays as it is."""
        shape = (self.initial.shape[0], self.initial.shape[1])
        where = place(stroke, mark(stroke, shape)[0], shape, self.config)
        new = PlainSession(self.image, self.initial, self.refiner, self.config)
        new.hints = merge_hints(self.hints, stroke, overwrite=self.config.overlap == "latest")
        answer = self._answer(where, new.hints)
        inner = where.clipped(shape)
        weight = self._weight(inner, shape)
        new.logits = self.logits.copy()
        new.logits[inner.index] = (
            weight * answer[inner.within(where).index] + (1 - weight) * self.logits[inner.index]
        )
        return new

    def _answer(self, where: Tile, hints: HintMap) -> Logits:
        arrays = (self.initial, hints.astype(np.float32), self.logits)
        with torch.inference_mode():
            parts = [torch.from_numpy(crop(array, where).copy())[None, None] for array in arrays]
            image = torch.from_numpy(crop(np.asarray(self.image), where).copy())[None]
            logits: Logits = self.refiner(image, Prompt(*parts))[0, 0].float().numpy()
        return logits

    def _weight(self, inner: Tile, shape: tuple[int, int]) -> NDArray[np.float32]:
        if self.config.placement == "grid":
            return np.ones(inner.shape, dtype=np.float32)
        ends = (inner.top > 0, inner.bottom < shape[0], inner.left > 0, inner.right < shape[1])
        return taper(inner.shape, self.config.margin, fade=ends)

    def _constrained(self, logits: Logits) -> Mask:
        threshold = self.config.threshold
        return constrain(logits > math.log(threshold / (1 - threshold)), self.hints)


def plain_drive(
    session: PlainSession,
    target: Target,
    simulator: UserSimulator,
    config: EvaluationConfig,
    *,
    metrics: Mapping[str, Metric],
    rng: np.random.Generator,
    fresh_targets: bool = True,
) -> Iterator[PlainRound]:
    """Yield the interactions that `linerefine.evaluation.drive.drive` must also give.

    Parameters
    ----------
    session : PlainSession
        Changed in place.
    target : Target
    simulator : UserSimulator
    config : EvaluationConfig
    metrics : mapping of str to Metric
        The first one steers.
    rng : numpy.random.Generator
    fresh_targets : bool
        Thin the targets anew for every score; False keeps what never changes,
        for a fair comparison of times.
    """
    metric = next(iter(metrics.values()))
    shape = (session.initial.shape[0], session.initial.shape[1])
    tiles = [t.clipped(shape) for t in tile_grid(shape, session.config.crop, inside=False)]
    targets = [target.crop(tile) for tile in tiles]
    streams, failures = rng.spawn(len(tiles)), [0] * len(tiles)
    desk = {index for index, part in enumerate(targets) if _is_worked_on(part, config)}

    def value(mask: Mask, index: int) -> tuple[float, float]:
        part = _again(targets[index]) if fresh_targets else targets[index]
        return _value(mask[tiles[index].index], part, metric)

    drawn = 0
    while desk and drawn < config.budget:
        manual = session.manual_mask
        worst = min(desk, key=lambda index: (value(manual, index), index))
        strokes = _strokes(simulator, session, tiles[worst], targets[worst], streams[worst])
        futures = [session.after(stroke) for stroke in strokes]
        best = max(range(len(futures)), key=lambda i: value(futures[i].mask, worst), default=None)
        if best is None or value(futures[best].manual_mask, worst) <= value(manual, worst):
            failures[worst] += 1
            if failures[worst] >= config.attempts:
                desk.remove(worst)
            continue
        failures[worst], drawn = 0, drawn + 1
        session.logits, session.hints = futures[best].logits, futures[best].hints
        whole = _again(target) if fresh_targets else target
        yield _round(session, tiles[worst], strokes[best], whole, metrics)


def _round(
    session: PlainSession,
    tile: Tile,
    stroke: Stroke,
    target: Target,
    metrics: Mapping[str, Metric],
) -> PlainRound:
    return PlainRound(
        tile,
        stroke,
        int(np.count_nonzero(session.hints)),
        {name: metric.score(session.manual_mask, target) for name, metric in metrics.items()},
        {name: metric.score(session.mask, target) for name, metric in metrics.items()},
    )


def _is_worked_on(target: Target, config: EvaluationConfig) -> bool:
    has_lines = (target.mask & target.roi).any()
    return bool(target.roi.any() and (has_lines or config.empty_tiles == "work"))


def _again(target: Target) -> Target:
    return Target(target.mask, target.roi)


def _value(mask: Mask, target: Target, metric: Metric) -> tuple[float, float]:
    if not (target.mask & target.roi).any():
        false = np.count_nonzero(mask & target.roi)
        return (0.0, -float(false)) if false else (1.0, 0.0)
    score = metric.score(mask, target)
    if math.isnan(score):
        return 0.0, 0.0
    return (score if metric.higher_is_better else -score), 0.0


def _strokes(
    simulator: UserSimulator,
    session: PlainSession,
    tile: Tile,
    target: Target,
    rng: np.random.Generator,
) -> list[Stroke]:
    drawn = [
        simulator.next_stroke(
            session.mask[tile.index],
            target,
            session.hints[tile.index],
            operations=frozenset({operation}),
            rng=rng,
        )
        for operation in (Operation.ERASE, Operation.ADD)
    ]
    return [stroke.shifted(tile.top, tile.left) for stroke in drawn if stroke is not None]
