import numpy as np
import pytest
import torch
from pydantic import ValidationError

import linerefine.refiners.unet as unet_module
from linerefine.config import EncoderConfig, NetworkConfig, Options
from linerefine.geometry.hints import apply_hints
from linerefine.refiners.base import Prompt
from linerefine.refiners.encoding import encode_hints
from linerefine.refiners.manual import Manual
from linerefine.refiners.options import DeepLabOptions, PANOptions, UNetOptions
from linerefine.refiners.unet import PAN, DeepLabV3Plus, UNetRefiner

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))
ENCODER = EncoderConfig(encoder="tu-resnet10t", encoder_depth=3)


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


@pytest.mark.parametrize("kind", [UNetRefiner, DeepLabV3Plus, PAN])
def test_the_papers_refiners_redraw_the_whole_image_only_if_asked(kind):
    options = {UNetRefiner: UNetOptions, DeepLabV3Plus: DeepLabOptions, PAN: PANOptions}[kind]
    assert not kind(options(), channels=3).revises
    refiner = kind(options(revise=True), channels=3).eval()
    assert refiner.revises
    image, given = torch.rand(2, 3, 128, 128), prompt(shape=(2, 1, 128, 128)).initial
    with torch.no_grad():
        without = refiner(image, Prompt(given, torch.zeros_like(given), given))
        assert torch.equal(refiner.revise(image, given), without)


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
    features = unet.encode(image, prompt().initial)
    for seed in (0, 1):
        assert torch.equal(unet.refine(features, prompt(seed)), unet(image, prompt(seed)))


def test_what_is_given_is_left_untouched(unet):
    given = prompt()
    copies = given.initial.clone(), given.hints.clone()
    for refiner in (unet, Manual()):
        refiner(torch.zeros(2, 3, 64, 64), given)
        assert torch.equal(given.initial, copies[0])
        assert torch.equal(given.hints, copies[1])


@pytest.mark.parametrize("kind", [UNetRefiner, DeepLabV3Plus, PAN])
def test_the_papers_encoder_is_the_default(kind, monkeypatch):
    built = []
    monkeypatch.setattr(unet_module, "build_network", lambda *given: built.append(given) or TINY)
    kind(channels=2)
    ((network, channels),) = built
    assert (network.encoder, network.encoder_depth) == ("efficientnet-b6", 5)
    assert (network.encoder_weights, network.decoder_channels) == (None, None)
    assert channels == 4


def test_unet_is_the_papers_architecture_and_takes_any_other():
    assert UNetRefiner(UNetOptions(network=TINY)).network.config.architecture == "unet"
    other = NetworkConfig(architecture="linknet", encoder="tu-resnet10t", encoder_depth=3)
    assert UNetRefiner(UNetOptions(network=other)).network.config == other


@pytest.mark.parametrize(
    ("kind", "options", "architecture"),
    [(DeepLabV3Plus, DeepLabOptions, "deeplabv3plus"), (PAN, PANOptions, "pan")],
)
def test_others_settle_the_architecture_and_take_the_encoder(kind, options, architecture):
    refiner = kind(options(network=ENCODER), channels=2)
    config = refiner.network.config
    assert config == NetworkConfig(architecture=architecture, **ENCODER.model_dump())
    assert refiner.network.channels == 4
    for edge in (32, 64, 160):
        shape = (2, 1, edge, edge)
        assert refiner(torch.zeros(2, 2, edge, edge), prompt(shape=shape)).shape == shape
    with pytest.raises(ValidationError, match="architecture"):
        options(network={"architecture": "unet"})


SMALL = {
    "unet": lambda **given: UNetRefiner(UNetOptions(network=TINY, **given), channels=2),
    "pan": lambda **given: PAN(PANOptions(network=ENCODER, **given), channels=2),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("inputs", [["image", "initial"], ["image", "hints"], ["previous"]])
def test_a_network_sees_its_inputs_and_nothing_else(name, inputs):
    refiner = SMALL[name](inputs=inputs).eval()
    image, given = torch.rand(2, 2, 64, 64), prompt()
    parts = {"image": image, "initial": given.initial, "hints": given.hints}
    parts["previous"] = torch.randn(2, 1, 64, 64)

    def answer(changed):
        now = parts | ({changed: -parts[changed]} if changed else {})
        return refiner(now.pop("image"), Prompt(**now))

    with torch.no_grad():
        for part in parts:
            assert torch.equal(answer(part), answer(None)) == (part not in inputs), part


def test_inputs_keep_the_order_of_the_channels_however_they_are_listed(monkeypatch):
    options = UNetOptions(network=TINY, inputs=("previous", "hints", "initial", "image"))
    refiner = UNetRefiner(options, channels=2)
    seen = []
    monkeypatch.setattr(refiner.network, "forward", lambda x: seen.append(x) or x[:, :1])
    image, given = torch.rand(2, 2, 64, 64), prompt()
    previous = torch.randn(2, 1, 64, 64)
    refiner(image, Prompt(given.initial, given.hints, previous))
    assert torch.equal(seen[0], torch.cat([image, given.initial, given.hints, previous], dim=1))
    refiner(image, Prompt(given.initial, given.hints, None))
    assert torch.equal(seen[1][:, -1:], given.initial)


@pytest.mark.parametrize("encoding", ["distance", "gaussian"])
def test_hints_may_be_seen_as_two_channels(encoding, monkeypatch):
    options = UNetOptions(network=TINY, encoding=encoding, sigma=3, truncation=20)
    refiner = UNetRefiner(options, channels=2)
    assert refiner.network.channels == 2 + 1 + 2
    seen = []
    monkeypatch.setattr(refiner.network, "forward", lambda x: seen.append(x) or x[:, :1])
    given = prompt()
    refiner(torch.zeros(2, 2, 64, 64), given)
    assert torch.equal(seen[0][:, 3:], encode_hints(given.hints, options))


def test_inputs_are_named_once_and_known():
    with pytest.raises(ValidationError, match="inputs are image, image, expected each at most"):
        UNetOptions(inputs=("image", "image"))
    for wrong in ({"inputs": ()}, {"inputs": ("target",)}, {"sigma": 0}, {"truncation": 0}):
        with pytest.raises(ValidationError):
            UNetOptions(**wrong)


@pytest.mark.parametrize("name", SMALL)
def test_by_default_there_is_one_answer_to_judge(name):
    refiner, given = SMALL[name]().eval(), prompt()
    image = torch.rand(2, 2, 64, 64)
    with torch.no_grad():
        (answer,) = refiner.answers(refiner.encode(image, given.initial), given)
        assert torch.equal(answer, refiner(image, given))
