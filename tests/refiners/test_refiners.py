import numpy as np
import pytest
import torch

from linerefine.config import NetworkConfig, Options
from linerefine.geometry.hints import apply_hints
from linerefine.refiners.base import Prompt
from linerefine.refiners.manual import Manual
from linerefine.refiners.options import UNetOptions
from linerefine.refiners.unet import UNetRefiner

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


def prompt(seed=0, shape=(2, 1, 64, 64)):
    generator = torch.Generator().manual_seed(seed)
    initial = torch.randn(shape, generator=generator) * 5
    hints = torch.randint(-1, 2, shape, generator=generator).float()
    return Prompt(initial, hints, previous=initial)


@pytest.fixture(scope="module")
def unet():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return UNetRefiner(UNetOptions(network=TINY), channels=3).eval()


def test_manual_is_the_first_prediction_with_hints_applied():
    given = prompt()
    answer = Manual(Options(), channels=3)(torch.zeros(2, 3, 64, 64), given)
    for k in range(2):
        expected = apply_hints(
            given.initial[k, 0].numpy(), given.hints[k, 0].numpy().astype(np.int8)
        )
        np.testing.assert_array_equal(answer[k, 0].numpy(), expected)


def test_manual_has_nothing_to_train():
    assert not Manual().is_trainable


def test_unet_answers_one_logit_per_pixel(unet):
    assert unet.is_trainable
    assert unet(torch.zeros(2, 3, 64, 64), prompt()).shape == (2, 1, 64, 64)


def test_unet_sees_image_then_logits_then_hints(unet, monkeypatch):
    seen = []
    monkeypatch.setattr(unet.network, "forward", lambda x: seen.append(x) or x[:, :1])
    image, given = torch.rand(2, 3, 64, 64), prompt()
    unet(image, given)
    assert torch.equal(seen[0][:, :3], image)
    assert torch.equal(seen[0][:, 3:4], given.initial)
    assert torch.equal(seen[0][:, 4:], given.hints)


@pytest.mark.parametrize("part", ["image", "initial", "hints"])
def test_unet_depends_on_all_it_is_given(unet, part):
    image, given = torch.zeros(2, 3, 64, 64), prompt()
    before = unet(image, given)
    if part == "image":
        after = unet(image + 1, given)
    else:
        parts = {"initial": given.initial, "hints": given.hints}
        after = unet(image, Prompt(**(parts | {part: -parts[part]})))
    assert not torch.allclose(before, after)


def test_encoding_once_and_refining_twice_equals_two_calls(unet):
    image = torch.rand(2, 3, 64, 64)
    features = unet.encode(image)
    for seed in (0, 1):
        assert torch.equal(unet.refine(features, prompt(seed)), unet(image, prompt(seed)))


def test_what_is_given_is_left_untouched(unet):
    given = prompt()
    copies = given.initial.clone(), given.hints.clone()
    for refiner in (unet, Manual()):
        refiner(torch.zeros(2, 3, 64, 64), given)
        assert torch.equal(given.initial, copies[0])
        assert torch.equal(given.hints, copies[1])


def test_the_papers_refiner_is_the_default():
    network = UNetOptions().network
    assert (network.architecture, network.encoder) == ("unet", "efficientnet-b6")
