"""The refiner whose answers are anchored in the one before."""

from __future__ import annotations

import math

import pytest
import torch

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.anchored import HELD, Anchored
from linerefine.refiners.base import Prompt
from linerefine.refiners.options import AnchoredOptions
from linerefine.testing import check_refiner

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))
EDGE = 128


def anchored(**options) -> Anchored:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        settings = {"network": TINY, "width": 8, "reach": 20} | options
        return Anchored(AnchoredOptions(**settings), channels=2).eval()


@pytest.fixture
def image():
    return torch.rand(1, 2, EDGE, EDGE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def initial():
    return 3 * torch.randn(1, 1, EDGE, EDGE, generator=torch.Generator().manual_seed(2))


def stroke(row: int, sign: int = 1) -> torch.Tensor:
    """Return hints of one stroke three pixels wide, columns 50 to 69."""
    hints = torch.zeros(1, 1, EDGE, EDGE)
    hints[..., row - 1 : row + 2, 50:70] = sign
    return hints


@pytest.mark.parametrize(
    "options", [{}, {"gate": False}, {"hold": False}, {"reach": None}, {"feedback": False}]
)
def test_it_keeps_the_contract_whatever_is_left_out(options):
    check_refiner(anchored(**options), channels=2)


def test_strokes_are_held_in_the_logits_themselves(image, initial):
    hints = stroke(30) + stroke(90, -1)
    with torch.no_grad():
        answer = anchored()(image, Prompt(initial, hints, initial))
        loose = anchored(hold=False)(image, Prompt(initial, hints, initial))
    assert (answer[hints == 1] == HELD).all()
    assert (answer[hints == -1] == -HELD).all()
    assert not (loose[hints == 1] == HELD).any()
    assert torch.equal(answer[hints == 0], loose[hints == 0])


@pytest.mark.parametrize("reach", [16, 20, 45])
def test_nothing_changes_beyond_the_reach_and_something_does_within(image, initial, reach):
    with torch.no_grad():
        answer = anchored(reach=reach)(image, Prompt(initial, stroke(64), initial))
    rows, cols = torch.nonzero((answer != initial)[0, 0], as_tuple=True)
    assert rows.min() >= 63 - reach
    assert rows.max() <= 65 + reach
    assert cols.min() >= 50 - reach
    assert cols.max() <= 69 + reach
    assert rows.min() < 63 - reach // 2


def test_without_a_reach_everything_may_change(image, initial):
    with torch.no_grad():
        answer = anchored(reach=None)(image, Prompt(initial, stroke(64), initial))
    assert (answer != initial).all()


def test_only_what_is_new_moves_the_answer(image, initial):
    refiner = anchored()
    with torch.no_grad():
        first = refiner(image, Prompt(initial, stroke(20), initial))
        again = refiner(image, Prompt(initial, stroke(20), first))
        second = refiner(image, Prompt(initial, stroke(20) + stroke(100), first))
    assert torch.equal(again, first)
    assert torch.equal(second[..., :60, :], first[..., :60, :])
    assert not torch.equal(second[..., 80:, :], first[..., 80:, :])


def test_without_feedback_it_starts_from_the_first_prediction(image, initial):
    refiner = anchored(feedback=False)
    with torch.no_grad():
        one = refiner(image, Prompt(initial, stroke(20), initial))
        other = refiner(image, Prompt(initial, stroke(20), -initial))
    assert torch.equal(one, other)


def test_the_answer_is_the_one_before_moved_as_far_as_the_influence_says(image, initial):
    refiner, hints = anchored(hold=False), stroke(64)
    prompt = Prompt(initial, hints, initial)
    with torch.no_grad():
        features = refiner.encode(image)
        proposal, influence = refiner.change(features, prompt)
        answer = refiner.refine(features, prompt)
    assert 0 <= influence.min() < influence.max() < 1
    chance, proposed = initial.sigmoid(), proposal.sigmoid()
    torch.testing.assert_close(answer.sigmoid(), chance + influence * (proposed - chance))
    assert torch.equal(answer[influence == 0], initial[influence == 0])


def test_the_window_is_one_at_the_stroke_and_falls_to_nothing(image, initial):
    refiner = anchored(gate=False, reach=20)
    with torch.no_grad():
        _, influence = refiner.change(refiner.encode(image), Prompt(initial, stroke(64), initial))
    along = influence[0, 0, 64:, 60]
    assert (along[:2] == 1).all()
    assert (along.diff() <= 0).all()
    assert along[math.ceil(21 + 1) :].max() == 0


def test_the_proposal_is_judged_beside_the_answer(image, initial):
    refiner, hints = anchored(), stroke(64)
    prompt = Prompt(initial, hints, initial)
    with torch.no_grad():
        features = refiner.encode(image)
        proposed, answer = refiner.answers(features, prompt)
        change = refiner.change(features, prompt)
        (alone,) = anchored(judge_proposal=False).answers(features, prompt)
    free = (change.influence > 0) & (hints == 0)
    assert torch.equal(proposed[free], change.proposal[free])
    assert torch.equal(proposed[change.influence == 0], initial[change.influence == 0])
    assert torch.equal(answer, alone)


def test_the_image_branch_begins_as_the_first_prediction_network(image):
    segmenter = Segmenter(build_network(TINY, 2))
    begun, random = anchored(), anchored(begin="random")
    before = {name: tensor.clone() for name, tensor in random.network.state_dict().items()}
    for refiner in (begun, random):
        refiner.begin_from(segmenter)
    learnt, own = segmenter.network.state_dict(), begun.network.state_dict()
    last = {name for name in own if "segmentation_head" in name}
    assert 0 < len(last) < len(own)
    assert all(torch.equal(own[name], learnt[name]) for name in own.keys() - last)
    assert all(torch.equal(random.network.state_dict()[name], before[name]) for name in before)


def test_another_network_than_the_segmenter_is_named():
    other = TINY.model_copy(update={"decoder_channels": (24, 8, 8)})
    with pytest.raises(ConfigError, match="begin=random"):
        anchored().begin_from(Segmenter(build_network(other, 2)))


def test_the_image_is_looked_at_once_per_place(image, initial, monkeypatch):
    refiner = anchored()
    features = refiner.encode(image)
    monkeypatch.setattr(refiner, "network", None)
    for row in (20, 60):
        refiner.refine(features, Prompt(initial, stroke(row), initial))
