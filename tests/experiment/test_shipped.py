"""Networks that come with a plugin: copied out of a run, named by a word, used without training."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch

import linerefine as lr
from linerefine import builtin
from linerefine.config import Component, ExperimentConfig, RefinerConfig
from linerefine.configure import load_config
from linerefine.errors import RunError, UnknownNameError
from linerefine.events import Event, ModelTrained, Note
from linerefine.experiment import run_experiment
from linerefine.experiment.bench import Bench
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.loading import load_bench
from linerefine.experiment.notifier import Notifier
from linerefine.experiment.shipped import ship_of, shipped_folder, shipped_weights, trained_on
from linerefine.experiment.slim import slim_copy
from linerefine.experiment.stored import (
    THRESHOLD,
    refiner_path,
    segmenter_path,
    stored_refiner,
    stored_segmenter,
)
from linerefine.experiment.workers import Processes
from linerefine.hooks import Experiment
from linerefine.models.segmenter import load_weights
from linerefine.registry import Registry
from linerefine.report import RunResult
from linerefine.testing import DrawnLoader

from .conftest import CONFIG

cloudpickle.register_pickle_by_value(sys.modules[__name__])

NAMED = "shipped:measured"


class MeasuredLoader(DrawnLoader):
    """Measures a level on its training samples, as loaders that normalise do."""

    level: float | None = None

    def prepare(self, progress: lr.Progress) -> None:
        if self.level is None:
            samples = [super(MeasuredLoader, self).load(name) for name in self.names("train")]
            self.level = float(np.mean([sample.image.mean() for sample in samples]))

    def load(self, name: str) -> lr.Sample:
        sample = super().load(name)
        assert self.level is not None
        return replace(sample, image=(sample.image - self.level).astype(np.float32))

    def open(self, source: str) -> lr.Sample:
        return self.load(source)

    def state(self) -> dict[str, Any]:
        return {"level": self.level}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.level = state["level"]


class Root(lr.Options):
    """Options with a folder in them."""

    root: Path | None = None


class Plugin:
    """Brings the loader, and an experiment with or without networks."""

    def __init__(self, trained: Path | None = None) -> None:
        self.trained = trained

    @lr.hookimpl
    def linerefine_loaders(self) -> Iterator[lr.Entry[Any]]:
        yield lr.Entry("measured", "drawn, measured", lambda options: MeasuredLoader(), Root)

    @lr.hookimpl
    def linerefine_experiments(self) -> Iterator[Experiment]:
        trained = None if self.trained is None else lambda folder=self.trained: folder
        yield Experiment("measured", "drawn, measured", measured(), trained=trained)


def measured(**changes: Any) -> ExperimentConfig:
    loader = Component(name="measured", options={"root": None})
    return CONFIG.model_copy(update={"loader": loader, **changes})


def run(output: Path, config: ExperimentConfig, ships: Path | None, **more: Any) -> RunResult:
    registry = Registry([builtin, Plugin(ships)])
    return run_experiment(registry.experiment("measured"), config, registry, output, **more)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run that trains, whose settings name folders of this machine."""
    place = tmp_path_factory.mktemp("original")
    loader = Component(name="measured", options={"root": str(place)})
    return run(place / "run", measured(loader=loader), None)


@pytest.fixture
def ship(original: RunResult, tmp_path: Path) -> Path:
    """What is copied out of it, with another normalisation than a run would measure."""
    slim_copy(Registry([builtin, Plugin()]), original.output, tmp_path / "ship", what="doodles")
    (tmp_path / "ship" / "loader.json").write_text('{"level": 0.25}')
    return tmp_path / "ship"


def named(**more: Any) -> ExperimentConfig:
    """Settings that take both networks from what ships."""
    unet = CONFIG.refiners[0].model_copy(update={"weights": NAMED})
    segmenter = CONFIG.segmenter.model_copy(update={"checkpoint": NAMED})
    return measured(segmenter=segmenter, refiners=(unet, *CONFIG.refiners[1:]), **more)


