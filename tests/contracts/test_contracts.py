"""Everything registered, built-in or from a plugin, keeps its promises."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import cv2
import pytest
from pydantic import ValidationError

from linerefine.config import Component, Options
from linerefine.configure.resolve import resolve
from linerefine.hooks import Entry
from linerefine.registry import Registry
from linerefine.testing import (
    DrawnLoader,
    check_loader,
    check_metric,
    check_refiner,
    check_simulator,
)

REGISTRY = Registry.discover()
ENTRIES = {
    f"{kind} {name}": entry
    for kind in ("loaders", "simulators", "refiners", "metrics")
    for name, entry in getattr(REGISTRY, kind)().items()
}
PROFILES = [
    (name, profile)
    for name, experiment in REGISTRY.experiments().items()
    for profile in experiment.profiles
]
LIGHT = {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": (16, 8, 8)}

# Loaders that need a folder, or draw more than a test can wait for. All others
# must do without options, as `linerefine run EXPERIMENT` asks them to.
LOADER_OPTIONS = {
    "folder": lambda folder: {"root": written_folder(folder)},
    "retina_demo": lambda folder: {"sample_images": 6, "sample_size": 96},
}
SLOW = {"etruscan_mirrors"}  # draws and filters its phantoms first; the plugin has quicker tests


def light(options: type[Options]) -> dict[str, object]:
    """Return options with a small network, where there is one, as far as its model goes."""
    if "network" not in options.model_fields:
        return {}
    try:
        options(network=LIGHT)
    except ValidationError:
        return {"network": {name: LIGHT[name] for name in ("encoder", "encoder_depth")}}
    return {"network": LIGHT}


def written_folder(root: Path) -> Path:
    """Write drawn samples in the layout of the loader ``folder``."""
    loader = DrawnLoader()
    for name in loader.names("train"):
        sample = loader.load(name)
        pixels = (100 * sample.image[0] + 50).clip(0, 255).astype("uint8")
        for part, content in (("images", pixels), ("masks", sample.lines * 255)):
            (root / part).mkdir(exist_ok=True)
            cv2.imwrite(str(root / part / f"{name}.png"), content.astype("uint8"))
    return root


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in REGISTRY.loaders()],
)
def test_loader(name, tmp_path):
    options = LOADER_OPTIONS.get(name, lambda folder: {})(tmp_path)
    check_loader(REGISTRY.make_loader(Component(name=name, options=options)))


@pytest.mark.parametrize("name", REGISTRY.simulators())
def test_simulator(name):
    check_simulator(REGISTRY.make_simulator(Component(name=name)))


@pytest.mark.parametrize("name", REGISTRY.metrics())
def test_metric(name):
    check_metric(REGISTRY.make_metric(Component(name=name)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", REGISTRY.refiners())
def test_refiner(name, channels):
    component = Component(name=name, options=light(REGISTRY.refiner(name).options))
    check_refiner(REGISTRY.make_refiner(component, channels), channels=channels)


@pytest.mark.parametrize("name", [*REGISTRY.simulators(), *REGISTRY.metrics()])
def test_simulators_and_metrics_reach_other_processes(name):
    make = REGISTRY.make_simulator if name in REGISTRY.simulators() else REGISTRY.make_metric
    component = make(Component(name=name))
    assert type(pickle.loads(pickle.dumps(component))) is type(component)
    assert type(copy.deepcopy(component)) is type(component)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entry_reads_well_and_its_options_have_defaults(entry: Entry):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.name)
    assert entry.summary
    assert "\n" not in entry.summary
    defaults = entry.options()
    assert entry.options.model_validate(defaults.model_dump(mode="json")) == defaults
    assert entry.options.model_config.get("extra") == "forbid"
    for field in entry.options.model_fields.values():
        assert field.description or issubclass(field.annotation, Options)  # which has its own


@pytest.mark.parametrize(("name", "profile"), PROFILES)
def test_every_profile_of_every_experiment_is_complete(name, profile):
    config = resolve(REGISTRY, name, profile=profile)
    assert config.profile == profile
    assert config.loader.name in REGISTRY.loaders()


def test_nothing_that_is_installed_is_broken():
    assert REGISTRY.problems == ()
    assert REGISTRY.conflicts == ()
