import numpy as np
import pytest

from linerefine.geometry.hints import apply_hints
from linerefine.interfaces import UserSimulator
from linerefine.samples import Target
from linerefine.training.simulation import draw_hints, draw_stroke, logit
from linerefine.types import Operation, Stroke


class Willing(UserSimulator):
    """Draws a dot for every operation it is willing to do, and notes what it was shown."""

    def __init__(self, *willing):
        self.willing, self.shown = willing, []

    def next_stroke(self, prediction, target, hints, *, operations, rng):
        assert len(operations) == 1
        (operation,) = operations
        self.shown.append((operation, prediction.copy(), hints.copy()))
        if operation not in self.willing:
            return None
        return Stroke([(rng.integers(32), rng.integers(32))], 2, operation)


TARGET = Target(np.zeros((32, 32), bool), np.ones((32, 32), bool))
NONE = np.zeros((32, 32), np.int8)
INITIAL = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)


def draw(simulator, seed=0):
    rng = np.random.default_rng(seed)
    return draw_stroke(simulator, INITIAL > 0, TARGET, NONE, rng)


def test_add_and_erase_are_drawn_equally_often():
    drawn = [draw(Willing(*Operation), seed).operation for seed in range(400)]
    assert 160 < sum(operation is Operation.ADD for operation in drawn) < 240


@pytest.mark.parametrize("only", list(Operation))
def test_where_one_operation_is_not_possible_the_other_is_done(only):
    assert all(draw(Willing(only), seed).operation is only for seed in range(20))


def test_nothing_is_drawn_where_neither_is_possible():
    simulator = Willing()
    assert draw(simulator) is None
    assert {operation for operation, *_ in simulator.shown} == set(Operation)


def test_without_a_stroke_hints_stay_empty():
    assert not draw_hints(Willing(), INITIAL, TARGET, np.random.default_rng(0)).any()


def test_each_stroke_is_drawn_on_what_the_ones_before_made_of_the_prediction():
    simulator = Willing(*Operation)
    hints = draw_hints(simulator, INITIAL, TARGET, np.random.default_rng(1), most=5)
    assert len(simulator.shown) > 1
    for _, prediction, before in simulator.shown:
        np.testing.assert_array_equal(prediction, apply_hints(INITIAL, before) > 0)
    assert (simulator.shown[-1][2] != 0).sum() < (hints != 0).sum()


def test_one_to_most_strokes_are_drawn_equally_often():
    counts = []
    for seed in range(300):
        simulator = Willing(*Operation)
        draw_hints(simulator, INITIAL, TARGET, np.random.default_rng(seed), most=3)
        counts.append(len(simulator.shown))
    assert np.bincount(counts, minlength=4)[1:] == pytest.approx([100, 100, 100], abs=25)


def test_the_threshold_decides_what_the_annotator_sees():
    simulator = Willing(*Operation)
    draw_hints(simulator, INITIAL, TARGET, np.random.default_rng(0), threshold=0.8)
    expected = 1 / (1 + np.exp(-INITIAL)) > 0.8
    np.testing.assert_array_equal(simulator.shown[0][1], expected)


@pytest.mark.parametrize("is_latest", [True, False])
def test_whose_word_holds_can_be_chosen(is_latest):
    class Contrary(UserSimulator):
        calls = 0

        def next_stroke(self, prediction, target, hints, *, operations, rng):
            self.calls += 1
            operation = Operation.ADD if self.calls == 1 else Operation.ERASE
            return Stroke([(9, 9)], 3, operation)

    hints = draw_hints(
        Contrary(), INITIAL, TARGET, np.random.default_rng(1), most=50, overwrite=is_latest
    )
    assert hints[9, 9] == (-1 if is_latest else 1)


def test_logit_inverts_the_logistic_function():
    assert logit(0.5) == 0
    assert 1 / (1 + np.exp(-logit(0.3))) == pytest.approx(0.3)
