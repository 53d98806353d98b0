"""What is announced, and that it fits together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from linerefine.configure.resolve import resolve
from linerefine.registry import Registry


@pytest.fixture(scope="module")
def registry():
    return Registry.discover()


def test_loader_and_experiment_are_found(registry):
    assert registry.loader("retina_demo").summary == "fundus photographs of the eye"
    assert set(registry.experiment("retina_demo").profiles) == {"quick", "paper"}


def test_the_loader_takes_the_options_of_folder(registry):
    options = registry.loader("retina_demo").options
    assert {"root", "split_file", "group", "sample_size"} <= set(options.model_fields)


def test_the_plugin_imports_no_image_library():
    code = (
        "import sys, linerefine_retina_demo.plugin as p; list(p.linerefine_loaders());"
        "print({'torch', 'cv2', 'PIL', 'skimage'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("profile", "encoder", "epochs"),
    [("quick", "tu-resnet10t", 3), ("paper", "efficientnet-b6", 1000)],
)
def test_both_networks_of_a_profile_are_alike(registry, profile, encoder, epochs):
    config = resolve(registry, "retina_demo", profile=profile)
    (refiner,) = config.refiners
    assert config.segmenter.network.encoder == encoder
    assert refiner.options["network"]["encoder"] == encoder
    assert config.training.max_epochs == epochs
    assert config.simulator.name == "longest"


def test_the_data_root_reaches_the_loader(registry, tmp_path):
    config = resolve(registry, "retina_demo", profile="quick", data_root=tmp_path)
    assert registry.make_loader(config.loader).options.root == tmp_path
