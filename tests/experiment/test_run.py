"""A whole run: what it leaves behind, and how it goes on after being stopped."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch

from linerefine.config import RefinerConfig
from linerefine.configure import resolve
from linerefine.errors import ConfigError, DataError, DeviceError, RunError, UnknownNameError
from linerefine.events import (
    EpochFinished,
    Event,
    ModelTrained,
    Note,
    RoundFinished,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionsPlanned,
)
from linerefine.experiment.folder import RunFolder
from linerefine.models.segmenter import load_segmenter
from linerefine.refiners.anchored import Anchored
from linerefine.registry import Registry
from linerefine.report import RunResult
from linerefine.testing import DrawnLoader
from linerefine.types import Progress

from .conftest import CONFIG, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, list[Event]]:
    events: list[Event] = []
    folder = tmp_path_factory.mktemp("a run") / "out"
    return run(folder, events.append), events


def scores(result: RunResult) -> pd.DataFrame:
    drop = [c for c in result.rounds.columns if c.startswith("seconds")]
    return result.rounds.drop(columns=drop)


def test_every_session_is_in_the_one_table(finished: tuple[RunResult, list[Event]]) -> None:
    result, _ = finished
    stored = pd.read_parquet(result.output / "rounds.parquet")
    assert len(stored) == len(result.rounds)
    sessions = stored.groupby(["refiner", "repeat", "image"])["round"].agg(["min", "max"])
    assert set(sessions.index.get_level_values("refiner")) == {"unet", "manual"}
    assert set(sessions.index.get_level_values("repeat")) == {0, 1}
    assert (sessions["min"] == 0).all()
    assert (sessions["max"] <= 4).all()
    manual = stored[stored["refiner"] == "manual"]
    np.testing.assert_array_equal(manual["manual_pfm"], manual["refined_pfm"])


def test_the_folder_suffices_to_redo_the_run(finished: tuple[RunResult, list[Event]]) -> None:
    result, _ = finished
    config = tomllib.loads((result.output / "config.toml").read_text())
    assert config["training"]["max_epochs"] == 2
    facts = json.loads((result.output / "environment.json").read_text())
    assert {"packages", "device", "git", "seed", "python"} <= set(facts)
    assert (result.output / "checkpoints" / "segmenter.safetensors").is_file()
    assert (result.output / "checkpoints" / "unet.safetensors").is_file()
    summary = json.loads((result.output / "summary.json").read_text())
    assert set(summary["refiners"]) == {"unet", "manual"}
    assert summary["training"]["unet"]["steps"] == summary["training"]["segmenter"]["steps"] == 4


def test_pictures_are_drawn(finished: tuple[RunResult, list[Event]]) -> None:
    result, _ = finished
    names = {path.stem for path in (result.output / "figures").glob("*.png")}
    assert {"gain", "workload", "stroke-widths", "training-segmenter", "training-unet"} <= names
    assert any(name.startswith("overlay-unet-") for name in names)


def test_the_report_holds_general_tables_and_the_experiments_own(
    finished: tuple[RunResult, list[Event]],
) -> None:
    result, _ = finished
    titles = [table.title for table in result.report.tables]
    assert titles[0].startswith("First prediction on whole test images")
    assert titles[-1] == "the experiment's own"
    assert any(title.startswith("unet: sessions") for title in titles)
    assert "the experiment's own" in (result.output / "report.txt").read_text()


def test_observers_hear_everything_in_order(finished: tuple[RunResult, list[Event]]) -> None:
    result, events = finished
    kinds = [type(event) for event in events]
    order = [RunStarted, EpochFinished, SessionsPlanned, ModelTrained, SessionFinished, RunFinished]
    first = [kinds.index(kind) for kind in order]
    assert first == sorted(first)
    assert kinds[-1] is RunFinished
    assert events[-1].status == "finished"
    assert sum(kind is RoundFinished for kind in kinds) == len(result.rounds)
    planned = next(event for event in events if isinstance(event, SessionsPlanned))
    ended = [event.key for event in events if isinstance(event, SessionFinished)]
    assert ended == list(planned.keys)


def test_the_same_seed_gives_the_same_run(
    finished: tuple[RunResult, list[Event]], tmp_path: Path
) -> None:
    again = run(tmp_path / "again")
    pd.testing.assert_frame_equal(scores(again), scores(finished[0]))


def test_another_seed_gives_another_run(
    finished: tuple[RunResult, list[Event]], tmp_path: Path
) -> None:
    other = run(tmp_path / "other", seed=1, refiners=(RefinerConfig(name="manual"),))
    mine = finished[0].summary["first_prediction"]["mean"]["pfm"]
    assert other.summary["first_prediction"]["mean"]["pfm"] != mine


@pytest.mark.parametrize("stop_at", [EpochFinished, RoundFinished, SessionFinished])
def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    finished: tuple[RunResult, list[Event]], tmp_path: Path, stop_at: type
) -> None:
    heard: list[Event] = []

    def stop(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(e, stop_at) for e in heard) == 2 and isinstance(event, stop_at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", stop)
    assert heard[-1].status == "interrupted"
    assert not (tmp_path / "out" / "summary.json").exists()
    resumed = run(tmp_path / "out", resume=True)
    pd.testing.assert_frame_equal(scores(resumed), scores(finished[0]))


def test_finished_sessions_are_not_run_again(
    finished: tuple[RunResult, list[Event]], tmp_path: Path
) -> None:
    keys = []

    def stop(event: Event) -> None:
        if isinstance(event, SessionFinished):
            keys.append(event)
            if len(keys) == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", stop)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "rounds").glob("*.parquet")}
    assert len(files) == 3
    run(tmp_path / "out", resume=True)
    assert {p: p.stat().st_mtime_ns for p in files} == files


def test_a_failure_is_announced_and_kept_in_the_log(tmp_path: Path) -> None:
    heard: list[Event] = []

    def fail(event: Event) -> None:
        heard.append(event)
        if isinstance(event, SessionsPlanned):
            msg = "on purpose"
            raise ZeroDivisionError(msg)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "out", fail)
    assert heard[-1].status == "failed"
    assert "on purpose" in heard[-1].message
    assert "ZeroDivisionError" in (tmp_path / "out" / "log.txt").read_text()


def test_a_folder_in_use_is_refused(finished: tuple[RunResult, list[Event]]) -> None:
    with pytest.raises(RunError, match=r"is not empty. Pass --resume"):
        run(finished[0].output)


def test_resuming_with_other_settings_names_them(
    finished: tuple[RunResult, list[Event]],
) -> None:
    training = CONFIG.training.model_copy(update={"learning_rate": 0.1})
    with pytest.raises(ConfigError, match=r"other settings: seed, training\.learning_rate"):
        run(finished[0].output, resume=True, seed=7, training=training)


def test_an_option_younger_than_the_folder_has_its_default(tmp_path: Path) -> None:
    registry = Registry.discover()
    folder, config = RunFolder(tmp_path), resolve(registry, "folder", data_root=tmp_path / "data")
    folder.create(config)
    begun = tomllib.loads(folder.config.read_text())
    assert begun["simulator"]["options"].pop("half_width") == 3.5
    folder.config.write_text(tomli_w.dumps(begun))
    folder.check(config, registry, resume=True)
    wider = resolve(
        registry, "folder", data_root=tmp_path / "data", sets=["simulator.options.half_width=5"]
    )
    with pytest.raises(ConfigError, match=r"other settings: simulator\.options\.half_width\."):
        folder.check(wider, registry, resume=True)


def test_an_option_that_is_gone_is_named(tmp_path: Path) -> None:
    registry = Registry.discover()
    folder, config = RunFolder(tmp_path), resolve(registry, "folder", data_root=tmp_path / "data")
    folder.create(config)
    begun = tomllib.loads(folder.config.read_text())
    begun["simulator"]["options"]["colour"] = "red"
    folder.config.write_text(tomli_w.dumps(begun))
    with pytest.raises(ConfigError, match=r"other settings: simulator\.options\.colour\."):
        folder.check(config, registry, resume=True)


def test_a_refiner_may_begin_as_the_trained_segmenter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    monkeypatch.setattr(Anchored, "begin_from", lambda _, segmenter: begun.append(segmenter))
    part = RefinerConfig(name="anchored", options=CONFIG.refiners[0].options)
    sessions = CONFIG.evaluation.model_copy(update={"budget": 1, "repeats": 1, "patch_passes": 0})
    done = run(tmp_path / "out", refiners=(part,), evaluation=sessions)
    untrained, segmenter = begun
    assert untrained.state_dict().keys() == segmenter.state_dict().keys()
    stored = load_segmenter(done.output / "checkpoints" / "segmenter.safetensors")
    own = segmenter.state_dict()
    assert stored.state_dict().keys() == own.keys()
    assert all(torch.equal(own[name], there) for name, there in stored.state_dict().items())


def test_what_cannot_begin_as_the_segmenter_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    other = {"network": {"encoder": "mobilenet_v2"}}
    part = RefinerConfig(name="anchored", options=CONFIG.refiners[0].options | other)
    with pytest.raises(ConfigError, match=r"leave out refiners\.anchored\.options\.network"):
        run(tmp_path / "out", refiners=(part,))
    assert not (tmp_path / "out").exists()


def test_a_refiner_that_cannot_be_built_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    typo = {"network": {"encoder": "mobilenet_v22"}}
    part = RefinerConfig(name="anchored", options=CONFIG.refiners[0].options | typo)
    with pytest.raises(UnknownNameError, match="no encoder named 'mobilenet_v22'"):
        run(tmp_path / "out", refiners=(part,))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("is_native", [True, False])
def test_a_precision_that_is_only_emulated_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_native: bool
) -> None:
    monkeypatch.setattr("linerefine.experiment.run.has_native_bf16", lambda: is_native)
    told: list[Event] = []
    run(
        tmp_path / "out",
        told.append,
        training=CONFIG.training.model_copy(update={"precision": "bf16"}),
        refiners=(RefinerConfig(name="manual"),),
    )
    warnings = [event for event in told if isinstance(event, Note) and event.level == "warning"]
    assert ["only emulates" in warning.message for warning in warnings] == [True] * (not is_native)


def test_cuda_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="torch sees no CUDA device"):
        run(tmp_path / "out", device="cuda")


def test_a_full_device_is_answered_with_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        msg = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity"
        raise torch.cuda.OutOfMemoryError(msg)

    monkeypatch.setattr("linerefine.experiment.run._work", full)
    events: list[Event] = []
    expected = r"ran out of memory \(CUDA out of memory\)\. Lower training\.batch_size, now \d+, or"
    with pytest.raises(DeviceError, match=expected):
        run(tmp_path / "out", events.append)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].status == "failed"


def test_a_damaged_small_file_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "loader.json").write_text("{half")
    with pytest.raises(RunError, match=r"loader\.json cannot be read as JSON"):
        folder.read_json("loader.json")


def test_nan_becomes_null(tmp_path: Path) -> None:
    path = RunFolder(tmp_path).write_json("x.json", {"a": float("nan"), "b": [np.float32(1)]})
    assert json.loads(path.read_text()) == {"a": None, "b": [1.0]}


def test_data_that_cannot_be_used_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: DrawnLoader, progress: Progress) -> None:
        msg = "no data here."
        raise DataError(msg)

    monkeypatch.setattr(DrawnLoader, "prepare", refuse)
    heard: list[Event] = []
    with pytest.raises(DataError, match="no data here"):
        run(tmp_path / "out", heard.append)
    assert not (tmp_path / "out").exists()
    assert heard == [RunFinished("failed", message="no data here.")]
