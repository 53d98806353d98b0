"""What the plugin announces, its contracts, and its experiment's settings."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from linerefine.config import ExperimentConfig
from linerefine.kit.checking import check_plugin
from linerefine.registry import Registry
from linerefine.testing import check_loader
from linerefine_etruscan_mirrors import plugin
from linerefine_etruscan_mirrors.files import Layout, discover, read_mask
from linerefine_etruscan_mirrors.loader import MirrorLoader
from linerefine_etruscan_mirrors.object_mask import ObjectMasks
from linerefine_etruscan_mirrors.options import (
    DEFAULTS,
    PROFILES,
    PROTOCOLS,
    GammaStrokeOptions,
    MirrorOptions,
    UNetB6Options,
)
from linerefine_etruscan_mirrors.phantom import SETS, TEST_OBJECTS, MirrorSpec, write_phantoms
from linerefine_etruscan_mirrors.refiner import unet_b6


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Overrides applied as a profile is."""
    result = dict(base)
    for key, value in changes.items():
        is_nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if is_nested else value
    return result


def test_loader_keeps_its_promises(collection: Path, make_loader: Callable[..., Any]) -> None:
    check_loader(make_loader())


@pytest.mark.timeout(300)  # draws the quick phantoms, and makes refiners and configurations
def test_everything_it_offers_keeps_its_promises() -> None:
    findings = check_plugin(Registry.discover(), "etruscan_mirrors")
    assert [found for found in findings if found.problem] == []
    subjects = {found.subject for found in findings}
    assert subjects == {"plugin", "loader", "simulator", "refiner", "experiment", "study"}


def test_announces_loader_simulator_refiner_and_experiment() -> None:
    assert [entry.name for entry in plugin.linerefine_loaders()] == ["etruscan_mirrors"]
    assert [entry.name for entry in plugin.linerefine_simulators()] == ["gamma_stroke"]
    assert [entry.name for entry in plugin.linerefine_refiners()] == ["unet_b6"]
    (experiment,) = plugin.linerefine_experiments()
    assert experiment.name == "etruscan_mirrors"
    assert set(experiment.profiles) == {
        "quick",
        "paper",
        "ship",
        "trained",
        "predecessor",
    }
    assert experiment.trained is not None
    assert (experiment.trained() / "MODEL_CARD.md").is_file()
    assert experiment.score_sheet is not None


def test_announcing_imports_nothing_slow() -> None:
    program = (
        "import sys\n"
        "from linerefine_etruscan_mirrors import plugin as p\n"
        "for hook in (p.linerefine_loaders, p.linerefine_simulators, p.linerefine_refiners,\n"
        "             p.linerefine_experiments):\n"
        "    list(hook())\n"
        "slow = {'torch', 'mlflow', 'skimage', 'scipy', 'pandas', 'matplotlib', 'transformers',\n"
        "        'cv2', 'tifffile', 'PIL'}\n"
        "print(','.join(sorted(slow & set(sys.modules))))\n"
    )
    found = answer_of(program)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "\n"


