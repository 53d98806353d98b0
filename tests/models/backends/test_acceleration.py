"""Networks inside modules: swapped, swapped back, trained again, in every shape."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from linerefine.config import InferenceConfig
from linerefine.models.backends import BACKENDS, accelerate
from linerefine.models.segmenter import Segmenter
from linerefine.refiners.base import Prompt
from linerefine.refiners.manual import Manual
from linerefine.refiners.options import UNetOptions
from linerefine.refiners.unet import UNetRefiner

ONCE = InferenceConfig(backend="channels_last")


@pytest.fixture
def segmenter(trained):
    return Segmenter(copy.deepcopy(trained)).eval()


@pytest.fixture
def image(drawn):
    return drawn[0]


def answer(module, image):
    with torch.inference_mode():
        return module(image)


def count_builds(monkeypatch, name):
    """Return a list that grows with every shape a back-end is built for."""
    built = []
    build = type(BACKENDS[name]).build

    def counted(self, network, example, calibration=()):
        built.append((self.name, tuple(example.shape)))
        return build(self, network, example, calibration)

    monkeypatch.setattr(type(BACKENDS[name]), "build", counted)
    return built


def test_inside_the_block_another_backend_answers_and_afterwards_the_network_itself(
    segmenter, image
):
    exact = answer(segmenter, image)
    keys = list(segmenter.state_dict())
    with accelerate(segmenter, InferenceConfig(backend="packed")) as fast:
        swapped = answer(segmenter, image)
        assert list(segmenter.state_dict()) == keys
    assert not torch.equal(swapped, exact)
    torch.testing.assert_close(swapped, exact, rtol=0, atol=1e-4)
    assert torch.equal(answer(segmenter, image), exact)
    assert fast.networks == ("network",)
    assert fast.choices["network"].backend == "packed"


def test_nothing_is_built_twice_when_a_block_is_entered_again(segmenter, image, monkeypatch):
    built = count_builds(monkeypatch, "channels_last")
    fast = accelerate(segmenter, ONCE)
    for _ in range(3):
        with fast:
            answer(segmenter, image)
    assert built == [("channels_last", (3, 1, 96, 96))]


def test_training_inside_the_block_trains_the_network_and_is_followed(segmenter, image):
    with accelerate(segmenter, ONCE):
        before = answer(segmenter, image)
        optimiser = torch.optim.SGD(segmenter.parameters(), 0.1)
        segmenter.train()
        segmenter(image).mean().backward()
        optimiser.step()
        segmenter.eval()
        after = answer(segmenter, image)
    assert not torch.allclose(before, after, atol=1e-2)
    torch.testing.assert_close(after, answer(segmenter, image), rtol=0, atol=1e-4)


def test_loaded_weights_are_followed_too(segmenter, image):
    with accelerate(segmenter, ONCE):
        answer(segmenter, image)
        state = {name: value * 1.01 for name, value in segmenter.state_dict().items()}
        segmenter.load_state_dict(state)
        followed = answer(segmenter, image)
    torch.testing.assert_close(followed, answer(segmenter, image), rtol=0, atol=1e-4)


def test_passes_with_gradients_are_the_networks_own(segmenter, image):
    with accelerate(segmenter, ONCE) as fast:
        segmenter(image).sum().backward()
        assert fast.choices == {}
    assert all(p.grad is not None for p in segmenter.network.body.encoder.parameters())


def test_a_copy_made_inside_the_block_is_a_plain_network(segmenter, image):
    with accelerate(segmenter, ONCE):
        answer(segmenter, image)
        twin = copy.deepcopy(segmenter)
    assert twin.network.fast is None
    assert torch.equal(answer(twin, image), answer(segmenter, image))


def test_the_first_shapes_get_a_runner_each_and_the_others_share_one(segmenter, image, monkeypatch):
    built = count_builds(monkeypatch, "packed")
    shared = count_builds(monkeypatch, "channels_last")
    shapes = [(1, 96, 96), (3, 96, 96), (1, 64, 96), (1, 32, 32), (2, 32, 32), (2, 64, 32)]
    with accelerate(segmenter, InferenceConfig(backend="packed")):
        for b, h, w in shapes * 2:
            part = image[:b, :, :h, :w]
            exact = answer(segmenter.network.body, part)
            torch.testing.assert_close(answer(segmenter, part), exact, rtol=0, atol=1e-4)
    assert [shape for _, shape in built] == [(b, 1, h, w) for b, h, w in shapes[:4]]
    assert shared == [("channels_last", (2, 1, 32, 32))]


@settings(max_examples=15)
@given(b=st.integers(1, 3), rows=st.integers(1, 3), cols=st.integers(1, 3))
def test_any_shape_is_answered_like_the_network_would(trained, drawn, b, rows, cols):
    part = drawn[0][:b, :, : 32 * rows, : 32 * cols]
    segmenter = Segmenter(trained)
    with accelerate(segmenter, InferenceConfig(backend="packed")):
        fast = answer(segmenter, part)
    torch.testing.assert_close(fast, answer(segmenter, part), rtol=0, atol=1e-4)


def test_the_same_input_gives_the_same_bits_whatever_came_between(segmenter, image):
    with accelerate(segmenter, InferenceConfig(backend="packed")):
        first = answer(segmenter, image[:1])
        for part in (image, image[:2, :, :64], image[1:2]):
            answer(segmenter, part)
        assert torch.equal(answer(segmenter, image[:1]), first)


def test_an_enclosing_autocast_block_changes_nothing(segmenter, image):
    with accelerate(segmenter, ONCE):
        plain = answer(segmenter, image)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(answer(segmenter, image), plain)


def test_a_refiner_runs_its_network_on_the_backend(trained, image):
    torch.manual_seed(0)
    refiner = UNetRefiner(UNetOptions(network=trained.config), channels=1).eval()
    prompt = Prompt(image, torch.zeros_like(image), image)
    with torch.inference_mode():
        exact = refiner(image, prompt)
        with accelerate(refiner, ONCE) as fast:
            swapped = refiner(image, prompt)
    assert fast.choices["network"].shape == (3, 3, 96, 96)
    assert not torch.equal(swapped, exact)
    torch.testing.assert_close(swapped, exact, rtol=0, atol=1e-4)


def test_a_module_without_a_network_runs_as_it_is(image):
    module = Manual()
    with accelerate(module, ONCE) as fast:
        assert torch.equal(module(image, Prompt(image, torch.zeros_like(image))), image)
    assert fast.networks == ()
    assert accelerate(nn.Conv2d(1, 1, 1)).networks == ()
