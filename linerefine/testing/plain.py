"""A simulated session worked out the slow way, to compare the fast one with.

Everything is computed from whole arrays after every stroke, straight from its
definition: nothing is kept, nothing is updated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from linerefine.config import EvaluationConfig, SessionConfig
from linerefine.geometry.hints import constrain, merge_hints
from linerefine.geometry.strokes import mark, rasterise
from linerefine.geometry.tiles import crop, taper, tile_grid
from linerefine.interfaces import Metric, UserSimulator
from linerefine.refiners.base import Prompt, Refiner
from linerefine.samples import Target
from linerefine.session.placement import place
from linerefine.types import HintMap, Logits, Mask, Operation, Stroke, Tile

__all__ = ["PlainRound", "PlainSession", "plain_drive"]


@dataclass(frozen=True)
class PlainRound:
    """One interaction: the stroke, and what `linerefine.types.Round` says of it."""

    tile: Tile
    stroke: Stroke
    effort: int
    manual: Mapping[str, float]
    refined: Mapping[str, float]
    regret: int
    repaired: int
    compliance: float


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

    @property
    def answer(self) -> Mask:
        """What the refiner says is line, shape (H, W), before strokes are pasted."""
        threshold = self.config.threshold
        return self.logits > math.log(threshold / (1 - threshold))

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
    operations: frozenset[Operation] = frozenset(Operation),
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
    operations : frozenset of Operation
        What the person may do.
    fresh_targets : bool
        Thin the targets anew for every score; False keeps what never changes,
        for a fair comparison of times.
    """
    work = _Work(session, target, simulator, config, next(iter(metrics.values())), operations, rng)
    work.fresh_targets = fresh_targets
    loops = {"shared": _shared, "independent": _independent}
    for _, (tile, stroke, after) in zip(
        range(config.budget), loops[config.loop](work), strict=False
    ):
        whole = _again(target) if fresh_targets else target
        came = _consequences(session, after, stroke, whole)
        session.logits, session.hints = after.logits, after.hints
        yield PlainRound(
            tile,
            stroke,
            int(np.count_nonzero(session.hints)),
            {name: metric.score(session.manual_mask, whole) for name, metric in metrics.items()},
            {name: metric.score(session.mask, whole) for name, metric in metrics.items()},
            *came,
        )


_Interaction: TypeAlias = tuple[Tile, Stroke, PlainSession]


@dataclass(eq=False)
class _Work:
    """A session, its tiles, and a random stream for each of them."""

    session: PlainSession
    target: Target
    simulator: UserSimulator
    config: EvaluationConfig
    metric: Metric
    operations: frozenset[Operation]
    rng: np.random.Generator
    fresh_targets: bool = True

    def __post_init__(self) -> None:
        shape = (self.session.initial.shape[0], self.session.initial.shape[1])
        grid = tile_grid(shape, self.session.config.crop, inside=False)
        self.tiles = [tile.clipped(shape) for tile in grid]
        self.targets = [self.target.crop(tile) for tile in self.tiles]
        self.streams = self.rng.spawn(len(self.tiles))

    def on_desk(self) -> set[int]:
        """Return the numbers of the tiles that are worked on."""
        return {i for i, part in enumerate(self.targets) if _is_worked_on(part, self.config)}

    def value(self, mask: Mask, index: int) -> tuple[float, float]:
        """Return what puts the states of a tile in order."""
        part = self.targets[index]
        part = _again(part) if self.fresh_targets else part
        return _value(mask[self.tiles[index].index], part, self.metric)

    def stroke(self, index: int, operations: frozenset[Operation]) -> Stroke | None:
        """Return what the simulator draws next in a tile."""
        tile = self.tiles[index]
        stroke = self.simulator.next_stroke(
            self.session.mask[tile.index],
            self.targets[index],
            self.session.hints[tile.index],
            operations=operations,
            rng=self.streams[index],
        )
        return None if stroke is None else stroke.shifted(tile.top, tile.left)


def _shared(work: _Work) -> Iterator[_Interaction]:
    """Yield strokes chosen by the target; whoever asked has drawn the last one by then."""
    failures, desk, session = [0] * len(work.tiles), work.on_desk(), work.session
    order = [each for each in (Operation.ERASE, Operation.ADD) if each in work.operations]
    while desk:
        manual = session.manual_mask
        worst = min(desk, key=lambda index: (work.value(manual, index), index))
        drawn = [work.stroke(worst, frozenset({operation})) for operation in order]
        futures = [(stroke, session.after(stroke)) for stroke in drawn if stroke is not None]
        if futures:
            stroke, best = max(futures, key=lambda future: work.value(future[1].mask, worst))
            if work.value(best.manual_mask, worst) > work.value(manual, worst):
                failures[worst] = 0
                yield work.tiles[worst], stroke, best
                continue
        failures[worst] += 1
        if failures[worst] >= work.config.attempts:
            desk.remove(worst)


def _independent(work: _Work) -> Iterator[_Interaction]:
    """Yield strokes on what is shown; whoever asked has drawn the last one by then."""
    desk, session = work.on_desk(), work.session
    left: set[int] = set()
    while desk - left:
        shown = session.mask
        worst = min(desk - left, key=lambda index: (work.value(shown, index), index))
        stroke = work.stroke(worst, work.operations)
        if stroke is None:
            left.add(worst)
            continue
        yield work.tiles[worst], stroke, session.after(stroke)
        changed = session.mask != shown
        left = {index for index in left if not changed[work.tiles[index].index].any()}


def _consequences(
    before: PlainSession, after: PlainSession, stroke: Stroke, target: Target
) -> tuple[int, int, float]:
    """Return regret, repaired and compliance of a stroke, from whole arrays."""
    free = target.roi & (after.hints == 0)
    was_right, is_right = before.mask == target.mask, after.mask == target.mask
    regret = int((free & was_right & ~is_right).sum())
    repaired = int((free & ~was_right & is_right).sum())
    shape = (target.mask.shape[0], target.mask.shape[1])
    marked = rasterise(stroke, shape) & target.roi
    agrees = marked & (after.answer == (stroke.operation is Operation.ADD))
    compliance = int(agrees.sum()) / int(marked.sum()) if marked.any() else math.nan
    return regret, repaired, compliance


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
