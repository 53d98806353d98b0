"""The fast session against plain recomputation, and tiles together against one at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.config import EvaluationConfig, SessionConfig
from linerefine.evaluation.drive import drive
from linerefine.interfaces import Metric
from linerefine.metrics.standard import FMeasure, IoU, PseudoFMeasure
from linerefine.refiners.base import Prompt, Refiner
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.simulators.longest import Longest, LongestOptions
from linerefine.testing.drawing import drawn_sample
from linerefine.testing.plain import PlainSession, plain_drive
from linerefine.types import Operation, Round

METRICS: dict[str, Metric] = {"pfm": PseudoFMeasure(), "iou": IoU(), "f_measure": FMeasure()}


class Vote(Refiner):
    """Counts hints and set pixels around each pixel, in whole numbers: exact in any batch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        self.calls += 1
        ones = torch.ones((1, 1, 7, 7))
        assert prompt.previous is not None
        hints = torch.nn.functional.conv2d(prompt.hints, ones, padding=3)
        lines = torch.nn.functional.conv2d((prompt.previous > 0).float(), ones, padding=3)
        return prompt.initial + hints / 4 + (lines - 24) / 16


def scene(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, Target]:
    rng = np.random.default_rng(seed)
    sample = drawn_sample("cross", size=shape, rng=rng)
    assert sample.lines is not None
    lines = sample.lines
    initial = np.where(lines, 1.0, -1.0)
    for _ in range(6 + shape[0] * shape[1] // 2000):
        top, left = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        initial[top : top + 5, left : left + 25] *= -1
    initial = initial + rng.normal(0, 0.45, shape)
    roi = np.ones(shape, dtype=bool)
    roi[: int(rng.integers(1, 20))] = False
    return sample.image, initial.astype(np.float32), Target(lines, roi)


def fast(
    seed: int,
    shape: tuple[int, int],
    config: SessionConfig,
    work: EvaluationConfig,
    lockstep: int,
    operations: frozenset[Operation] = frozenset(Operation),
) -> tuple[RefinementSession, tuple[Round, ...]]:
    image, initial, target = scene(seed, shape)
    session = RefinementSession(image, initial, Vote(), config)
    result = drive(
        session,
        target,
        Longest(OPTIONS),
        work,
        metrics=METRICS,
        rng=np.random.default_rng(seed),
        operations=operations,
        lockstep=lockstep,
    )
    return session, result.rounds


OPTIONS = LongestOptions(tolerance=3.0, half_width=2.0)

CONFIGS = st.builds(
    SessionConfig,
    crop=st.just(64),
    margin=st.sampled_from([0, 8]),
    placement=st.sampled_from(["stroke", "grid"]),
    overlap=st.sampled_from(["latest", "first"]),
    threshold=st.sampled_from([0.5, 0.4]),
)
WORK = st.builds(
    EvaluationConfig,
    loop=st.sampled_from(["shared", "independent"]),
    budget=st.just(12),
    attempts=st.integers(1, 3),
    empty_tiles=st.sampled_from(["work", "skip"]),
)
SHAPES = st.tuples(st.integers(40, 200), st.integers(40, 200))


OPERATIONS = st.sampled_from(
    [frozenset(Operation), frozenset({Operation.ADD}), frozenset({Operation.ERASE})]
)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 99),
    shape=SHAPES,
    config=CONFIGS,
    work=WORK,
    lockstep=st.integers(1, 5),
    operations=OPERATIONS,
)
def test_the_fast_session_equals_plain_recomputation(
    seed: int,
    shape: tuple[int, int],
    config: SessionConfig,
    work: EvaluationConfig,
    lockstep: int,
    operations: frozenset[Operation],
) -> None:
    assert_equals_plain(seed, shape, config, work, lockstep, operations)


def test_tiles_that_were_left_come_back_as_plain_recomputation_says() -> None:
    """A session in which two strokes are drawn in a tile that had been left."""
    config, work = SessionConfig(crop=64, margin=8), EvaluationConfig(loop="independent")
    rounds = assert_equals_plain(1, (200, 200), config, work, 1, frozenset(Operation))
    assert len(rounds) == 56


def assert_equals_plain(
    seed: int,
    shape: tuple[int, int],
    config: SessionConfig,
    work: EvaluationConfig,
    lockstep: int,
    operations: frozenset[Operation],
) -> tuple[Round, ...]:
    session, rounds = fast(seed, shape, config, work, lockstep, operations)
    image, initial, target = scene(seed, shape)
    plain = PlainSession(image, initial, Vote(), config)
    expected = list(
        plain_drive(
            plain,
            target,
            Longest(OPTIONS),
            work,
            metrics=METRICS,
            rng=np.random.default_rng(seed),
            operations=operations,
        )
    )
    assert len(rounds) == len(expected) + 1
    for got, wanted in zip(rounds[1:], expected, strict=True):
        assert got.stroke is not None
        assert got.tile == wanted.tile
        assert got.stroke.to_dict() == wanted.stroke.to_dict()
        assert got.effort == wanted.effort
        assert got.manual == pytest.approx(wanted.manual, abs=0, nan_ok=True)
        assert got.refined == pytest.approx(wanted.refined, abs=0, nan_ok=True)
        assert (got.regret, got.repaired) == (wanted.regret, wanted.repaired)
        assert got.compliance == pytest.approx(wanted.compliance, abs=0, rel=0, nan_ok=True)
        assert got.stroke.operation in operations
    np.testing.assert_array_equal(session.logits, plain.logits)
    np.testing.assert_array_equal(session.hints, plain.hints)
    np.testing.assert_array_equal(session.mask, plain.mask)
    np.testing.assert_array_equal(session.manual_mask, plain.manual_mask)
    return rounds


@pytest.mark.parametrize("placement", ["stroke", "grid"])
def test_tiles_together_give_the_same_rounds_in_fewer_calls(placement: str) -> None:
    config = SessionConfig(crop=64, margin=8, placement=placement)
    work = EvaluationConfig(budget=100)
    alone, rounds = fast(3, (640, 640), config, work, 1)
    together, same = fast(3, (640, 640), config, work, 8)
    assert len(rounds) > 40
    for one, other in zip(rounds, same, strict=True):
        assert (one.tile, one.effort, one.refined) == (other.tile, other.effort, other.refined)
    np.testing.assert_array_equal(alone.logits, together.logits)
    assert together.calls < alone.calls / 3
