"""Runs as MLflow gives them back."""

from __future__ import annotations

import logging
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from linerefine.config import NetworkConfig
from linerefine.errors import RunError
from linerefine.events import ArtifactWritten, ModelTrained, RunFinished
from linerefine.refiners.anchored import Anchored
from linerefine.refiners.base import Refiner
from linerefine.refiners.options import AnchoredOptions, UNetOptions
from linerefine.refiners.unet import UNetRefiner
from linerefine.tracking.mlflow import MODEL, MlflowObserver, MlflowStore
from linerefine.tracking.mlflow_client import open_client
from linerefine.tracking.store import sqlite_path, sqlite_uri

pytestmark = [
    # Importing mlflow takes seconds, beside other load a minute.
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

HERE = Path(__file__).parent
PLAY = """
import sys, os, signal
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import conftest
from linerefine.tracking.mlflow import MlflowObserver
uri, output, how = sys.argv[2], Path(sys.argv[3]), sys.argv[4]
observer = MlflowObserver(uri, seconds=0)
events = conftest.stream_of(output, stop_after=None if how == "whole" else 3)
for event in events[: None if how == "whole" else -1]:
    observer(event)
if how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "raise":
    raise RuntimeError("a bug")
"""


def play(uri, output, how):
    """Record the stream in a process of its own."""
    words = [sys.executable, "-c", PLAY, str(HERE), uri, str(output), how]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def record(uri, events):
    observer = MlflowObserver(uri)
    for event in events:
        observer(event)


def runs_by_name(uri, experiment="mirrors"):
    client = open_client(uri)
    found = client.get_experiment_by_name(experiment)
    return client, {run.info.run_name: run for run in client.search_runs([found.experiment_id])}


def curve(client, run, key):
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]


def parent_of(runs):
    return next(run for run in runs.values() if run.data.tags["linerefine.part"] == "command")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, empty_store, stream_maker):
    """A whole run, recorded once for all tests that only read."""
    folder = tmp_path_factory.mktemp("recorded run")
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = sqlite_uri(folder / "mlflow.db")
    output = folder / "a run"
    *events, end = stream_maker(output)
    picture = folder / "gain curve.png"
    picture.write_bytes(b"picture")
    written = [
        ArtifactWritten(picture, "figures"),
        ArtifactWritten(picture, "figures", refiner="unet", repeat=1),
        ArtifactWritten(folder / "lost.png"),
    ]
    record(uri, [*events, *written, end])
    return uri


def test_every_number_of_an_image_comes_back(recorded, keys, rounds_of):
    client, runs = runs_by_name(recorded)
    for key in keys:
        run = runs[f"{key.repeat + 1} · {key.refiner}"]
        rounds = rounds_of(key)
        expected = {
            "pfm_manual": [r.manual["pfm"] for r in rounds],
            "pfm_refined": [r.refined["pfm"] for r in rounds],
            "iou_manual": [r.manual["iou"] for r in rounds],
            "relative_gain": [r.refined["pfm"] / r.manual["pfm"] - 1 for r in rounds],
            "hinted_pixels": [r.effort for r in rounds],
            "stroke_length": [r.stroke_length for r in rounds],
        }
        for name, values in expected.items():
            wanted = [(step, v) for step, v in enumerate(values) if not math.isnan(v)]
            assert curve(client, run, f"image/{key.image}/{name}") == wanted


def test_means_over_images_carry_ended_images_forward(recorded, keys, rounds_of):
    client, runs = runs_by_name(recorded)
    one, other = (rounds_of(key) for key in keys if (key.refiner, key.repeat) == ("unet", 1))
    found = curve(client, runs["2 · unet"], "pfm_refined")
    wanted = [
        (step, (r.refined["pfm"] + other[min(step, len(other) - 1)].refined["pfm"]) / 2)
        for step, r in enumerate(one)
    ]
    assert [step for step, _ in found] == [step for step, _ in wanted]
    np.testing.assert_allclose([v for _, v in found], [v for _, v in wanted], rtol=0, atol=1e-12)


