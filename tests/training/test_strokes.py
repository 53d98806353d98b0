"""Strokes drawn ahead by other processes are those the step itself would draw."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from linerefine.config import TrainingConfig
from linerefine.errors import RunError
from linerefine.interfaces import UserSimulator
from linerefine.simulators.longest import Longest
from linerefine.training.strokes import Drawer, DrawingPool


def masks(drawn, count=5):
    """Return predictions, lines and ROI, shape (3, count, 96, 96)."""
    samples = [drawn(seed) for seed in range(count)]
    lines = np.stack([sample.lines for sample in samples])
    roi = np.ones_like(lines)
    roi[:, :20] = False
    return np.stack([np.roll(lines, 17, axis=2), lines, roi])


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_processes_draws_what_this_one_does(drawn, workers):
    drawer = Drawer(Longest(), 7, most=3, overwrite=False)
    batch = masks(drawn)
    pool = DrawingPool(drawer, workers)
    try:
        waiting = [pool.draw(*batch, 2, step) for step in range(3)]
        for step, wait in reversed(list(enumerate(waiting))):
            alone = [drawer.hints(*batch[:, at], 2, step, at) for at in range(5)]
            np.testing.assert_array_equal(wait(), alone)
            assert wait().dtype == np.int8
            assert set(np.unique(wait())) == {-1, 0, 1}
    finally:
        pool.close()


@pytest.fixture
def importable(monkeypatch):
    """Let other processes import this module, whose simulators they are sent."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))


class Unsendable(UserSimulator):
    def __init__(self):
        self.kept = lambda: None

    def next_stroke(self, prediction, target, hints, *, operations, rng):
        return None


def test_a_simulator_that_cannot_be_sent_is_named_with_the_way_out():
    with pytest.raises(RunError, match=r"simulator Unsendable cannot .* training\.workers to 0"):
        DrawingPool(Drawer(Unsendable(), 0, 1, overwrite=True), 1)


class Deadly(UserSimulator):
    def next_stroke(self, prediction, target, hints, *, operations, rng):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("importable")
def test_a_process_that_was_killed_is_an_error_and_not_a_wait_without_end(drawn):
    pool = DrawingPool(Drawer(Deadly(), 0, 1, overwrite=True), 1)
    try:
        with pytest.raises(RunError, match="ended from outside"):
            pool.draw(*masks(drawn), 0, 0)()
        with pytest.raises(RunError, match="ended from outside"):
            pool.draw(*masks(drawn), 0, 1)
    finally:
        pool.close()


class Wrong(UserSimulator):
    def next_stroke(self, prediction, target, hints, *, operations, rng):
        msg = "the simulator's own"
        raise ValueError(msg)


@pytest.mark.usefixtures("importable")
def test_what_the_simulator_raises_arrives(drawn):
    pool = DrawingPool(Drawer(Wrong(), 0, 1, overwrite=True), 1)
    try:
        with pytest.raises(ValueError, match="the simulator's own"):
            pool.draw(*masks(drawn), 0, 0)()
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("setting", "device", "cores", "expected"),
    [
        ("auto", "cpu", 64, 0),
        ("auto", "cuda", 1, 1),
        ("auto", "cuda", 6, 3),
        ("auto", "cuda", 64, 8),
        (0, "cuda", 16, 0),
        (5, "cpu", 2, 5),
    ],
)
def test_workers_follow_the_device_unless_they_are_given(setting, device, cores, expected):
    assert TrainingConfig(workers=setting).data_workers(device, cores) == expected