class TestCopy:
    def test_it_holds_networks_and_what_they_need_and_nothing_else(
        self, original: RunResult, ship: Path
    ) -> None:
        files = {str(path.relative_to(ship)) for path in ship.rglob("*") if path.is_file()}
        assert files == {
            "checkpoints/segmenter.safetensors",
            "checkpoints/unet.safetensors",
            "config.toml",
            "loader.json",
            "tags.json",
            "trained_on.json",
        }
        for name in ("segmenter", "unet"):
            sizes = [
                (place / "checkpoints" / f"{name}.safetensors").stat().st_size
                for place in (original.output, ship)
            ]
            assert sizes[1] < 0.6 * sizes[0]

    def test_it_names_no_place_of_this_machine(self, original: RunResult, ship: Path) -> None:
        here = str(original.output.parent)
        assert here in (original.output / "config.toml").read_text()
        for path in ship.rglob("*.*"):
            assert here.encode() not in path.read_bytes(), path
        config = load_config(ship / "config.toml")
        assert config.loader.options == {"root": None}
        assert (config.threads, config.device) == (None, "auto")

    def test_it_says_what_was_seen(self, ship: Path) -> None:
        facts = json.loads((ship / "trained_on.json").read_text())
        loader = DrawnLoader()
        assert facts["what"] == "doodles"
        assert facts["train"] == list(loader.names("train"))
        assert facts["val"] == list(loader.names("val"))

    def test_it_opens_as_a_run_and_its_networks_answer_alike(
        self, original: RunResult, ship: Path
    ) -> None:
        registry, image = Registry([builtin, Plugin()]), torch.rand(1, 1, 64, 64)
        with torch.inference_mode():
            whole, half = (
                stored_segmenter(load_bench(registry, place, "measured", "cpu", Notifier([])))
                for place in (original.output, ship)
            )
            torch.testing.assert_close(half(image), whole(image), rtol=0, atol=2e-2)

    def test_a_tuned_threshold_goes_along(self, original: RunResult, tmp_path: Path) -> None:
        tuned = original.output / "checkpoints" / THRESHOLD
        tuned.write_text('{"threshold": 0.3}')
        try:
            slim_copy(Registry([builtin, Plugin()]), original.output, tmp_path, what="doodles")
        finally:
            tuned.unlink()
        assert json.loads((tmp_path / "checkpoints" / THRESHOLD).read_text())["threshold"] == 0.3

    def test_labels_are_refused(self, original: RunResult, tmp_path: Path) -> None:
        text = (original.output / "config.toml").read_text()
        refiner = '[[refiners]]\nname = "unet"\n'
        assert refiner in text
        run_folder = tmp_path / "run"
        run_folder.mkdir()
        for name in ("loader.json", "tags.json"):
            (run_folder / name).write_bytes((original.output / name).read_bytes())
        labelled = text.replace('label = "None"', 'label = "mine"', 1)
        (run_folder / "config.toml").write_text(labelled)
        with pytest.raises(RunError, match="goes by the label 'mine'.* Drop the label"):
            slim_copy(Registry([builtin, Plugin()]), run_folder, tmp_path / "ship", what="x")


class TestRun:
    def test_nothing_is_trained_and_the_normalisation_is_theirs(
        self, ship: Path, tmp_path: Path
    ) -> None:
        events: list[Event] = []
        result = run(tmp_path / "run", named(), ship, observers=[events.append])
        assert not [event for event in events if isinstance(event, ModelTrained)]
        assert result.summary["training"] == {}
        assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
        assert json.loads((tmp_path / "run" / "loader.json").read_text()) == {"level": 0.25}
        sample = DrawnLoader().load("test_cross_0")
        segmenter = stored_segmenter(
            load_bench(Registry([builtin, Plugin()]), ship, "measured", "cpu", Notifier([]))
        )
        with torch.inference_mode():
            expected = segmenter(torch.from_numpy(sample.image - np.float32(0.25))[None])[0, 0]
        stored = np.load(tmp_path / "run" / "predictions" / "test_cross_0.npy")
        np.testing.assert_allclose(stored, expected.numpy(), atol=1e-4)

    def test_it_says_what_they_were_trained_on(self, ship: Path, tmp_path: Path) -> None:
        events: list[Event] = []
        result = run(tmp_path / "run", named(), ship, observers=[events.append])
        assert result.tags["networks"] == "shipped with measured, trained on doodles"
        assert "seen_in_training" not in result.tags
        said = [event.message for event in events if isinstance(event, Note)]
        assert "networks: shipped with measured, trained on doodles" in said

    def test_it_says_so_if_they_have_seen_what_they_are_tested_on(
        self, ship: Path, tmp_path: Path
    ) -> None:
        facts = json.loads((ship / "trained_on.json").read_text())
        facts["val"].append("test_vee_0")
        (ship / "trained_on.json").write_text(json.dumps(facts))
        events: list[Event] = []
        result = run(tmp_path / "run", named(), ship, observers=[events.append])
        assert result.tags["seen_in_training"] == "test_vee_0"
        said = [event.message for event in events if isinstance(event, Note)]
        assert "seen in training: test_vee_0" in said

    def test_other_processes_find_them_too(self, ship: Path, tmp_path: Path) -> None:
        here = run(tmp_path / "here", named(), ship)
        there = run(tmp_path / "there", named(), ship, workers=Processes(2))
        columns = ["refiner", "image", "repeat", "round", "refined_pfm", "manual_pfm"]
        for one, other in zip(
            *(result.rounds[columns].itertuples(index=False) for result in (here, there)),
            strict=True,
        ):
            assert one == pytest.approx(other, nan_ok=True)

    def test_settings_keep_the_word(self, ship: Path, tmp_path: Path) -> None:
        run(tmp_path / "run", named(), ship)
        text = (tmp_path / "run" / "config.toml").read_text()
        assert text.count(f'"{NAMED}"') == 2
        assert str(ship) not in text


