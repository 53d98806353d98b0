"""Refiners take the encoder of the run's first-prediction network where they name none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import linerefine as lr
from linerefine import builtin
from linerefine.config import EncoderConfig, NetworkConfig
from linerefine.configure import dump_config, resolve
from linerefine.configure.encoders import with_encoder_of_run
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.anchored import Anchored
from linerefine.refiners.options import (
    AnchoredOptions,
    IterNetOptions,
    PANOptions,
    UNetOptions,
)
from linerefine.registry import Registry

LIGHT = {
    "encoder": "tu-resnet10t",
    "encoder_weights": None,
    "encoder_depth": 5,
    "decoder_channels": [64, 48, 32, 16, 16],
}
ENCODER = {key: LIGHT[key] for key in ("encoder", "encoder_weights", "encoder_depth")}


@pytest.fixture(scope="module")
def registry():
    return Registry([builtin])


def networks(registry, *sets: str, refiners=("unet",), profile="quick", **given):
    config = resolve(registry, "folder", profile=profile, refiners=refiners, sets=sets, **given)
    return [refiner.options.get("network") for refiner in config.refiners]


def test_all_refiners_of_the_quick_profile_have_the_light_encoder(registry):
    names = ("unet", "deeplabv3plus", "pan", "iternet", "manual")
    staged = {**LIGHT, "architecture": "unet"}
    assert networks(registry, refiners=names) == [staged, ENCODER, ENCODER, staged, None]


def test_without_anything_set_it_is_the_papers(registry):
    (network,) = networks(registry, profile="paper")
    assert network == lr.NetworkConfig().model_dump()


def test_what_is_set_for_the_first_network_holds_for_both(registry):
    sets = ["segmenter.network.encoder=resnet18", "segmenter.network.encoder_weights=imagenet"]
    (network,) = networks(registry, *sets, profile="paper")
    assert (network["encoder"], network["encoder_weights"]) == ("resnet18", "imagenet")
    (network,) = networks(registry, *sets, "refiners.unet.options.network=None", profile="paper")
    assert network["encoder"] == "resnet18"


def test_what_is_set_for_the_refiner_wins(registry):
    own = "refiners.pan.options.network"
    sets = [f"{own}.encoder=resnet34", f"{own}.encoder_depth=4"]
    light, pan = networks(registry, *sets, refiners=["unet", "pan"])
    assert light["encoder"] == "tu-resnet10t"
    assert pan == {"encoder": "resnet34", "encoder_weights": None, "encoder_depth": 4}


def test_pretrained_weights_go_with_their_encoder(registry):
    run = {"segmenter": {"network": {"encoder": "resnet18", "encoder_weights": "imagenet"}}}
    other = with_encoder_of_run(UNetOptions, {"network": {"encoder": "resnet34"}}, run)
    assert "encoder_weights" not in other["network"]
    same = with_encoder_of_run(UNetOptions, {"network": {"encoder": "resnet18"}}, run)
    assert same["network"]["encoder_weights"] == "imagenet"


@pytest.mark.parametrize(
    ("own", "run", "are_taken"),
    [
        ({}, {}, True),
        ({"architecture": "manet"}, {}, True),
        ({}, {"architecture": "UnetPlusPlus"}, True),
        ({"architecture": "fpn"}, {}, False),
        ({}, {"architecture": "pan", "decoder_channels": None}, False),
        ({"encoder_depth": 4}, {}, False),
    ],
)
def test_decoder_widths_are_taken_where_they_fit(own, run, are_taken):
    settings = {"segmenter": {"network": {**LIGHT, **run}}}
    network = with_encoder_of_run(UNetOptions, {"network": own}, settings)["network"]
    assert ("decoder_channels" in network) == are_taken
    assert network["encoder"] == "tu-resnet10t"
    assert UNetOptions(network=network).network.architecture == own.get("architecture", "unet")


@pytest.mark.parametrize(
    "run", [{}, {"architecture": "manet"}, {"architecture": "pan", "decoder_channels": None}]
)
def test_a_refiner_that_begins_as_the_segmenter_takes_its_architecture_too(run):
    segmenter = NetworkConfig(**{**LIGHT, **run})
    settings = {"segmenter": {"network": segmenter.model_dump()}}
    options = AnchoredOptions.model_validate(with_encoder_of_run(AnchoredOptions, {}, settings))
    assert options.network == segmenter
    refiner = Anchored(options, channels=1)
    learnt = Segmenter(build_network(segmenter, 1))
    refiner.begin_from(learnt)
    own = refiner.network.body.encoder.state_dict()
    assert torch.equal(
        own["model.bn1.weight"], learnt.network.body.encoder.state_dict()["model.bn1.weight"]
    )


def test_an_architecture_of_its_own_wins():
    settings = {"segmenter": {"network": {**LIGHT, "architecture": "manet"}}}
    given = {"network": {"architecture": "unet"}}
    network = with_encoder_of_run(AnchoredOptions, given, settings)["network"]
    assert network["architecture"] == "unet"
    assert network["decoder_channels"] == LIGHT["decoder_channels"]


def test_what_the_run_writes_is_read_back_unchanged(registry, tmp_path):
    names = ["unet", "pan", "iternet"]
    config = resolve(registry, "folder", profile="quick", refiners=names)
    file = tmp_path / "config.toml"
    file.write_text(dump_config(config), encoding="utf-8")
    # Once it is written down it is the refiner's own.
    other = resolve(registry, "folder", file=file, sets=["segmenter.network.encoder=resnet18"])
    assert other.refiners == config.refiners


def test_a_mistake_is_reported_once_and_where_it_was_made(registry):
    expected = r"^segmenter\.network\.encoder_depth is 9, expected <= 5 \(set by --set\)\.$"
    with pytest.raises(lr.ConfigError, match=expected):
        networks(registry, "segmenter.network.encoder_depth=9")
    expected = r"^refiners\.0\.options\.network is 7, expected a table \(set by --set\)\.$"
    with pytest.raises(lr.ConfigError, match=expected):
        networks(registry, "refiners.unet.options.network=7")
    expected = (
        r"^refiners\.0\.options\.network\.architecture is not a setting \(set by --set\)\. "
        r"Available: encoder, encoder_depth, encoder_weights\.$"
    )
    with pytest.raises(lr.ConfigError, match=expected):
        networks(registry, "refiners.pan.options.network.architecture=unet", refiners=["pan"])


class Own(lr.Options):
    network: lr.NetworkConfig = lr.NetworkConfig(encoder="resnet18")


class Optional(lr.Options):
    network: EncoderConfig | None = EncoderConfig(encoder="resnet18")


class Text(lr.Options):
    network: str | None = None


@pytest.mark.parametrize("model", [Own, Optional, Text, lr.Options])
def test_a_refiner_with_a_default_of_its_own_keeps_it(model, registry):
    plugin = SimpleNamespace(
        linerefine_refiners=lr.hookimpl(lambda: [lr.Entry("own", "", print, model)])
    )
    config = resolve(Registry([builtin, plugin]), "folder", profile="quick", refiners=["own"])
    assert config.refiners[0].options == model().model_dump()


@pytest.mark.parametrize("model", [UNetOptions, PANOptions, IterNetOptions])
def test_nothing_is_taken_from_settings_that_make_no_sense(model):
    for settings in ({"segmenter": 3}, {"segmenter": {"network": []}}):
        assert with_encoder_of_run(model, {}, settings) == {}
    assert with_encoder_of_run(model, {}, {})["network"]["encoder"] == "efficientnet-b6"