def test_trainings_are_curves_over_epochs(recorded):
    client, runs = runs_by_name(recorded)
    parent, training = parent_of(runs), runs["train · unet"]
    assert curve(client, parent, "segmenter/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert [step for step, _ in curve(client, parent, "segmenter/val_pfm")] == [1, 2, 3]
    assert curve(client, training, "training/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_the_summary_is_on_the_parent_and_what_a_repeat_achieved_on_the_child(recorded):
    _, runs = runs_by_name(recorded)
    numbers = parent_of(runs).data.metrics
    assert numbers["refiners/unet/images/mirror 1/max_gain"] == 0.071
    assert numbers["refiners/unet/mean/reached"] == 3
    assert numbers["seconds"] == 12.5
    assert "refiners/unet/images/mirror 1/workload_reduction" not in numbers
    assert "finished" not in numbers
    child = runs["1 · unet"].data.metrics
    assert child["max_gain"] == pytest.approx(0.08)
    assert child["manual_best"] == pytest.approx((0.68 + 0.62) / 2)


def test_runs_are_nested_named_tagged_and_finished(recorded):
    _, runs = runs_by_name(recorded)
    parent = parent_of(runs)
    assert len(runs) == 6
    for run in runs.values():
        assert run.info.status == "FINISHED"
        assert run.data.tags["data"] == "phantom"
        assert run.data.params["refiners.unet.options.network.encoder"] == "tiny"
    children = [r for r in runs.values() if r is not parent]
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == {parent.info.run_id}


def test_artifacts_lie_beside_the_store_and_come_back(recorded, tmp_path):
    client, runs = runs_by_name(recorded)
    parent = parent_of(runs)
    place = sqlite_path(recorded).parent / "mlartifacts" / parent.info.run_id
    assert (place / "artifacts" / "figures" / "gain curve.png").read_bytes() == b"picture"
    child = runs["2 · unet"].info.run_id
    (found,) = client.list_artifacts(child, "figures")
    assert found.path == "figures/gain curve.png"
    copy = client.download_artifacts(child, found.path, str(tmp_path))
    assert Path(copy).read_bytes() == b"picture"


def test_an_artifact_that_is_not_there_is_reported_and_no_more(store, stream, tmp_path, caplog):
    *events, end = stream(tmp_path / "run", stop_after=0)
    record(store, [*events, ArtifactWritten(tmp_path / "lost.png"), end])
    assert "ArtifactWritten is not recorded" in caplog.text
    _, runs = runs_by_name(store)
    assert parent_of(runs).info.status == "FINISHED"


@pytest.mark.parametrize(("status", "mark"), [("failed", "FAILED"), ("interrupted", "KILLED")])
def test_a_run_that_did_not_finish_says_so(store, stream, tmp_path, status, mark):
    record(store, stream(tmp_path / "run", status=status, stop_after=1))
    _, runs = runs_by_name(store)
    assert {run.info.status for run in runs.values()} == {mark}


def test_a_resumed_run_goes_on_in_the_same_runs(store, stream, tmp_path):
    record(store, stream(tmp_path / "run", status="interrupted", stop_after=3))
    client, before = runs_by_name(store)
    record(store, stream(tmp_path / "run", resumed=True))
    client, runs = runs_by_name(store)
    assert {name: run.info.run_id for name, run in before.items()}.items() <= {
        name: run.info.run_id for name, run in runs.items()
    }.items()
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for run in runs.values():
        for key in run.data.metrics:
            steps = [step for step, _ in curve(client, run, key)]
            assert len(steps) == len(set(steps))
    assert len(curve(client, runs["1 · unet"], "pfm_refined")) == 7


def test_a_run_deleted_in_between_is_begun_anew(store, stream, tmp_path):
    record(store, stream(tmp_path / "run", status="failed", stop_after=1))
    client, runs = runs_by_name(store)
    client.delete_run(parent_of(runs).info.run_id)
    record(store, stream(tmp_path / "run", resumed=True))
    _, runs = runs_by_name(store)
    assert parent_of(runs).info.status == "FINISHED"


def test_a_deleted_experiment_is_taken_out_of_the_bin(store, stream, tmp_path):
    client = open_client(store)
    number = client.create_experiment("mirrors")
    client.delete_experiment(number)
    record(store, stream(tmp_path / "run", stop_after=0))
    assert open_client(store).get_experiment(number).lifecycle_stage == "active"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Three processes that make and fill one store at once; one is killed, one fails."""
    folder = tmp_path_factory.mktemp("crowd") / "new store"
    uri = sqlite_uri(folder / "mlflow.db")
    players = {how: play(uri, folder / how, how) for how in ("whole", "kill", "raise")}
    said = {how: player.communicate(timeout=300) for how, player in players.items()}
    return uri, said, {how: player.returncode for how, player in players.items()}


@pytest.fixture
def crowd_runs(crowd):
    client = open_client(crowd[0])
    found = client.search_runs([client.get_experiment_by_name("mirrors").experiment_id])
    by_process = {how: {} for how in ("whole", "kill", "raise")}
    for run in found:
        how = Path(run.data.tags["linerefine.output"]).name
        by_process.get(how, {})[run.info.run_name] = run
    return client, by_process


def test_processes_make_and_fill_one_store_at_once(crowd, crowd_runs):
    _, said, codes = crowd
    assert said["whole"] == ("", "")
    assert codes["whole"] == 0
    client, runs = crowd_runs
    assert len(runs["whole"]) == 6
    assert {run.info.status for run in runs["whole"].values()} == {"FINISHED"}
    assert len(curve(client, runs["whole"]["1 · unet"], "pfm_refined")) == 7
    assert len(curve(client, runs["raise"]["1 · unet"], "image/mirror 1/pfm_refined")) == 7


def test_a_process_that_ends_without_a_word_marks_its_run_as_failed(crowd, crowd_runs):
    _, said, codes = crowd
    assert codes["raise"] == 1
    assert "RuntimeError: a bug" in said["raise"][1]
    statuses = {name: run.info.status for name, run in crowd_runs[1]["raise"].items()}
    assert statuses.pop("1 · unet") == "FINISHED"  # all its images were through
    assert len(statuses) == 3
    assert set(statuses.values()) == {"FAILED"}


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_the_next_run_marks_a_killed_one_as_failed(crowd, crowd_runs, stream, tmp_path):
    assert crowd[2]["kill"] == -9
    assert len(crowd_runs[1]["kill"]) == 4
    uri = crowd[0]
    *events, end = stream(tmp_path / "next", stop_after=0)
    observer = MlflowObserver(uri)
    for event in events:
        observer(event)
    client = open_client(uri)
    found = client.get_experiment_by_name("mirrors").experiment_id
    statuses = {
        (Path(run.data.tags["linerefine.output"]).name, run.info.status)
        for run in client.search_runs([found])
        if run.info.run_name != "1 · unet"
    }
    assert {pair for pair in statuses if pair[0] in {"kill", "next"}} == {
        ("kill", "FAILED"),
        ("next", "RUNNING"),
    }
    observer(end)


def test_a_store_that_cannot_be_made_stops_before_any_work(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(RunError, match="cannot write the MLflow store"):
        MlflowObserver(sqlite_uri(tmp_path / "runs" / "mlflow.db"))


@pytest.mark.parametrize("uri", ["nonsense://x", "postgresql://nobody@127.0.0.1:9/x"])
def test_a_store_of_an_unknown_kind_is_refused(uri):
    with pytest.raises(RunError, match=r"the MLflow store '.*' cannot be used: .*tracking\.uri"):
        MlflowObserver(uri)


def test_mlflow_says_nothing_and_sends_nothing(store, stream, tmp_path, capfd):
    record(store, stream(tmp_path / "run", stop_after=1))
    assert capfd.readouterr() == ("", "")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert logging.getLogger("alembic").level == logging.ERROR


def test_a_failing_store_rests_before_it_is_asked_again(store):
    asked = []

    def fail():
        asked.append(1)
        raise OSError("away")  # noqa: EM101 - what a library says

    mlflow = MlflowStore(store)
    for _ in range(3):
        with pytest.raises(RunError, match="MLflow does not take it: away"):
            mlflow._try(fail)
    assert len(asked) == 1
    mlflow.hurry()
    with pytest.raises(RunError):
        mlflow._try(fail)
    assert len(asked) == 2


class Stubborn(Refiner):
    """Cannot be exported as a graph: what it does depends on the data."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def refine(self, features, prompt):
        if float(prompt.hints.sum()) > 1e9:
            return prompt.initial
        return prompt.initial * self.scale + features[:, :1] + prompt.hints


@pytest.fixture
def trained(store, stream, tmp_path):
    """Record a run with a trained refiner; give back the model's URI."""

    def keep(refiner, channels):
        *events, end = stream(tmp_path / "run", stop_after=0)
        model = ModelTrained("unet", refiner, channels, tmp_path / "weights")
        record(store, [*events, model, end])
        _, runs = runs_by_name(store)
        return runs["train · unet"].data.tags.get(MODEL)

    return keep


@pytest.fixture
def _at(store):
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store)
    yield
    mlflow.set_tracking_uri(before)


@pytest.mark.usefixtures("_at")
@pytest.mark.parametrize(
    ("kind", "options"), [(UNetRefiner, UNetOptions), (Anchored, AnchoredOptions)]
)
def test_a_trained_network_loads_back_and_predicts_the_same(trained, caplog, kind, options):
    import mlflow

    torch.manual_seed(0)
    network = NetworkConfig(encoder="mobilenet_v2", encoder_depth=3, decoder_channels=(16, 8, 8))
    refiner = kind(options(network=network), channels=2)
    for parameter in refiner.parameters():  # one that begins as zeros says nothing
        torch.nn.init.normal_(parameter, std=0.1)
    uri = trained(refiner, 2)
    assert "cannot be kept" not in caplog.text
    assert refiner.training  # left as it was
    served = refiner.eval().served()
    loaded = mlflow.pytorch.load_model(uri)
    for batch, edge in ((1, 64), (3, 96)):
        x = served.example_input(2, edge, batch=batch, seed=5)
        with torch.no_grad():
            torch.testing.assert_close(loaded(x), served(x), rtol=1e-5, atol=1e-5)
    x = served.example_input(2, 64)
    answer = mlflow.pyfunc.load_model(uri).predict(x.numpy())
    np.testing.assert_allclose(answer, served(x).detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_at")
@pytest.mark.filterwarnings("ignore")
def test_a_refiner_that_cannot_be_exported_is_pickled_with_a_warning(trained, caplog):
    import mlflow

    uri = trained(Stubborn(), 1)
    assert "the refiner cannot be kept as pt2" in caplog.text
    loaded = mlflow.pytorch.load_model(uri)
    x = Stubborn().served().example_input(1, 32)
    torch.testing.assert_close(loaded(x), 2 * x[:, 1:2] + x[:, :1] + x[:, 2:])


def test_a_refiner_that_cannot_be_kept_at_all_costs_the_run_nothing(trained, caplog):
    class Local(Refiner):
        def __init__(self):
            super().__init__()
            self.unpicklable = (number for number in range(3))

        def __deepcopy__(self, memo):
            return self

        def refine(self, features, prompt):
            raise RuntimeError("never")  # noqa: EM101

    assert trained(Local(), 1) is None
    assert "the refiner 'unet' is not kept as a model" in caplog.text


@pytest.mark.slow
def test_a_store_of_an_older_mlflow_is_brought_up_to_date(store, stream, tmp_path):
    import mlflow.store.db.utils as tables
    from alembic import command
    from alembic.script import ScriptDirectory

    database = tmp_path / "old.db"
    engine = tables.create_sqlalchemy_engine(sqlite_uri(database))
    tables.InitialBase.metadata.create_all(engine)
    config = tables._get_alembic_config(sqlite_uri(database))
    newest = ScriptDirectory.from_config(config).get_current_head()
    before = ScriptDirectory.from_config(config).get_revision(newest).down_revision
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, before)
    engine.dispose()
    record(sqlite_uri(database), stream(tmp_path / "run", stop_after=0))
    _, runs = runs_by_name(sqlite_uri(database))
    assert parent_of(runs).info.status == "FINISHED"
    assert len(list(tmp_path.glob("old.db.*.backup"))) == 1


def test_an_unfinished_command_ends_with_its_run(store, stream, tmp_path):
    *events, _ = stream(tmp_path / "run", stop_after=1)
    observer = MlflowObserver(store)
    for event in events:
        observer(event)
    observer._abandon()  # what Python calls at exit
    _, runs = runs_by_name(store)
    assert {run.info.status for run in runs.values()} == {"FAILED"}
    observer(RunFinished("finished"))  # too late, and harmless
    assert {run.info.status for run in runs_by_name(store)[1].values()} == {"FAILED"}