class TestNames:
    def test_only_the_word_names_what_ships(self) -> None:
        assert ship_of(NAMED) == "measured"
        assert [ship_of(name) for name in (None, "", "both", "runs/x.safetensors")] == [None] * 4

    def test_networks_are_found_by_name_not_by_label(self, ship: Path, tmp_path: Path) -> None:
        registry = Registry([builtin, Plugin(ship)])
        unet = RefinerConfig(
            name="unet", label="theirs", weights=NAMED, options=CONFIG.refiners[0].options
        )
        settings = named().model_copy(update={"refiners": (unet,)})
        bench = bench_of(registry, settings, tmp_path)
        assert refiner_path(bench, "theirs") == ship / "checkpoints" / "unet.safetensors"
        assert segmenter_path(bench) == ship / "checkpoints" / "segmenter.safetensors"
        tensors, _ = load_weights(refiner_path(bench, "theirs"))
        for name, value in stored_refiner(bench, "theirs").state_dict().items():
            assert torch.equal(value, tensors[name]), name

    def test_what_does_not_ship_is_refused(self, ship: Path) -> None:
        registry = Registry([builtin, Plugin(ship)])
        message = r"'shipped:measured' holds no network for 'sam'. It holds: segmenter, unet\."
        with pytest.raises(RunError, match=message):
            shipped_weights(registry, NAMED, "sam")
        with pytest.raises(UnknownNameError, match="no experiment named 'mirrors'"):
            shipped_weights(registry, "shipped:mirrors", "segmenter")
        with pytest.raises(RunError, match="no trained networks ship with .* 'folder'"):
            shipped_folder(registry, "folder")

    def test_a_plugin_without_its_files_is_to_be_installed_again(self, tmp_path: Path) -> None:
        registry = Registry([builtin, Plugin(tmp_path / "gone")])
        with pytest.raises(RunError, match="are not in .*gone. Install its plugin again"):
            shipped_folder(registry, "measured")

    def test_what_they_were_trained_on_is_told(self, ship: Path) -> None:
        assert (
            trained_on(shipped_folder(Registry([builtin, Plugin(ship)]), "measured")) == "doodles"
        )

    def test_another_loader_keeps_its_own_normalisation(self, ship: Path, tmp_path: Path) -> None:
        class Other(Plugin):
            @lr.hookimpl
            def linerefine_loaders(self) -> Iterator[lr.Entry[Any]]:
                yield from super().linerefine_loaders()
                yield lr.Entry("other", "drawn too", lambda options: MeasuredLoader())

        registry = Registry([builtin, Other(ship)])
        config = named().model_copy(update={"loader": Component(name="other")})
        assert bench_of(registry, named(), tmp_path).loader.state() == {"level": 0.25}
        assert bench_of(registry, config, tmp_path).loader.state() == {"level": None}


def bench_of(registry: Registry, config: ExperimentConfig, folder: Path) -> Bench:
    """Return a bench that prepared nothing."""
    return Bench.build(config, registry, RunFolder(folder), Notifier([]))
