"""The refiner that needs no person."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from linerefine.config import NetworkConfig
from linerefine.refiners.base import Prompt
from linerefine.refiners.iternet import IterNet
from linerefine.refiners.options import IterNetOptions
from linerefine.training.losses import LOSSES

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


def iternet(**options) -> IterNet:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return IterNet(IterNetOptions(network=TINY, **{"width": 8} | options), channels=2).eval()


def prompt(seed: int = 0, batch: int = 2) -> Prompt:
    generator = torch.Generator().manual_seed(seed)
    initial = torch.randn((batch, 1, 64, 64), generator=generator) * 4
    hints = torch.randint(-1, 2, initial.shape, generator=generator).float()
    return Prompt(initial, hints, initial)


@pytest.mark.parametrize("iterations", [1, 3])
def test_there_is_an_answer_of_the_first_network_and_one_per_iteration(iterations):
    refiner, image = iternet(iterations=iterations), torch.rand(2, 2, 64, 64)
    with torch.no_grad():
        answers = refiner.answers(refiner.encode(image, prompt().initial), prompt())
        assert [tuple(answer.shape) for answer in answers] == [(2, 1, 64, 64)] * (iterations + 1)
        assert torch.equal(answers[-1], refiner(image, prompt()))
        assert torch.equal(answers[0], refiner.network(torch.cat([image, prompt().initial], 1)))


def test_more_iterations_need_no_more_weights_and_go_on_from_there():
    few, many = iternet(iterations=1), iternet(iterations=4)
    assert [p.shape for p in few.parameters()] == [p.shape for p in many.parameters()]
    image = torch.rand(2, 2, 64, 64)
    with torch.no_grad():
        fewer, more = (r.answers(image, prompt()) for r in (few, many))
    assert all(torch.equal(one, other) for one, other in zip(fewer, more, strict=False))
    assert not torch.allclose(more[-1], more[1])


def test_it_sees_image_and_first_prediction_but_no_hint():
    refiner, image, given = iternet(), torch.rand(2, 2, 64, 64), prompt()
    with torch.no_grad():
        answer = refiner(image, given)
        for hints in (-given.hints, torch.zeros_like(given.hints)):
            assert torch.equal(refiner(image, Prompt(given.initial, hints, None)), answer)
        assert not torch.allclose(refiner(-image, given), answer)
        changed = Prompt(-given.initial, given.hints, given.previous)
        assert not torch.allclose(refiner(image, changed), answer)


def test_every_answer_teaches_every_part():
    refiner = iternet().train()
    *_, one, last = refiner.answers(torch.rand(2, 2, 64, 64), prompt())
    for answer in (one, last):
        refiner.zero_grad()
        answer.square().mean().backward(retain_graph=True)
        for part in (refiner.network, refiner.shallow, refiner.mini, refiner.head):
            assert any(float(p.grad.abs().max()) > 0 for p in part.parameters())


def test_it_learns_a_patch_by_heart():
    image = torch.zeros(2, 2, 64, 64)
    image[:, :, 20:23, 8:56] = image[:, :, 8:56, 40:43] = 1
    lines = image[:, :1] > 0
    image += 0.3 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    roi, refiner = torch.ones_like(lines), iternet(iterations=2).train()
    optimizer = torch.optim.Adam(refiner.parameters(), 5e-3)
    loss_of = LOSSES["dice"]
    nothing = torch.full_like(image[:, :1], -3.0)
    given = Prompt(nothing, torch.zeros_like(nothing), nothing)
    losses = []
    for _ in range(60):
        answers = refiner.answers(refiner.encode(image, given.initial), given)
        loss = torch.stack([loss_of(answer, lines, roi) for answer in answers]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        last = refiner.answers(refiner.encode(image, given.initial), given)[-1] > 0
    agreement = 2 * (last & lines).sum() / (last.sum() + lines.sum())
    assert losses[-1] < 0.2 < losses[0]
    assert float(agreement) > 0.95


def test_options_refuse_what_cannot_be_built():
    for wrong in ({"iterations": 0}, {"width": 0}, {"inputs": ["hints"]}):
        with pytest.raises(ValidationError):
            IterNetOptions(**wrong)


@pytest.mark.parametrize("width", [1, 6, 8])
def test_any_width_can_be_built(width):
    with torch.no_grad():
        assert iternet(width=width)(torch.rand(2, 2, 64, 64), prompt()).shape == (2, 1, 64, 64)
