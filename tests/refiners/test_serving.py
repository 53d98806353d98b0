from __future__ import annotations

import torch

from linerefine.refiners.base import Refiner
from linerefine.refiners.manual import Manual
from linerefine.refiners.serving import ServedRefiner


class Split(Refiner):
    """Answers with a sum that tells all its inputs apart."""

    def encode(self, image, initial):
        return 1000 * image.sum(dim=1, keepdim=True)

    def refine(self, features, prompt):
        return features + 100 * prompt.previous + 10 * prompt.initial + prompt.hints


def test_channels_arrive_where_they_belong():
    stacked = torch.tensor([1.0, 2.0, 3.0, -1.0]).reshape(1, 4, 1, 1).expand(2, 4, 32, 32)
    answer = Split().served()(stacked)
    assert answer.shape == (2, 1, 32, 32)
    assert torch.equal(answer, torch.full_like(answer, 3000 + 300 + 30 - 1))


def test_a_served_refiner_answers_as_the_refiner_itself():
    refiner = Manual()
    served = refiner.served()
    assert isinstance(served, ServedRefiner)
    assert served.refiner is refiner


def test_examples_are_of_the_right_kind_and_repeatable():
    example = Manual().served().example_input(3, 64, batch=5, seed=1)
    assert example.shape == (5, 5, 64, 64)
    assert example.dtype == torch.float32
    assert set(example[:, -1].unique().tolist()) == {-1.0, 0.0, 1.0}
    assert torch.equal(example, Manual().served().example_input(3, 64, batch=5, seed=1))
    assert not torch.equal(example, Manual().served().example_input(3, 64, batch=5, seed=2))


def test_examples_leave_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    Manual().served().example_input(1)
    assert torch.equal(torch.random.get_rng_state(), before)
