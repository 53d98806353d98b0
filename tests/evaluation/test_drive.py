"""A simulated person at work: order, acceptance, budget, bookkeeping."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from linerefine.config import EvaluationConfig, SessionConfig
from linerefine.errors import ConfigError
from linerefine.evaluation.changes import Flips
from linerefine.evaluation.desk import Desk
from linerefine.evaluation.drive import drive
from linerefine.evaluation.scores import ImageScores, TileScore
from linerefine.interfaces import UserSimulator
from linerefine.metrics import Betti0Error, ClDice
from linerefine.metrics.standard import FMeasure, IoU, PseudoFMeasure
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.manual import Manual
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import HintMap, Mask, Operation, Round, Stroke, Tile

METRICS = {"pfm": PseudoFMeasure(), "iou": IoU()}
CONFIG = EvaluationConfig(budget=40, repeats=1)


@dataclass
class Pointer(UserSimulator):
    """Marks a random wrong pixel with a dot."""

    seen: list[frozenset[Operation]] = field(default_factory=list)

    def next_stroke(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        *,
        operations: frozenset[Operation],
        rng: np.random.Generator,
    ) -> Stroke | None:
        self.seen.append(operations)
        (operation,) = operations
        wanted = operation is Operation.ADD
        wrong = np.argwhere((target.mask == wanted) & (prediction != wanted) & target.roi)
        if not len(wrong):
            return None
        return Stroke(wrong[rng.integers(len(wrong))][None], 2.0, operation)


class Halves(Refiner):
    """Moves every pixel half-way towards what the hints in the crop say on average."""

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        return prompt.initial + 4 * torch.nn.functional.avg_pool2d(prompt.hints, 9, 1, 4) * 9


def case(refiner: Refiner | None = None, size: int = 128) -> tuple[RefinementSession, Target]:
    rng = np.random.default_rng(5)
    mask = np.zeros((size, size), dtype=bool)
    mask[20:23, 8:120] = True
    mask[60:120, 90:93] = True
    roi = np.ones_like(mask)
    roi[:, :4] = False
    initial = np.where(mask, 1.0, -1.0) + rng.normal(0, 0.6, mask.shape)
    initial[18:26, 40:70] = -1
    initial[100:103, 10:60] = 1
    session = RefinementSession(
        np.zeros((1, size, size), np.float32),
        initial.astype(np.float32),
        refiner or Manual(),
        SessionConfig(crop=64, margin=8),
    )
    return session, Target(mask, roi)


def run(refiner: Refiner | None = None, seed: int = 0, **changes: object) -> tuple[Round, ...]:
    session, target = case(refiner)
    config = CONFIG.model_copy(update=changes)
    rng = np.random.default_rng(seed)
    return drive(session, target, Pointer(), config, metrics=METRICS, rng=rng).rounds


def test_scores_and_effort_are_those_of_the_session() -> None:
    session, target = case(Halves())
    heard: list[Round] = []
    result = drive(
        session,
        target,
        Pointer(),
        CONFIG,
        metrics=METRICS,
        rng=np.random.default_rng(0),
        on_round=heard.append,
    )
    assert tuple(heard) == result.rounds
    last = result.rounds[-1]
    assert last.index == len(session.strokes) == len(result.rounds) - 1
    assert last.effort == np.count_nonzero(session.hints)
    assert last.stroke_length == pytest.approx(sum(s.length for s in session.strokes))
    for name, metric in METRICS.items():
        assert last.refined[name] == pytest.approx(metric.score(session.mask, target))
        assert last.manual[name] == pytest.approx(metric.score(session.manual_mask, target))


@pytest.mark.parametrize(("budget", "kept"), [(100_000, None), (40, 40), (3, 3), (0, 0)])
def test_what_is_not_additive_is_scored_in_the_first_and_the_last_round(
    budget: int, kept: int | None
) -> None:
    plain = run(Halves(), budget=budget)
    session, target = case(Halves())
    first = session.mask.copy()
    others = {"cldice": ClDice(), "betti0": Betti0Error()}
    heard: list[Round] = []
    result = drive(
        session,
        target,
        Pointer(),
        CONFIG.model_copy(update={"budget": budget}),
        metrics=METRICS | others,
        rng=np.random.default_rng(0),
        on_round=heard.append,
    )
    assert tuple(heard) == result.rounds
    assert [set(r.refined) for r in result.rounds] == [
        {*METRICS, *others} if r.index in (0, result.rounds[-1].index) else set(METRICS)
        for r in result.rounds
    ]
    assert kept is None or result.rounds[-1].index == kept
    last = result.rounds[-1]
    for name, metric in others.items():
        assert result.rounds[0].manual[name] == metric.score(first, target)
        assert last.manual[name] == metric.score(session.manual_mask, target)
        assert last.refined[name] == metric.score(session.mask, target)
    # Nothing else changes: the same strokes, the same other scores.
    assert [r.stroke and r.stroke.to_dict() for r in result.rounds] == [
        r.stroke and r.stroke.to_dict() for r in plain
    ]
    assert last.refined["pfm"] == plain[-1].refined["pfm"]


def test_what_is_not_additive_cannot_steer() -> None:
    session, target = case()
    metrics = {"cldice": ClDice()} | METRICS
    with pytest.raises(ConfigError, match=r"^metric 'cldice' is not additive, expected one that"):
        drive(session, target, Pointer(), CONFIG, metrics=metrics, rng=np.random.default_rng(0))


def test_round_0_is_the_first_prediction() -> None:
    rounds = run(Halves())
    assert rounds[0].index == 0
    assert rounds[0].stroke is None
    assert rounds[0].effort == 0
    assert rounds[0].manual == rounds[0].refined


def test_manual_refiner_has_no_gain() -> None:
    for round_ in run():
        assert round_.manual == round_.refined


def test_the_same_seed_gives_the_same_session() -> None:
    def trace(rounds: tuple[Round, ...]) -> list[object]:
        return [(r.tile, r.stroke and r.stroke.to_dict(), r.refined["pfm"]) for r in rounds]

    assert trace(run(Halves(), seed=3)) == trace(run(Halves(), seed=3))
    assert trace(run(Halves(), seed=3)) != trace(run(Halves(), seed=4))


def test_the_budget_ends_the_work() -> None:
    session, target = case()
    config = CONFIG.model_copy(update={"budget": 5})
    rng = np.random.default_rng(0)
    result = drive(session, target, Pointer(), config, metrics=METRICS, rng=rng)
    assert result.reason == "budget spent"
    assert result.rounds[-1].index == 5


def test_work_ends_when_nothing_improves() -> None:
    session, target = case()
    config = CONFIG.model_copy(update={"budget": 100_000})
    rng = np.random.default_rng(0)
    result = drive(session, target, Pointer(), config, metrics=METRICS, rng=rng)
    assert result.reason == "nothing left to improve"
    assert result.rounds[0].manual["pfm"] < 0.8
    assert result.rounds[-1].manual["pfm"] > 0.93


def test_every_accepted_stroke_improves_its_manual_tile() -> None:
    session, target = case(Halves())
    tile_scores: dict[Tile, tuple[float, float]] = {}

    def check(round_: Round) -> None:
        if round_.tile is None:
            return
        score = TileScore(target.crop(round_.tile), METRICS["pfm"])
        value = score.value(session.manual_mask[round_.tile.index])
        assert value > tile_scores.get(round_.tile, (-math.inf, 0))
        tile_scores[round_.tile] = value

    rng = np.random.default_rng(0)
    config = CONFIG.model_copy(update={"budget": 300})
    drive(session, target, Pointer(), config, metrics=METRICS, rng=rng, on_round=check)
    assert len(tile_scores) > 2


def test_the_worst_tile_comes_first() -> None:
    session, target = case()
    desk = Desk(
        session,
        target,
        METRICS["pfm"],
        size=64,
        rng=np.random.default_rng(0),
        skip_empty=False,
    )
    order = []
    while (place := desk.worst()) is not None:
        order.append(place.score.value(session.manual_mask[place.tile.index]))
    assert len(order) == 4
    assert order == sorted(order)


def test_empty_tiles_are_worked_on_unless_skipped() -> None:
    empty = Tile(64, 0, 128, 64)
    assert empty in {round_.tile for round_ in run(budget=100_000)}
    assert empty not in {round_.tile for round_ in run(budget=100_000, empty_tiles="skip")}


@pytest.mark.parametrize("lines", ["none", "all"])
def test_empty_and_full_targets_end_well(lines: str) -> None:
    session, target = case()
    mask = np.full_like(target.mask, lines == "all")
    rng = np.random.default_rng(0)
    config = CONFIG.model_copy(update={"budget": 10, "attempts": 50})
    result = drive(session, Target(mask, target.roi), Pointer(), config, metrics=METRICS, rng=rng)
    wrong = [
        np.count_nonzero((m != mask) & target.roi) for m in (session.initial > 0, session.mask)
    ]
    assert wrong[1] <= wrong[0]
    assert (result.rounds[-1].index == 10) == (lines == "none")
    assert math.isnan(result.rounds[-1].refined["pfm"]) == (lines == "none")


def test_an_empty_first_prediction_can_be_built_up() -> None:
    target = case()[1]
    dark = np.full(target.mask.shape, -5, np.float32)
    session = RefinementSession(dark[None], dark, Manual(), SessionConfig(crop=64, margin=8))
    rng = np.random.default_rng(0)
    result = drive(session, target, Pointer(), CONFIG, metrics=METRICS, rng=rng)
    assert result.rounds[0].manual["pfm"] == 0
    assert result.rounds[-1].manual["pfm"] > 0.1


def test_image_scores_follow_changes() -> None:
    rng = np.random.default_rng(2)
    _, target = case()
    mask = rng.random(target.mask.shape) > 0.7
    metrics = {"pfm": PseudoFMeasure(), "f_measure": FMeasure()}
    scores = ImageScores(mask, target, metrics)
    for _ in range(20):
        top, left = rng.integers(0, 100, 2)
        box = Tile(int(top), int(left), int(top) + 28, int(left) + 20)
        content = rng.random(box.shape) > 0.5
        scores.update(Flips.between(mask[box.index], content, box))
        mask[box.index] = content
    for name, metric in metrics.items():
        assert scores.scores[name] == pytest.approx(metric.score(mask, target), abs=1e-12)


def test_tile_score_prefers_fewer_false_pixels_where_nothing_is_to_find() -> None:
    clean = np.zeros((8, 8), dtype=bool)
    one, two = clean.copy(), clean.copy()
    one[0, 0] = True
    two[0, :2] = True
    score = TileScore(Target(clean, ~clean), METRICS["pfm"])
    assert score.is_empty
    assert score.value(clean) > score.value(one) > score.value(two)
