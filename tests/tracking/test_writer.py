from __future__ import annotations

import pytest

from linerefine.errors import RunError
from linerefine.tracking.writer import BATCH, MetricWriter


class Sink:
    """Takes numbers, or refuses them."""

    def __init__(self):
        self.batches = []
        self.refuses = False

    def __call__(self, run, points):
        if self.refuses:
            msg = "no"
            raise RunError(msg)
        self.batches.append((run, list(points)))

    def values(self, run):
        return [(p.key, p.step, p.value) for r, points in self.batches if r == run for p in points]


@pytest.fixture
def sink():
    return Sink()


def test_numbers_wait_until_they_are_flushed(sink):
    writer = MetricWriter(sink, seconds=1000)
    writer.add("a", 1, {"x": 1.0, "y": 2.0})
    assert sink.batches == []
    assert writer.waiting == 2
    writer.flush()
    assert sink.values("a") == [("x", 1, 1.0), ("y", 1, 2.0)]
    assert writer.waiting == 0


def test_numbers_do_not_wait_longer_than_asked_for(sink):
    writer = MetricWriter(sink, seconds=0)
    writer.add("a", 1, {"x": 1.0})
    assert sink.values("a") == [("x", 1, 1.0)]


def test_numbers_that_are_not_finite_are_left_out(sink):
    writer = MetricWriter(sink, seconds=0)
    writer.add("a", 1, {"x": float("nan"), "y": float("inf"), "z": 0.0})
    assert sink.values("a") == [("z", 1, 0.0)]


def test_batches_are_as_large_as_mlflow_takes_and_lose_nothing(sink):
    writer = MetricWriter(sink, seconds=1000)
    for step in range(700):
        writer.add("a", step, {"x": step, "y": -step, "z": 0.5})
    writer.add("b", 0, {"x": 1.0})
    writer.flush()
    assert all(len(points) <= BATCH for _, points in sink.batches)
    assert len(sink.values("a")) == 2100
    assert [step for key, step, _ in sink.values("a") if key == "x"] == list(range(700))
    assert len(sink.batches) == 4


def test_what_a_store_refuses_is_kept_and_said_once(sink, caplog):
    writer = MetricWriter(sink, seconds=0)
    sink.refuses = True
    for step in range(3):
        writer.add("a", step, {"x": step})
    assert writer.waiting == 3
    assert caplog.text.count("numbers wait until MLflow takes them again: no") == 1
    sink.refuses = False
    writer.flush()
    assert sink.values("a") == [("x", 0, 0.0), ("x", 1, 1.0), ("x", 2, 2.0)]
    sink.refuses = True
    writer.add("a", 3, {"x": 3.0})
    assert caplog.text.count("numbers wait") == 2
