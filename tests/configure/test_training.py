"""Refiners are trained as they are meant to be, unless their own table says otherwise."""

from __future__ import annotations

import pytest

from linerefine import builtin
from linerefine.configure import dump_config, load_config, resolve
from linerefine.errors import ConfigError
from linerefine.hooks import Entry, hookimpl
from linerefine.refiners.ingredients import ADDITIONS, INGREDIENTS, RIVAL
from linerefine.registry import Registry


class Offering:
    """A plugin with one refiner that is meant to be trained in some way."""

    def __init__(self, **training):
        self.training = training

    @hookimpl
    def linerefine_refiners(self):
        yield Entry("patient", "waits", lambda options, channels: None, training=self.training)


@pytest.fixture(scope="module")
def registry():
    return Registry([builtin])


def training(registry, *sets, refiner="anchored"):
    config = resolve(registry, "folder", profile="quick", refiners=[refiner], sets=sets)
    return config.training_of(config.refiners[0])


def test_a_refiner_brings_how_it_is_meant_to_be_trained(registry):
    assert (training(registry).rounds, training(registry).learn) == (3, "every")
    assert training(registry, refiner="unet").rounds == 1
    assert training(registry, refiner="unet").learn == "last"
    assert training(registry, refiner="unet").batch_size == training(registry).batch_size


def test_its_own_table_says_more_and_the_runs_less(registry):
    own = training(registry, "refiners.anchored.training.rounds=2", "training.rounds=7")
    assert (own.rounds, own.learn) == (2, "every")
    assert training(registry, "training.rounds=7").rounds == 3
    assert training(registry, "training.max_epochs=9").max_epochs == 9


def test_what_is_saved_is_what_was_run(registry, tmp_path):
    config = resolve(registry, "folder", profile="quick", refiners=["anchored"])
    path = tmp_path / "config.toml"
    path.write_text(dump_config(config))
    assert load_config(path) == config
    assert config.refiners[0].training["learn"] == "every"


def test_a_plugin_that_means_nonsense_is_refused_in_words():
    registry = Registry([builtin, Offering(rounds=0)])
    with pytest.raises(ConfigError, match=r"refiners\.0\.training\.rounds"):
        training(registry, refiner="patient")


def test_each_variant_is_one_ingredient_less_or_more(registry):
    study = registry.study("ingredients")
    config = resolve(registry, "folder", study=study, protocol="independent", profile="quick")
    by_label = {part.key: part for part in config.refiners}
    variants = {f"no_{name}" for name in INGREDIENTS} | {f"with_{name}" for name in ADDITIONS}
    assert set(by_label) == {"unet", "unet_strokes_near", "whole", "manual", *variants}
    whole, rival = by_label["whole"], by_label["unet_strokes_near"]
    for name in RIVAL:
        assert getattr(config.training_of(rival), name) == getattr(config.training_of(whole), name)
    # Strokes then do what a look would have done.
    together = (
        {"look", "lifted"},
        {"look", "margins", "lifted", "lenient", "cut"},
        {"revise", "margins"},
    )
    # Without middles these are as any other pixel.
    for name in ("look", "lifted"):
        margins = by_label["no_middles"].options[name]
        assert margins["middle"] == margins["add"] == whole.options[name]["add"]
    for name in variants:
        part = by_label[name]
        differ = [key for key in whole.options if part.options[key] != whole.options[key]]
        own, full = config.training_of(part), config.training_of(whole)
        differ += [key for key in type(own).model_fields if getattr(own, key) != getattr(full, key)]
        assert len(differ) == 1 or set(differ) in together, name
        # Only what decides how much of a belief is shown may borrow a network.
        shown = {"lift", "lifted", "look", "margins", "lenient", "reach", "revise", "cut"}
        assert part.weights is None or shown.issuperset(differ), name
        assert part.weights in {None, "whole"}
