"""A person who corrects what they see: every stroke counts, whatever comes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest
import torch

from linerefine.config import EvaluationConfig, SessionConfig
from linerefine.evaluation.clock import Clock
from linerefine.evaluation.consequences import Consequences
from linerefine.evaluation.drive import DriveResult, drive
from linerefine.evaluation.options import options_of
from linerefine.interfaces import Metric, UserSimulator
from linerefine.metrics.standard import IoU, PseudoFMeasure
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.manual import Manual
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.simulators.longest import Longest, LongestOptions
from linerefine.types import HintMap, Mask, Operation, Stroke, Tile

METRICS: dict[str, Metric] = {"pfm": PseudoFMeasure(), "iou": IoU()}
CONFIG = EvaluationConfig(budget=500, loop="independent")


@dataclass
class Watched(UserSimulator):
    """Draws as `Longest` and keeps what it was shown and allowed."""

    seen: list[tuple[Mask, frozenset[Operation]]] = field(default_factory=list)
    own: Longest = field(
        default_factory=lambda: Longest(LongestOptions(tolerance=3.0, half_width=2.0))
    )

    def next_stroke(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        *,
        operations: frozenset[Operation],
        rng: np.random.Generator,
    ) -> Stroke | None:
        self.seen.append((prediction.copy(), operations))
        return self.own.next_stroke(prediction, target, hints, operations=operations, rng=rng)


class Contrary(Refiner):
    """Does the opposite of what it is told, well around every stroke."""

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        return prompt.initial - 50 * torch.nn.functional.avg_pool2d(prompt.hints, 15, 1, 7)


def case(refiner: Refiner) -> tuple[RefinementSession, Target]:
    mask = np.zeros((128, 128), dtype=bool)
    mask[20:23, 8:120] = True
    mask[70:110, 90:93] = True
    initial = np.where(mask, 1.0, -1.0).astype(np.float32)
    initial[18:26, 30:80] = -1  # a gap
    initial[100:103, 8:50] = 1  # false lines, in a tile without target
    image = np.zeros((1, 128, 128), np.float32)
    session = RefinementSession(image, initial, refiner, SessionConfig(crop=64, margin=8))
    return session, Target(mask, np.ones_like(mask))


def work(
    refiner: Refiner, simulator: UserSimulator | None = None, **changes: object
) -> tuple[RefinementSession, Target, DriveResult]:
    session, target = case(refiner)
    operations = changes.pop("operations", frozenset(Operation))
    result = drive(
        session,
        target,
        simulator or Watched(),
        CONFIG.model_copy(update=changes),
        metrics=METRICS,
        rng=np.random.default_rng(0),
        operations=operations,
        lockstep=4,
    )
    return session, target, result


def test_the_person_works_until_nothing_is_left_to_draw_anywhere() -> None:
    session, target, result = work(Manual())
    assert result.reason == "nothing left to draw"
    assert result.rounds[-1].refined["pfm"] > 0.95 > result.rounds[0].refined["pfm"]
    drawer = Watched()
    for top in (0, 64):
        for left in (0, 64):
            tile = Tile(top, left, top + 64, left + 64)
            stroke = drawer.next_stroke(
                session.mask[tile.index],
                target.crop(tile),
                session.hints[tile.index],
                operations=frozenset(Operation),
                rng=np.random.default_rng(0),
            )
            assert stroke is None


def test_false_lines_are_erased_where_there_is_no_target() -> None:
    session, _, result = work(Manual())
    assert Tile(64, 0, 128, 64) in {round_.tile for round_ in result.rounds}
    assert not session.mask[100:103, 8:50].any()
    assert Tile(64, 0, 128, 64) not in {
        round_.tile for round_ in work(Manual(), empty_tiles="skip")[2].rounds
    }


def test_the_simulator_sees_what_is_shown_and_may_do_everything_at_once() -> None:
    watched = Watched()
    _, _, result = work(Contrary(), watched, budget=6)
    assert {operations for _, operations in watched.seen} == {frozenset(Operation)}
    again = RefinementSession(
        np.zeros((1, 128, 128), np.float32),
        case(Manual())[0].initial,
        Contrary(),
        SessionConfig(crop=64, margin=8),
    )
    shown = iter(mask for mask, _ in watched.seen)
    for round_ in result.rounds[1:]:
        assert round_.tile is not None
        assert round_.stroke is not None
        np.testing.assert_array_equal(next(shown), again.mask[round_.tile.index])
        again.apply(round_.stroke)


def test_strokes_that_do_harm_are_drawn_and_recorded() -> None:
    session, _, result = work(Contrary(), budget=20)
    scores = np.array([round_.refined["pfm"] for round_ in result.rounds])
    assert (np.diff(scores) < 0).any()
    assert [round_.stroke for round_ in result.rounds[1:]] == list(session.strokes)
    assert sum(round_.regret or 0 for round_ in result.rounds) > 0
    assert min(round_.compliance for round_ in result.rounds[1:]) < 0.5


@pytest.mark.parametrize("refiner", [Manual, Contrary])
def test_an_interaction_costs_one_call(refiner: type[Refiner]) -> None:
    session, _, result = work(refiner(), budget=15)
    assert session.calls == len(result.rounds) - 1


def test_the_manual_person_sees_the_first_prediction_with_strokes_pasted() -> None:
    session, _, result = work(Manual())
    np.testing.assert_array_equal(session.mask, session.manual_mask)
    for round_ in result.rounds[1:]:
        assert round_.refined == round_.manual
        assert (round_.regret, round_.repaired, round_.compliance) == (0, 0, 1.0)


class Undecided(UserSimulator):
    """Adds one short line, erases it, adds it, until what is shown of it is right."""

    def next_stroke(
        self, prediction: Mask, target: Target, hints: HintMap, **_: object
    ) -> Stroke | None:
        if (prediction == target.mask)[5, 10:20].all():
            return None
        path = np.array([[5, 10], [5, 19]])
        is_there = hints[5, 10:20].min() > 0
        return Stroke(path, 2.0, Operation.ERASE if is_there else Operation.ADD)


def of_two_minds(overlap: Literal["latest", "first"]) -> DriveResult:
    """Let `Undecided` work where every second pixel of what it draws on is line."""

    class Stubborn(Refiner):
        def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
            return prompt.initial

    target = Target(np.indices((32, 32)).sum(axis=0) % 2 == 0, np.ones((32, 32), bool))
    session = RefinementSession(
        np.zeros((1, 32, 32), np.float32),
        np.full((32, 32), -1, np.float32),
        Stubborn(),
        SessionConfig(crop=32, margin=8, overlap=overlap),
    )
    return drive(
        session,
        target,
        Undecided(),
        CONFIG,
        metrics=METRICS,
        rng=np.random.default_rng(0),
        operations=frozenset(Operation),
    )


def test_nobody_goes_in_circles() -> None:
    result = of_two_minds("latest")
    drawn = [round_.stroke.operation for round_ in result.rounds if round_.stroke]
    assert drawn == [Operation.ADD, Operation.ERASE, Operation.ADD]
    assert result.reason == "nothing left to draw"


def test_where_the_first_stroke_has_the_last_word_nobody_draws_over_it() -> None:
    result = of_two_minds("first")
    drawn = [round_.stroke.operation for round_ in result.rounds if round_.stroke]
    assert drawn == [Operation.ADD]
    assert result.reason == "nothing left to draw"


def test_the_budget_ends_the_work() -> None:
    _, _, result = work(Contrary(), budget=3)
    assert (result.reason, result.rounds[-1].index) == ("budget spent", 3)


@pytest.mark.parametrize("loop", ["shared", "independent"])
@pytest.mark.parametrize("operation", list(Operation))
def test_the_person_does_only_what_is_allowed(loop: str, operation: Operation) -> None:
    watched = Watched()
    _, _, result = work(Manual(), watched, loop=loop, operations=frozenset({operation}))
    drawn = {round_.stroke.operation for round_ in result.rounds if round_.stroke}
    assert drawn == {operation}
    assert {operations for _, operations in watched.seen} == {frozenset({operation})}


def test_round_0_has_no_consequences() -> None:
    first = work(Manual(), budget=1)[2].rounds[0]
    assert (first.regret, first.repaired) == (None, None)
    assert math.isnan(first.compliance)


class Eager(Manual):
    """Takes away what lies in columns 0 to 49, before anybody has drawn."""

    revises = True

    def revise(self, features: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        return initial.where(features > 0, -1.0)


def test_round_0_counts_what_the_refiner_did_by_itself() -> None:
    session, target = case(Manual())
    image = np.zeros((1, 128, 128), np.float32)
    image[..., 50:] = 1
    roi = target.roi.copy()
    roi[:, :10] = False
    eager = RefinementSession(image, session.initial, Eager(), session.config)
    config = CONFIG.model_copy(update={"budget": 3})
    result = drive(
        eager,
        Target(target.mask, roi),
        Watched(),
        config,
        metrics=METRICS,
        rng=np.random.default_rng(0),
    )
    first = result.rounds[0]
    # Three rows of the line, columns 10 to 29, spoilt; of the false line 10 to 49 mended.
    assert (first.regret, first.repaired) == (3 * 20, 3 * 40)
    assert first.refined["iou"] != first.manual["iou"]
    assert first.seconds["network"] > 0


class Script(Refiner):
    """Answers given logits."""

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)[None, None]

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        return self.logits


def test_consequences_by_hand() -> None:
    """A 32 x 32 image: line in row 4; the answer sets row 9 and clears all else."""
    mask = np.zeros((32, 32), dtype=bool)
    mask[4] = True
    roi = np.ones_like(mask)
    roi[:, 20:] = False
    answer = np.full((32, 32), -1, np.float32)
    answer[9] = 1
    initial = np.full((32, 32), -1, np.float32)
    initial[4, :10] = 1  # right; the answer clears it: ten pixels of regret, less the stroke's
    initial[15, :7] = 1  # wrong; the answer clears it: seven repaired
    image, config = np.zeros((1, 32, 32), np.float32), SessionConfig(crop=32, placement="grid")
    session = RefinementSession(image, initial, Script(answer), config)
    stroke = Stroke(np.array([[4, 8], [4, 23]]), 1.0, Operation.ADD)  # 16 pixels, 12 in the ROI
    (option,) = options_of(session, [stroke], batch=1, clock=Clock())
    came = Consequences.of(option, session, Target(mask, roi))
    # Row 9 becomes wrong in 20 columns of the ROI; of row 4, columns 0 to 7 are not touched.
    assert came == Consequences(regret=20 + 8, repaired=7, compliance=0.0)
    session.apply(stroke)
    erase = Stroke(np.array([[9, 18], [9, 21]]), 1.0, Operation.ERASE)  # two pixels in the ROI
    (option,) = options_of(session, [erase], batch=1, clock=Clock())
    assert Consequences.of(option, session, Target(mask, roi)) == Consequences(0, 0, 0.0)
    add = Stroke(np.array([[9, 18], [11, 18]]), 1.0, Operation.ADD)  # the answer has one of three
    (option,) = options_of(session, [add], batch=1, clock=Clock())
    assert Consequences.of(option, session, Target(mask, roi)).compliance == pytest.approx(1 / 3)
    outside = Stroke(np.array([[9, 25]]), 1.0, Operation.ADD)
    (option,) = options_of(session, [outside], batch=1, clock=Clock())
    assert math.isnan(Consequences.of(option, session, Target(mask, roi)).compliance)
