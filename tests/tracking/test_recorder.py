"""The recorder against a store in memory that can be told to fail."""

from __future__ import annotations

import json
import math
import re
import threading
from collections import defaultdict
from dataclasses import replace

import pytest

from linerefine.errors import RunError
from linerefine.events import (
    ArtifactWritten,
    EpochFinished,
    ModelTrained,
    RoundFinished,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionKey,
)
from linerefine.tracking.recorder import PART, RunRecorder, Store
from linerefine.tracking.store import is_abandoned
from linerefine.types import Round


class MemoryStore(Store):
    def __init__(self):
        self.runs = {}
        self.points = defaultdict(list)
        self.artifacts = []
        self.models = []
        self.fails = False
        self.sends = 0

    def _check(self):
        if self.fails:
            msg = "the store is away"
            raise RunError(msg)

    def experiment(self, name):
        self._check()
        return f"experiment {name}"

    def create(self, experiment, name, tags, params):
        self._check()
        run = f"run {len(self.runs)}"
        self.runs[run] = {
            "name": name,
            "tags": dict(tags),
            "params": dict(params),
            "status": "RUNNING",
        }
        return run

    def reopen(self, run):
        self._check()
        if run in self.runs:
            self.runs[run]["status"] = "RUNNING"
        return run in self.runs

    def children(self, experiment, parent):
        return {
            r["tags"][PART]: (run, r["status"] == "FINISHED")
            for run, r in self.runs.items()
            if r["tags"].get("mlflow.parentRunId") == parent
        }

    def latest(self, run):
        last = {}
        for point in self.points[run]:
            if point.step >= last.get(point.key, (-1, 0))[0]:
                last[point.key] = (point.step, point.value)
        return last

    def send(self, run, points):
        self._check()
        self.sends += 1
        self.points[run] += points

    def artifact(self, run, path, folder):
        self._check()
        self.artifacts.append((self.runs[run]["name"], path.name, folder))

    def model(self, run, refiner, channels, edge):
        self._check()
        self.models.append((self.runs[run]["name"], refiner, channels, edge))

    def end(self, run, status):
        self._check()
        self.runs[run]["status"] = status

    def hurry(self):
        pass

    def statuses(self):
        return {r["name"]: r["status"] for r in self.runs.values()}

    def curve(self, name, key):
        (run,) = [run for run, r in self.runs.items() if r["name"] == name]
        return [(p.step, p.value) for p in self.points[run] if p.key == key]


@pytest.fixture
def memory():
    return MemoryStore()


def record(memory, events, **options):
    recorder = RunRecorder(memory, uri="memory", **options)
    for event in events:
        recorder(event)
    return recorder


def parent_name(memory):
    return memory.runs["run 0"]["name"]


def test_a_child_per_refiner_and_repeat_and_one_per_training(memory, tmp_path, stream):
    record(memory, stream(tmp_path))
    names = [run["name"] for run in memory.runs.values()]
    assert sorted(names[1:]) == [
        "1 · echo",
        "1 · unet",
        "2 · echo",
        "2 · unet",
        "train · unet",
    ]
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d quick", names[0])
    assert set(memory.statuses().values()) == {"FINISHED"}


def test_what_tells_runs_apart_comes_before_mlflow_cuts_a_name(memory, tmp_path, stream):
    first = next(event for event in stream(tmp_path) if isinstance(event, RunStarted))
    played = Round(0, None, None, 0, 0.0, {"pfm": 0.5}, {"pfm": 0.5}, {})
    labels = ({"name": "unet", "label": "interaction only"}, {"name": "unet", "label": "both"})
    config = {**first.config, "protocol": "independent", "refiners": labels}
    key = SessionKey("interaction only", 1, "mirror 1")
    end = SessionFinished(key, 0, "budget spent", {})
    record(memory, [replace(first, config=config), RoundFinished(key, played), end])
    parent, child = (run["name"] for run in memory.runs.values())
    assert parent.endswith(" quick independent")
    assert child == "2 · interaction only"


