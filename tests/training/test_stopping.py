import math

import numpy as np
import pytest
import torch

from linerefine.config import TrainingConfig
from linerefine.training.stopping import EarlyStopping, make_schedule


def test_stops_after_patience_epochs_without_improvement():
    stopping = EarlyStopping(patience=2, min_delta=0)
    assert [stopping.update(score) for score in (0.5, 0.6, 0.6, 0.6)] == [False, False, False, True]


def test_a_rise_of_no_more_than_min_delta_is_no_improvement():
    stopping = EarlyStopping(patience=1, min_delta=0.25)
    assert not stopping.update(0.5)
    assert stopping.update(0.75)


def test_small_rises_count_once_they_add_up():
    stopping = EarlyStopping(patience=2, min_delta=0.1)
    for score in (0.5, 0.58, 0.66, 0.74, 0.82):
        assert not stopping.update(score)


def test_an_undefined_score_is_no_improvement():
    stopping = EarlyStopping(patience=1, min_delta=0)
    assert stopping.update(math.nan)
    assert stopping.best == -math.inf


def test_goes_on_where_its_state_was_taken():
    first = EarlyStopping(patience=3, min_delta=0)
    for score in (0.5, 0.4, 0.4):
        first.update(score)
    second = EarlyStopping(patience=3, min_delta=0)
    second.load_state_dict(first.state_dict())
    assert second.update(0.4) is first.update(0.4) is True


def test_learning_rate_falls_when_a_score_below_zero_stops_rising():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=1.0)
    config = TrainingConfig(plateau_factor=0.5, plateau_patience=1)
    schedule = make_schedule(optimizer, config, 100)
    rates = []
    for score in (-0.3, -0.2, -0.2, -0.2, math.nan, math.nan):
        schedule.after_epoch(score)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1, 1, 1, 0.5, 0.5, 0.25])


def test_cosine_rises_then_falls_to_nothing_and_finds_its_place_again():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=2.0)
    schedule = make_schedule(optimizer, TrainingConfig(schedule="cosine"), 100)
    rates = []
    for done in range(1, 101):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.after_step(done)
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[10] == pytest.approx(2.0)
    assert rates[55] == pytest.approx(1.0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    other = torch.optim.Adam([parameter], lr=1e9)
    again = make_schedule(other, TrainingConfig(schedule="cosine"), 100)
    again.load_state_dict(schedule.state_dict())
    again.after_step(55)
    assert other.param_groups[0]["lr"] == pytest.approx(rates[55])
