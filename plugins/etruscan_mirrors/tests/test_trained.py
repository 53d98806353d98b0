"""The networks that ship: small, honest about themselves, and better than none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from linerefine.config import RefinerConfig
from linerefine.configure import load_config, resolve
from linerefine.experiment import run_experiment
from linerefine.experiment.bench import Bench
from linerefine.experiment.loading import load_bench
from linerefine.experiment.networks import predict_sample
from linerefine.experiment.notifier import Notifier
from linerefine.experiment.stored import stored_segmenter
from linerefine.models.inference import predict_image
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.predict import predict_scans
from linerefine.registry import Registry
from linerefine.samples import Sample
from linerefine_etruscan_mirrors import plugin
from linerefine_etruscan_mirrors.files import read_drawing
from linerefine_etruscan_mirrors.phantom import (
    CONDITIONS,
    SETS,
    TEST_VIEWS,
    Engraving,
    MirrorSpec,
    write_phantoms,
)
from linerefine_etruscan_mirrors.phantom.strokes import FULL_PIXELS_PER_MM

NAME = plugin.NAME
(EXPERIMENT,) = plugin.linerefine_experiments()
assert EXPERIMENT.trained is not None
TRAINED = EXPERIMENT.trained()
NETWORKS = ("segmenter", "unet")
UNSEEN = tuple(
    MirrorSpec(
        name, 900 + number, (700, 900), FULL_PIXELS_PER_MM / 2, Engraving(1), CONDITIONS["fair"]
    )
    for number, name in enumerate(("PHANTOM-01", "PHANTOM-02", "PHANTOM-GOOD"))
)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn mirrors that no network has seen."""
    root = tmp_path_factory.mktemp("unseen")
    write_phantoms(root, UNSEEN, lambda what, done, total: None)
    return root


@pytest.fixture
def bench() -> Bench:
    return load_bench(Registry.discover(), TRAINED, NAME, "cpu", Notifier([]))


def sample_of(bench: Bench, root: Path, number: int = 2) -> Sample:
    view = UNSEEN[number].view(root)
    opened = bench.loader.open(str(view.depth))
    return Sample(opened.name, opened.image, opened.roi, read_drawing(view.drawing))


def scored(bench: Bench, mask: np.ndarray, sample: Sample) -> float:
    assert sample.target is not None
    return bench.metrics["pfm"].score(mask, sample.target)


def completed(refiner: RefinerConfig) -> dict[str, Any]:
    """Return the options of a refiner with defaults for those that it does not name."""
    options = Registry.discover().refiner(refiner.name).options
    return options.model_validate(refiner.options).model_dump(mode="json")


class TestFiles:
    @pytest.mark.parametrize("network", NETWORKS)
    def test_weights_are_small(self, network: str) -> None:
        assert (TRAINED / "checkpoints" / f"{network}.safetensors").stat().st_size < 10_000_000

    def test_nothing_names_the_machine_they_were_made_on(self) -> None:
        config = load_config(TRAINED / "config.toml")
        assert config.threads is None
        assert config.loader.options["root"] is config.loader.options["cache"] is None
        for path in TRAINED.rglob("*.*"):
            assert not re.search(rb"(?<![\w.])/(?:home|tmp|root|work|Users)/", path.read_bytes())

    def test_they_are_what_the_profile_trains(self) -> None:
        wanted = resolve(Registry.discover(), NAME, profile="ship")
        same = ("loader", "segmenter", "refiners", "simulator", "tiling", "training", "seed")
        stored = load_config(TRAINED / "config.toml")
        for part in same:
            found, expected = (getattr(config, part) for config in (stored, wanted))
            if part == "refiners":  # whose options may be younger than the networks
                found, expected = (
                    [each.model_copy(update={"options": completed(each)}) for each in refiners]
                    for refiners in (found, expected)
                )
            assert found == expected, part

    def test_they_have_not_seen_the_test_mirrors(self) -> None:
        facts = json.loads((TRAINED / "trained_on.json").read_text())
        seen = {*facts["train"], *facts["val"]}
        assert facts["what"] == "drawn mirrors only"
        assert seen.isdisjoint(TEST_VIEWS)
        assert seen == {f"{spec.object_name}_R" for spec in SETS["ship"]} - set(TEST_VIEWS)

    def test_the_card_is_whole_and_says_what_matters(self) -> None:
        card = (TRAINED / "MODEL_CARD.md").read_text(encoding="utf-8")
        assert not re.search(r"@\w+@|nan", card)
        for words in ("drawn mirrors", "Not tested on any real scan", "MIT", "train_shipped.py"):
            assert words in card
        for view in TEST_VIEWS:
            assert f"| {view} |" in card


class TestUse:
    def test_the_first_prediction_is_far_better_than_an_untrained_networks(
        self, bench: Bench, scans: Path
    ) -> None:
        sample = sample_of(bench, scans)
        trained = stored_segmenter(bench)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            raw = Segmenter(build_network(bench.config.segmenter.network, 1)).eval()
        with torch.random.fork_rng([]):
            guess = predict_image(raw, sample.image, bench.config.tiling, roi=sample.roi)
        logits = predict_sample(bench, trained, sample)
        untrained = max(
            scored(bench, guess > cut, sample) for cut in np.quantile(guess, [0.5, 0.9])
        )
        assert scored(bench, logits > 0, sample) > max(0.45, 2 * untrained)

    def test_scans_are_predicted_without_a_run(self, scans: Path, tmp_path: Path) -> None:
        source = str(UNSEEN[0].view(scans).depth)
        (written,) = predict_scans(
            Registry.discover(), [source], TRAINED, tmp_path, experiment=NAME, device="cpu"
        )
        assert written.mask.is_file()
        assert written.probability.is_file()

    def test_a_run_needs_no_training(self, scans: Path, tmp_path: Path) -> None:
        registry = Registry.discover()
        budget = ["evaluation.budget=3", "evaluation.repeats=1", "evaluation.patch_passes=2"]
        config = resolve(registry, NAME, profile="trained", sets=budget, data_root=scans)
        config = config.model_copy(
            update={
                "tracking": config.tracking.model_copy(update={"enabled": False}),
                "loader": config.loader.model_copy(
                    update={"options": {**config.loader.options, "scale": 1}}
                ),
            }
        )
        result = run_experiment(EXPERIMENT, config, registry, tmp_path / "run")
        assert result.summary["training"] == {}
        assert result.tags["networks"] == (
            "shipped with etruscan_mirrors, trained on drawn mirrors only"
        )
        assert "seen_in_training" not in result.tags
        theirs, ours = (
            json.loads((place / "loader.json").read_text()) for place in (TRAINED, tmp_path / "run")
        )
        assert ours == theirs
        assert result.summary["first_prediction"]["mean"]["pfm"] > 0.45
        # One simulated stroke on each patch helps by more than the stroke itself.
        assert result.summary["refiners"]["unet"]["patches"]["relative_gain"] > 0.01