def test_means_over_images_are_recorded_as_soon_as_all_are_through(memory, tmp_path, stream):
    events = stream(tmp_path)
    recorder = RunRecorder(memory, uri="memory")
    last = [
        index
        for index, event in enumerate(events)
        if isinstance(event, SessionFinished) and event.key.refiner == "unet"
    ][-1]
    for event in events[: last + 1]:
        recorder(event)
    assert len(memory.curve("2 · unet", "pfm_refined")) == 7
    assert memory.statuses()["2 · unet"] == "FINISHED"
    assert memory.runs["run 0"]["status"] == "RUNNING"


def test_without_a_plan_means_are_recorded_at_the_end(memory, tmp_path, stream):
    *events, end = stream(tmp_path, planned=False)
    recorder = record(memory, events)
    assert memory.curve("1 · unet", "pfm_refined") == []
    recorder(end)
    assert len(memory.curve("1 · unet", "pfm_refined")) == 7


def test_no_means_are_recorded_of_half_a_repeat(memory, tmp_path, stream):
    record(memory, stream(tmp_path, status="failed", stop_after=2))
    assert memory.curve("1 · unet", "pfm_refined") == []
    assert len(memory.curve("1 · unet", "image/mirror 1/pfm_refined")) == 7


@pytest.mark.parametrize(("status", "mark"), [("failed", "FAILED"), ("interrupted", "KILLED")])
def test_how_a_run_ended_marks_parent_and_open_children(memory, tmp_path, stream, status, mark):
    *events, end = stream(tmp_path, status=status, stop_after=5)
    record(memory, [*events, end])
    found = memory.statuses()
    assert found.pop(parent_name(memory)) == mark
    assert found.pop("1 · echo") == mark
    assert found.pop("train · unet") == mark  # no model came
    assert set(found.values()) == {"FINISHED"}
    assert is_abandoned(tmp_path)


def test_a_resumed_run_goes_on_and_counts_nothing_twice(memory, tmp_path, stream):
    record(memory, stream(tmp_path, status="interrupted", stop_after=3))
    before = len(memory.runs)
    record(memory, stream(tmp_path, resumed=True))
    assert len(memory.runs) == before + 2  # the two repeats that were not begun
    assert set(memory.statuses().values()) == {"FINISHED"}
    for run in memory.runs:
        keys = [(p.key, p.step) for p in memory.points[run]]
        assert len(keys) == len(set(keys))
    once = MemoryStore()
    record(once, stream(tmp_path / "other"))
    for name in ("1 · unet", "2 · echo"):
        for key in ("pfm_refined", "image/mirror 2/relative_gain", "max_gain"):
            assert memory.curve(name, key) == once.curve(name, key)


def test_resuming_a_finished_run_changes_nothing(memory, tmp_path, stream):
    record(memory, stream(tmp_path))
    count = {run: len(points) for run, points in memory.points.items()}
    record(memory, stream(tmp_path, resumed=True))
    assert {run: len(points) for run, points in memory.points.items()} == count
    assert set(memory.statuses().values()) == {"FINISHED"}


def test_a_final_number_that_changed_is_recorded_again(memory, tmp_path, stream):
    *events, _ = stream(tmp_path)
    record(memory, [*events, RunFinished("finished", {"seconds": 10.0, "same": 1.0})])
    *again, _ = stream(tmp_path, resumed=True)
    record(memory, [*again, RunFinished("finished", {"seconds": 20.0, "same": 1.0})])
    assert memory.curve(parent_name(memory), "seconds") == [(0, 10.0), (0, 20.0)]
    assert memory.curve(parent_name(memory), "same") == [(0, 1.0)]


@pytest.mark.parametrize("memory_file", [None, "{", "[]", '{"run": "gone", "uri": "memory"}'])
def test_a_resumed_run_that_is_not_there_is_begun_anew(memory, tmp_path, stream, memory_file):
    if memory_file is not None:
        (tmp_path / "mlflow.json").write_text(memory_file)
    record(memory, stream(tmp_path, resumed=True))
    assert len(memory.runs) == 6
    assert json.loads((tmp_path / "mlflow.json").read_text())["run"] == "run 0"