def answer_of(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program; one that a signal ended has said nothing and is asked again."""
    command = [sys.executable, "-c", program]
    for _ in range(3):
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode >= 0:
            break
    return found


def test_a_program_that_a_signal_ends_every_time_is_a_failure() -> None:
    assert answer_of("import os; os.abort()").returncode < 0
    assert answer_of("raise SystemExit(3)").returncode == 3


@pytest.mark.parametrize("profile", ["", *PROFILES])
@pytest.mark.parametrize("protocol", ["", "paper"])
def test_every_profile_and_protocol_is_a_valid_configuration(profile: str, protocol: str) -> None:
    settings = json.loads(DEFAULTS.model_dump_json())
    settings = merged(settings, dict(PROFILES.get(profile, {})))
    settings = merged(settings, dict(PROTOCOLS.get(protocol, {})))
    config = ExperimentConfig(**settings)
    MirrorOptions(**config.loader.options)
    GammaStrokeOptions(**config.simulator.options)
    for component in config.refiners:
        UNetB6Options(**component.options)


def test_defaults_are_the_papers() -> None:
    assert DEFAULTS.segmenter.network.encoder == "efficientnet-b6"
    assert UNetB6Options().network.encoder == "efficientnet-b6"
    assert DEFAULTS.training.batch_size == 32
    assert DEFAULTS.training.learning_rate == 3e-4
    assert DEFAULTS.tiling.patches_per_tile == 10
    assert DEFAULTS.evaluation.budget == 3000
    assert DEFAULTS.evaluation.repeats == 10


def test_options_survive_json() -> None:
    options = MirrorOptions(root=Path("scans"), channels=("depth", "albedo"), exclude=("A_R",))
    assert MirrorOptions(**json.loads(options.model_dump_json())) == options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"channels": ("depth", "depth")}, r"expected each at most once"),
        ({"split_file": "s.json", "split": "paper"}, r"split_file decides every split"),
        ({"channels": ()}, r"at least 1 item"),
        ({"scale": 0}, r"greater than or equal to 1"),
        ({"colour": 1}, r"Extra inputs are not permitted"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MirrorOptions(**given)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small drawn mirrors."""
    root = tmp_path_factory.mktemp("drawn")
    names = ("PHANTOM-01", "PHANTOM-02", "PHANTOM-GOOD")
    specs = [MirrorSpec(name, seed, (300, 400), 4.0) for seed, name in enumerate(names)]
    write_phantoms(root, specs, lambda what, done, total: None)
    return root


def classical_overlap(root: Path, tmp_path: Path) -> list[float]:
    """IoU of the classical mask with the drawn one, for each view of a root."""
    bare = shutil.copytree(root, tmp_path / "bare", ignore=shutil.ignore_patterns("masks"))
    overlaps = []
    for view, without in zip(discover(root, Layout()), discover(bare, Layout()), strict=True):
        drawn = read_mask(view.mask)
        found, method = ObjectMasks("classical", None).find(without, drawn.shape)
        assert method == "classical"
        overlaps.append(np.count_nonzero(found & drawn) / np.count_nonzero(found | drawn))
    return overlaps


def test_phantoms_are_masked_without_weights(phantoms: Path, tmp_path: Path) -> None:
    assert min(classical_overlap(phantoms, tmp_path)) > 0.95


@pytest.mark.slow
def test_test_phantoms_are_masked_without_weights(tmp_path: Path) -> None:
    specs = [spec for spec in SETS["quick"] if spec.object_name in TEST_OBJECTS]
    write_phantoms(tmp_path / "quick", specs, lambda what, done, total: None)
    assert min(classical_overlap(tmp_path / "quick", tmp_path)) > 0.97


def test_phantoms_are_read_and_labelled(phantoms: Path) -> None:
    loader = MirrorLoader(MirrorOptions(root=phantoms, scale=1))
    assert list(loader.names("test")) == ["PHANTOM-GOOD_R"]
    assert loader.notes()["data"] == "phantom"
    sample = loader.load("PHANTOM-GOOD_R")
    assert sample.target is not None
    assert (sample.target.mask & sample.roi).any()


@pytest.mark.parametrize(("chosen", "scale"), [("quick", 1), ("ship", 1), ("full", 2)])
def test_without_a_root_phantoms_are_drawn(
    phantoms: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, scale: int, cache: Path
) -> None:
    asked = []

    def ensure(folder: Path, name: str, progress: object) -> Path:
        asked.append((folder, name))
        return phantoms

    monkeypatch.setattr("linerefine_etruscan_mirrors.phantom.ensure_phantoms", ensure)
    loader = MirrorLoader(MirrorOptions(phantoms=chosen))
    assert loader.notes() == {"data": "phantom"}
    assert loader.load("PHANTOM-01_R").shape == (300 // scale, 400 // scale)
    assert asked == [(cache, chosen)]


@pytest.mark.slow
def test_unet_b6_answers() -> None:
    import torch

    from linerefine.refiners.base import Prompt

    refiner = unet_b6(UNetB6Options(), channels=1).eval()
    planes = torch.zeros(1, 1, 64, 64)
    with torch.inference_mode():
        assert refiner(planes, Prompt(planes, planes, planes)).shape == (1, 1, 64, 64)


def test_unet_b6_takes_another_network() -> None:
    options = UNetB6Options(network={"encoder": "resnet18", "decoder_channels": (16, 8, 8, 4, 4)})
    refiner = unet_b6(options, channels=2)
    assert refiner.is_trainable
    assert refiner.network.config.encoder == "resnet18"
    assert refiner.network.channels == 4