def test_a_run_recorded_in_another_store_is_begun_anew(memory, tmp_path, stream):
    record(memory, stream(tmp_path, status="interrupted", stop_after=1))
    other = MemoryStore()
    recorder = RunRecorder(other, uri="elsewhere")
    for event in stream(tmp_path, resumed=True):
        recorder(event)
    assert len(other.runs) == 6


def test_a_store_that_fails_half_way_costs_the_run_nothing(memory, tmp_path, stream, caplog):
    events = stream(tmp_path)
    recorder = RunRecorder(memory, uri="memory", seconds=0)
    for index, event in enumerate(events):
        memory.fails = 15 < index < len(events) - 5
        recorder(event)
    assert "numbers wait until MLflow takes them again" in caplog.text
    assert set(memory.statuses().values()) == {"FINISHED"}
    once = MemoryStore()
    record(once, stream(tmp_path / "other"))
    for name in ("1 · unet", "2 · echo"):
        for key in ("pfm_refined", "image/mirror 2/relative_gain"):
            assert memory.curve(name, key) == once.curve(name, key)


def test_a_store_that_stays_away_is_reported_at_the_end(memory, tmp_path, stream, caplog):
    *events, end = stream(tmp_path)
    recorder = record(memory, events[:4])
    memory.fails = True
    for event in [*events[4:], end]:
        recorder(event)
    assert "numbers are not recorded in MLflow" in caplog.text
    assert is_abandoned(tmp_path)


def test_a_store_that_is_away_at_the_start_stops_the_run(memory, tmp_path, stream):
    memory.fails = True
    with pytest.raises(RunError, match="the store is away"):
        record(memory, stream(tmp_path))
    assert is_abandoned(tmp_path)


def test_two_commands_in_one_run_folder_are_refused(memory, tmp_path, stream):
    *events, end = stream(tmp_path)
    first = record(memory, events)
    with pytest.raises(RunError, match=r"another process works in .*\. Wait for it"):
        record(MemoryStore(), events)
    first(end)
    record(MemoryStore(), [*events, end])


def test_what_comes_before_a_run_is_ignored(memory):
    record(memory, [EpochFinished("unet", 1, 2, {"loss": 1.0}, True), RunFinished("failed")])
    assert memory.runs == {}


def test_artifacts_go_where_they_belong(memory, tmp_path, stream):
    *events, end = stream(tmp_path)
    files = [
        ArtifactWritten(tmp_path / "rounds.parquet"),
        ArtifactWritten(tmp_path / "gain.png", "figures"),
        ArtifactWritten(tmp_path / "over.png", "figures", refiner="unet", repeat=0),
        ArtifactWritten(tmp_path / "weights", "checkpoints", refiner="unet"),
        ArtifactWritten(tmp_path / "other", "", refiner="echo"),
    ]
    record(memory, [*events, *files, end])
    parent = parent_name(memory)
    assert memory.artifacts == [
        (parent, "rounds.parquet", ""),
        (parent, "gain.png", "figures"),
        ("1 · unet", "over.png", "figures"),
        ("train · unet", "weights", "checkpoints"),
        (parent, "other", ""),
    ]
    assert memory.statuses()["1 · unet"] == "FINISHED"


def test_a_trained_refiner_is_kept_in_its_training_run(memory, tmp_path, stream):
    *events, end = stream(tmp_path)
    refiner = object()
    record(memory, [*events, ModelTrained("unet", refiner, 3, tmp_path / "weights"), end])
    assert memory.models == [("train · unet", refiner, 3, 64)]


def test_no_model_is_kept_if_none_is_wanted(memory, tmp_path, stream):
    *events, end = stream(tmp_path)
    trained = ModelTrained("unet", object(), 3, tmp_path / "weights")
    record(memory, [*events, trained, end], log_model=False)
    assert memory.models == []
    assert memory.statuses()["train · unet"] == "FINISHED"


def test_settings_and_tags_are_on_parent_and_children(memory, tmp_path, stream):
    record(memory, stream(tmp_path))
    for run in memory.runs.values():
        assert run["params"]["refiners"] == "unet, echo"
        assert run["tags"]["data"] == "phantom"
        assert run["tags"]["linerefine.output"] == str(tmp_path)
    child = next(r for r in memory.runs.values() if r["name"] == "2 · unet")
    assert (child["tags"]["refiner"], child["tags"]["repeat"]) == ("unet", "2")
    assert (child["params"]["refiner"], child["params"]["repeat"]) == ("unet", "2")
    assert child["tags"]["mlflow.parentRunId"] == "run 0"


def test_phantom_runs_say_so_in_words(memory, tmp_path, stream):
    record(memory, stream(tmp_path))
    note = memory.runs["run 0"]["tags"]["mlflow.note.content"]
    assert "No number here is about real objects" in note
    assert str(tmp_path) in note


def test_several_threads_may_announce(memory, tmp_path, stream, keys, rounds_of):
    recorder = RunRecorder(memory, uri="memory", seconds=0)
    recorder(RunStarted("mirrors", tmp_path, {"metrics": ({"name": "pfm"},)}, {}))

    def play(key):
        for round_ in rounds_of(key):
            recorder(RoundFinished(key, round_))
        recorder(SessionFinished(key, 1, "why"))

    threads = [threading.Thread(target=play, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder(RunFinished("finished"))
    assert len(memory.runs) == 5
    assert len(memory.curve("1 · unet", "image/mirror 1/pfm_manual")) == 7


def apart(tmp_path, curves):
    """Return the events of an independent run: refiner to image to scores of what is displayed."""
    labels = ({"name": "unet"}, {"name": "manual", "label": "pen"})
    config = {
        "metrics": ({"name": "pfm"},),
        "evaluation": {"loop": "independent"},
        "refiners": labels,
    }
    events = [RunStarted("mirrors", tmp_path, config, {})]
    for refiner, images in curves.items():
        for image, scores in images.items():
            key = SessionKey(refiner, 0, image)
            for index, score in enumerate(scores):
                # What the same strokes give when pasted says nothing here.
                played = Round(index, None, None, 0, 0.0, {"pfm": 0.1}, {"pfm": score}, {})
                events.append(RoundFinished(key, played))
            events.append(SessionFinished(key, len(scores) - 1, "budget spent", {}))
    return [*events, RunFinished("finished")]


def test_gain_of_people_apart_is_over_the_manual_person(memory, tmp_path):
    by_hand = {"left": [0.5, 0.5, 0.8], "right": [0.25, 0.5]}
    assisted = {"left": [0.5, 0.75], "right": [0.25, 0.5, 1.0, 1.0]}
    record(memory, apart(tmp_path, {"pen": by_hand, "unet": assisted}))
    left = memory.curve("1 · unet", "image/left/relative_gain")
    right = memory.curve("1 · unet", "image/right/relative_gain")
    assert left == [(0, 0.0), (1, 0.5)]
    assert right == [(0, 0.0), (1, 0.0), (2, 1.0), (3, 1.0)]
    # On the left the manual person goes on after the other has ended.
    (*_, two, three) = (value for _, value in memory.curve("1 · unet", "relative_gain"))
    assert two == three == pytest.approx((0.75 / 0.8 - 1 + 1.0) / 2)
    assert memory.curve("1 · pen", "relative_gain") == [(0, 0.0), (1, 0.0), (2, 0.0)]


def test_gain_over_a_manual_person_nobody_heard_of_is_undefined(memory, tmp_path):
    record(memory, apart(tmp_path, {"unet": {"left": [0.5, 0.75]}}))
    values = [value for _, value in memory.curve("1 · unet", "image/left/relative_gain")]
    assert len(values) in (0, 2)
    assert all(math.isnan(value) for value in values)


def test_a_manual_person_who_begins_again_is_not_remembered_twice(memory, tmp_path):
    start, *events, end = apart(tmp_path, {"pen": {"left": [0.5, 0.6, 0.9]}})
    *again, _ = apart(tmp_path, {"pen": {"left": [0.5, 0.6]}, "unet": {"left": [0.5, 0.6, 0.9]}})
    record(memory, [start, *events, *again[1:], end])
    gains = [value for _, value in memory.curve("1 · unet", "image/left/relative_gain")]
    assert gains == pytest.approx([0.0, 0.0, 0.5])
