"""Every command in this process: what goes to stdout, to stderr, and the exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import linerefine as lr
from linerefine.cli import main
from linerefine.cli.running import latest_unfinished, new_folder
from linerefine.cli.showing import store_at
from linerefine.configure import dump_config
from linerefine.registry import Registry

FAKES = Path(__file__).parent / "plugins"
OURS = ("--block", "etruscan_mirrors", "--block", "retina_demo")
# A process of its own: a signal that went astray would end the one that runs the tests.
WAITING = """
import signal, sys, time, types
def run_experiment(*_args, **_more):
    print("running", flush=True)
    time.sleep(60)
sys.modules["linerefine.experiment"] = types.SimpleNamespace(run_experiment=run_experiment)
from linerefine.cli import main
before = signal.getsignal(signal.SIGTERM)
code = main(sys.argv[1:])
print(f"{code}, handled as before: {signal.getsignal(signal.SIGTERM) is before}")
"""


@pytest.fixture
def cli(capfd, monkeypatch, tmp_path):
    """Run a command in an empty folder; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> SimpleNamespace:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def install(monkeypatch):
    """Install fake distributions for one test."""
    before = set(sys.modules)
    yield lambda *names: [monkeypatch.syspath_prepend(str(FAKES / name)) for name in names]
    for name in set(sys.modules) - before:
        if name.startswith(("linerefine_leaves", "linerefine_foo")):
            del sys.modules[name]


class FakeRun:
    """Stands in the place of the experiment: writes what a run writes, and remembers."""

    def __init__(self) -> None:
        self.calls: list[SimpleNamespace] = []
        self.error: BaseException | None = None

    def __call__(
        self, experiment, config, registry, output, *, observers, resume, workers, group, labels
    ):
        self.calls.append(
            SimpleNamespace(
                experiment=experiment,
                config=config,
                output=output,
                observers=observers,
                resume=resume,
                workers=workers,
                group=group,
                labels=labels,
            )
        )
        if isinstance(self.error, lr.LineRefineError):
            raise self.error
        (output / "config.toml").write_text(dump_config(config), encoding="utf-8")
        if self.error is not None:
            raise self.error
        (output / "summary.json").write_text("{}")
        table = lr.Table(
            "Sessions", ("image", "pFM"), ({"image": "21", "pFM": 0.713},), frozenset({"pFM"})
        )
        return lr.RunResult(config, output, None, None, {}, {}, lr.Report((table,)))

    @property
    def last(self) -> SimpleNamespace:
        return self.calls[-1]


@pytest.fixture
def fake_run(monkeypatch):
    fake = FakeRun()
    monkeypatch.setitem(sys.modules, "linerefine.experiment", SimpleNamespace(run_experiment=fake))
    monkeypatch.setitem(
        sys.modules,
        "linerefine.tracking.mlflow",
        SimpleNamespace(MlflowObserver=lambda uri, log_model: ("mlflow", uri, log_model)),
    )
    return fake


class TestProgram:
    def test_the_version_is_printed(self, cli):
        done = cli("--version")
        assert (done.code, done.out, done.err) == (0, f"linerefine {lr.__version__}\n", "")

    def test_help_names_exactly_these_commands(self, cli):
        done = cli("--help")
        listed = done.out.partition("Commands:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in listed.splitlines()] == [
            "run",
            "reproduce",
            "predict",
            "export",
            "score",
            "ui",
            "new-plugin",
            "compare",
            "doctor",
            "config",
            "cache",
            "plugins",
        ]
        assert done.code == 0

    @pytest.mark.parametrize(
        ("command", "options"),
        [
            (
                "run",
                "--data-root --profile --refiner --seed --repeats --set --config --output --device "
                "--backend --resume --jobs --cluster --block",
            ),
            ("predict", "--output --run --refiner --device --backend --block"),
            ("export", "--network --format --output --image --block"),
            ("plugins", "--json --block"),
            (
                "config show",
                "--data-root --profile --refiner --seed --repeats --set --config --device "
                "--backend --block",
            ),
            ("score", "--roi --metric --json --block"),
            (
                "compare",
                "--store --experiment --tag --refiner --metric --output --json --block",
            ),
            ("doctor", "--store --json"),
            ("ui", "--store --host --port"),
        ],
    )
    def test_every_command_has_exactly_these_options(self, cli, command, options):
        done = cli(*command.split(), "--help")
        assert re.findall(r"^  (--[a-z-]+)", done.out, re.MULTILINE) == options.split()
        assert done.code == 0
        assert "\x1b[" not in done.out

    def test_an_unknown_command_gets_a_suggestion(self, cli):
        done = cli("plugns")
        assert done.code == 2
        assert "No such command 'plugns'. Did you mean 'plugins', 'new-plugin'?" in done.err
        assert done.out == ""

    def test_what_is_our_fault_keeps_its_traceback(self, cli, fake_run):
        fake_run.error = ZeroDivisionError("ours")
        with pytest.raises(ZeroDivisionError, match="ours"):
            cli("run", "folder", *OURS)

    def test_waiting_threads_do_not_spin(self, cli, monkeypatch):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        cli("--version")
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
        monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
        cli("--version")
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"

    def test_it_runs_in_a_thread_too(self):
        codes = []
        thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
        thread.start()
        thread.join()
        assert codes == [0]

    def test_the_module_is_the_program(self):
        done = subprocess.run(
            [sys.executable, "-m", "linerefine", "--version"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"linerefine {lr.__version__}\n"


class TestPlugins:
    def test_the_table_shows_what_each_provides(self, cli, install):
        install("good")
        done = cli("plugins", *OURS)
        lines = done.out.splitlines()
        assert lines[:3] == [
            "name        version  provides",
            "linerefine  0.1.0    loaders: folder · simulators: clicks, longest, scribbles · "
            "refiners: anchored, deeplabv3plus, iternet, manual, pan, unet · "
            "metrics: betti0, betti1, centreline_distance, centreline_distance_95, centreline_f, "
            "cldice, dice, f_measure, iou, length_bias, path_similarity, pfm · "
            "experiments: folder · studies: comparison, ingredients",
            "leaves      1.2      loaders: leaves · simulators: pen · refiners: pasted · "
            "metrics: area · experiments: leaves",
        ]
        assert "  leaves  Scanned leaf veins, 600 dpi" in lines
        assert (done.code, done.err) == (0, "")

    def test_json_says_the_same(self, cli, install):
        install("good")
        record = json.loads(cli("plugins", "--json", *OURS).out)
        assert record["plugins"][1] == {
            "name": "leaves",
            "distribution": "linerefine-leaves",
            "version": "1.2",
            "provides": {
                "loaders": ["leaves"],
                "simulators": ["pen"],
                "refiners": ["pasted"],
                "metrics": ["area"],
                "experiments": ["leaves"],
            },
            "problem": None,
        }
        assert record["provides"]["metrics"]["area"] == "predicted share of the ROI"

    def test_a_broken_plugin_is_listed_and_explained(self, cli, install):
        install("misspelt")
        done = cli("plugins", *OURS)
        assert "typo        0.1      (cannot be used)" in done.out
        assert done.err == (
            "warning: plugin typo (linerefine-typo 0.1) implements linerefine_loader; "
            "did you mean linerefine_loaders?\n"
        )
        assert done.code == 0

    def test_a_conflict_is_listed_and_explained_once(self, cli, install):
        install("conflicting")
        done = cli("plugins", *OURS)
        assert "foo         0.3      refiners: unet · (in conflict)" in done.out
        assert done.err == (
            "warning: refiner 'unet' is provided by linerefine 0.1.0 and linerefine-foo 0.3. "
            "Uninstall one or pass --block linerefine-foo.\n"
        )
        assert done.code == 0

    @pytest.mark.parametrize(
        "command", [("run", "folder"), ("config", "show", "folder"), ("score", "a.png", "b.png")]
    )
    def test_commands_that_need_components_refuse_a_conflict(self, cli, install, command):
        install("conflicting")
        done = cli(*command, *OURS)
        assert done.code == 2
        assert done.err.startswith("ConflictError: refiner 'unet' is provided by linerefine 0.1.0")
        assert done.err.count("\n") == 1

    def test_the_remedy_works(self, cli, install):
        install("conflicting")
        assert cli("config", "show", "folder", *OURS, "--block", "linerefine-foo").code == 0

    def test_blocking_what_is_not_there_is_refused(self, cli):
        done = cli("plugins", "--block", "etruscan_mirors")
        assert done.code == 2
        assert done.err.startswith(
            "UnknownNameError: no plugin named 'etruscan_mirors'. Did you mean 'etruscan_mirrors'?"
        )


class TestConfigShow:
    def test_it_prints_a_file_that_config_accepts(self, cli, tmp_path):
        shown = cli("config", "show", "folder", "--data-root", "scans", "--seed", "3", *OURS)
        assert shown.out.startswith("# folder, profile quick, protocol default\n")
        settings = tomllib.loads(shown.out)
        assert settings["loader"]["options"]["root"] == str(tmp_path / "scans")
        file = tmp_path / "mine.toml"
        file.write_text(shown.out)
        assert cli("config", "show", "folder", "--config", file, *OURS).out == shown.out
        assert (shown.code, shown.err) == (0, "")

    def test_mistakes_are_one_error_on_stderr(self, cli):
        done = cli(
            "config",
            "show",
            "folder",
            "--set",
            "sed=1",
            "--set",
            "device=gpu",
            "--repeats",
            "-1",
            *OURS,
        )
        assert (done.code, done.out) == (2, "")
        assert done.err.splitlines() == [
            "ConfigError: 3 mistakes in the configuration:",
            "  evaluation.repeats is -1, expected >= 0 (set by --repeats).",
            "  device is 'gpu', expected 'auto', 'cpu' or 'cuda' (set by --set).",
            "  sed is not a setting (set by --set). Did you mean 'seed'?",
        ]

    def test_an_unknown_experiment_is_refused(self, cli):
        done = cli("config", "show", "foldr", *OURS)
        assert done.err == (
            "UnknownNameError: no experiment named 'foldr'. Did you mean 'folder'? "
            "Available: folder.\n"
        )

    def test_a_broken_plugin_is_a_warning(self, cli, install):
        install("import_error")
        done = cli("config", "show", "folder", *OURS)
        assert done.code == 0
        assert done.err.startswith("warning: plugin lost (linerefine-lost 0.1) cannot be imported")


class TestScore:
    @pytest.fixture
    def masks(self, tmp_path):
        lines = np.zeros((16, 16), dtype=np.uint8)
        lines[8] = 255
        for name, stored in (("line.png", lines), ("empty.png", lines * 0)):
            for side in ("mine", "theirs"):
                (tmp_path / side).mkdir(exist_ok=True)
                Image.fromarray(stored).save(tmp_path / side / name)
        return tmp_path

    def test_json_is_pairs_and_mean(self, cli, masks):
        done = cli("score", "mine", "theirs", "--json", *OURS)
        core = Registry.discover(OURS[1::2])
        made = {name: core.make_metric(lr.Component(name=name)) for name in core.metrics()}
        perfect = {name: float(metric.higher_is_better) for name, metric in made.items()}
        assert {"pfm", "cldice", "betti1"} <= perfect.keys()
        assert json.loads(done.out) == {
            "pairs": [
                {"name": "empty", **dict.fromkeys(perfect)},
                {"name": "line", **perfect},
            ],
            "mean": perfect,
        }
        assert (done.code, done.err) == (0, "")

    def test_the_table_says_what_was_left_out(self, cli, masks):
        four = [f"--metric={name}" for name in ("pfm", "iou", "f_measure", "dice")]
        done = cli("score", "mine", "theirs", *four, *OURS)
        assert done.out.replace("\N{EN DASH}", "-").splitlines() == [
            "mine against theirs",
            "name       pfm      iou  f_measure     dice",
            "empty        -        -          -        -",
            "line   100.0 %  100.0 %    100.0 %  100.0 %",
            "mean   100.0 %  100.0 %    100.0 %  100.0 %",
            "Undefined and left out of the mean, of 2: pfm in 1, iou in 1, f_measure in 1, "
            "dice in 1.",
        ]

    def test_only_the_metrics_that_are_asked_for_and_in_their_units(self, cli, masks):
        done = cli("score", "mine", "theirs", "--metric", "betti0", "--metric", "cldice", *OURS)
        assert done.out.replace("\N{EN DASH}", "-").splitlines() == [
            "mine against theirs",
            "name   betti0   cldice",
            "empty       -        -",
            "line        0  100.0 %",
            "mean        0  100.0 %",
            "Undefined and left out of the mean, of 2: betti0 in 1, cldice in 1.",
        ]

    def test_an_unknown_metric_is_refused(self, cli, masks):
        done = cli("score", "mine", "theirs", "--metric", "cldise", *OURS)
        assert (done.code, done.out) == (2, "")
        assert "no metric named 'cldise'. Did you mean 'cldice'?" in done.err

    def test_a_plugins_metric_is_scored_too(self, cli, masks, install):
        install("good")
        done = cli("score", "mine/line.png", "theirs/line.png", "--json", *OURS)
        assert json.loads(done.out)["mean"]["area"] == 1 / 16

    def test_a_metric_without_defaults_is_left_out_and_said_so(self, cli, masks, install):
        install("demanding")
        done = cli("score", "mine/line.png", "theirs/line.png", "--json", *OURS)
        assert "within" not in json.loads(done.out)["mean"]
        assert done.err == (
            "warning: metric 'within' is left out, for it has no defaults: "
            "metrics.within.options.pixels is missing.\n"
        )

    def test_an_roi_is_heeded(self, cli, masks):
        done = cli(
            "score", "mine/line.png", "theirs/line.png", "--roi", "mine/empty.png", "--json", *OURS
        )
        mean = json.loads(done.out)["mean"]
        assert {"pfm", "iou", "f_measure", "dice", "cldice"} <= mean.keys()
        assert set(mean.values()) == {None}

    def test_files_that_do_not_match_are_one_error(self, cli, masks):
        (masks / "mine" / "line.png").rename(masks / "mine" / "lines.png")
        done = cli("score", "mine", "theirs", *OURS)
        assert done.code == 2
        assert done.err.splitlines() == [
            "DataError: 2 mistakes in mine:",
            "  - mine/lines.png has no partner 'lines.*' in theirs.",
            "  - theirs/line.png has no partner 'line.*' in mine.",
        ]


class TestRun:
    def test_first_line_says_what_will_happen_and_last_where_things_are(
        self, cli, fake_run, tmp_path
    ):
        done = cli(
            "run",
            "folder",
            "--refiner",
            "unet",
            "--refiner",
            "manual",
            "--seed",
            "5",
            "--repeats",
            "2",
            *OURS,
        )
        assert done.code == 0
        (folder,) = Path("runs").iterdir()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-folder", folder.name)
        store = f"sqlite:///{(tmp_path / 'runs' / 'mlflow.db').as_posix()}"
        assert done.err.splitlines()[0] == (
            f"folder: profile quick, protocol default, refiners unet, manual, simulator longest, "
            f"2 repeats, seed 5, device auto, 0 data workers; run folder {folder}; MLflow {store}"
        )
        assert done.out.splitlines() == [
            "Sessions",
            "image     pFM",
            "21     71.3 %",
            f"Recorded in {store} (linerefine ui shows it)",
            f"Wrote {folder} (config.toml, report.html, report.txt, rounds.parquet, summary.json)",
        ]

    def test_the_experiment_gets_settings_folder_and_observers(self, cli, fake_run, tmp_path):
        cli("run", "folder", "--output", "a folder/out", "--data-root", "scans", *OURS)
        call = fake_run.last
        assert (call.experiment.name, call.resume) == ("folder", False)
        assert (call.workers, call.group) == (None, None)
        assert call.output == Path("a folder/out")
        assert call.config.loader.options["root"] == str(tmp_path / "scans")
        console, recorder = call.observers
        assert type(console).__name__ == "ConsoleObserver"
        assert recorder == (
            "mlflow",
            f"sqlite:///{(tmp_path / 'a folder').as_posix()}/mlflow.db",
            True,
        )

    def test_processes_and_a_cluster_exclude_each_other(self, cli, fake_run):
        done = cli("run", "folder", "--jobs", "2", "--cluster", "tcp://here:1", *OURS)
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "ConfigError: --jobs 2 and --cluster tcp://here:1 exclude each other. "
            "Leave one of them out.\n"
        )
        assert not list(Path().iterdir())

    def test_a_cluster_needs_its_extra(self, cli, fake_run, monkeypatch):
        monkeypatch.setattr("linerefine.cli.means.find_spec", lambda name: None)
        done = cli("run", "folder", "--cluster", "tcp://here:1", *OURS)
        assert done.code == 2
        assert "pip install 'linerefine[cluster]'" in done.err

    def test_tracking_can_be_switched_off_or_elsewhere(self, cli, fake_run):
        done = cli("run", "folder", "--set", "tracking.enabled=false", *OURS)
        assert len(fake_run.last.observers) == 1
        assert "; not recorded in MLflow" in done.err
        assert "Recorded" not in done.out
        done = cli("run", "folder", "--set", "tracking.uri=http://server:5000", *OURS)
        assert fake_run.last.observers[1][1] == "http://server:5000"
        assert (
            "Recorded in http://server:5000 (linerefine ui --store http://server:5000" in done.out
        )

    def test_a_folder_with_something_in_it_is_refused(self, cli, fake_run):
        cli("run", "folder", "--output", "out", *OURS)
        done = cli("run", "folder", "--output", "out", *OURS)
        assert (done.code, len(fake_run.calls)) == (2, 1)
        assert done.err == (
            "RunError: out is not empty. Pass --resume to go on with the run in it, "
            "or another --output.\n"
        )

    def test_an_unwritable_folder_is_refused(self, cli, fake_run, tmp_path):
        (tmp_path / "file").write_text("")
        done = cli("run", "folder", "--output", "file/out", *OURS)
        assert done.code == 2
        assert done.err == (
            "RunError: cannot write the run folder file/out: Not a directory. "
            "Choose another --output.\n"
        )
        (tmp_path / "runs").write_text("")
        assert "RunError: cannot write the run folder runs: " in cli("run", "folder", *OURS).err

    def test_an_error_leaves_no_empty_folder_behind(self, cli, fake_run, tmp_path):
        fake_run.error = lr.DataError("data root scans does not exist.")
        done = cli("run", "folder", *OURS)
        assert done.code == 2
        assert done.err.endswith("DataError: data root scans does not exist.\n")
        assert list((tmp_path / "runs").iterdir()) == []
        (tmp_path / "mine").mkdir()
        cli("run", "folder", "--output", "mine", *OURS)
        assert (tmp_path / "mine").is_dir()

    def test_cuda_asked_for_and_absent_is_refused(self, cli, fake_run, monkeypatch):
        monkeypatch.setattr("linerefine.cli.running.cuda_is_available", lambda: False)
        done = cli("run", "folder", "--device", "cuda", *OURS)
        assert (done.code, fake_run.calls) == (2, [])
        assert done.err == (
            "DeviceError: device 'cuda' was asked for, but torch sees no CUDA device. "
            "Pass --device cpu.\n"
        )

    def test_ctrl_c_says_what_is_kept_and_how_to_go_on(self, cli, fake_run):
        fake_run.error = KeyboardInterrupt()
        done = cli("run", "folder", "--output", "my out", *OURS)
        assert (done.code, done.out) == (130, "")
        assert done.err.splitlines()[-1] == (
            "interrupted; finished work is kept in my out; go on with "
            "linerefine run folder --output 'my out' --resume"
        )

    def test_being_terminated_is_like_ctrl_c(self, tmp_path):
        quiet = ("--set", "tracking.enabled=false")
        words = [sys.executable, "-c", WAITING, "run", "folder", *quiet, *OURS]
        with subprocess.Popen(
            words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "running\n"
            process.terminate()
            said, complained = process.communicate(timeout=60)
        assert (said, process.returncode) == ("130, handled as before: True\n", 0)
        assert complained.splitlines()[-1] == "interrupted before anything was written"
        assert list((tmp_path / "runs").iterdir()) == []


class TestResume:
    @pytest.fixture
    def stopped(self, cli, fake_run):
        """A run that was stopped half-way, with settings of its own."""
        fake_run.error = KeyboardInterrupt()
        cli(
            "run", "folder", "--seed", "4", "--profile", "paper", "--set", "session.margin=8", *OURS
        )
        fake_run.error = None
        return fake_run.last

    def test_it_takes_the_newest_unfinished_run_with_its_settings(self, cli, fake_run, stopped):
        done = cli("run", "folder", "--resume", *OURS)
        assert (done.code, fake_run.last.resume) == (0, True)
        assert fake_run.last.output == stopped.output
        assert fake_run.last.config == stopped.config
        assert f"; going on in {stopped.output};" in done.err

    def test_the_folder_can_be_named(self, cli, fake_run, stopped):
        cli("run", "folder", "--resume", "--output", stopped.output, *OURS)
        assert fake_run.last.config == stopped.config

    def test_options_given_again_are_laid_over_what_is_saved(self, cli, fake_run, stopped):
        cli("run", "folder", "--resume", "--seed", "4", "--device", "cpu", *OURS)
        assert fake_run.last.config == stopped.config.model_copy(update={"device": "cpu"})

    def test_another_profile_is_refused(self, cli, fake_run, stopped):
        done = cli("run", "folder", "--resume", "--profile", "quick", *OURS)
        assert done.code == 2
        assert "profile is 'quick' (set by --profile), but" in done.err
        assert "was made with 'paper'" in done.err

    def test_nothing_to_go_on_with_is_refused(self, cli, fake_run, tmp_path):
        done = cli("run", "folder", "--resume", *OURS)
        assert done.err == (
            f"RunError: there is no unfinished run of 'folder' in {tmp_path / 'runs'}. "
            "Leave out --resume, or name its folder with --output.\n"
        )
        done = cli("run", "folder", "--resume", "--output", "out", *OURS)
        assert done.code == 2
        assert done.err == (
            "RunError: no run was begun in out: it has no config.toml. Leave out --resume.\n"
        )
        assert not (tmp_path / "out").exists()

    def test_latest_unfinished_knows_its_own_experiments_runs(self, tmp_path):
        def begin(name: str, *, finished: bool = False) -> Path:
            folder = tmp_path / name
            folder.mkdir()
            (folder / "config.toml").write_text("")
            if finished:
                (folder / "summary.json").write_text("")
            return folder

        assert latest_unfinished(tmp_path, "demo") is None
        begin("2026-01-01T00-00-00-demo")
        newest = begin("2026-01-02T00-00-00_2-demo")
        begin("2026-01-02T00-00-00-demo")
        begin("2026-01-03T00-00-00-demo", finished=True)
        begin("2026-01-04T00-00-00-retina_demo")
        (tmp_path / "2026-01-05T00-00-00-demo").mkdir()
        assert latest_unfinished(tmp_path, "demo") == newest
        assert latest_unfinished(tmp_path / "none", "demo") is None

    def test_a_run_in_which_somebody_works_is_left_alone(self, tmp_path):
        from linerefine.tracking.store import claim

        folder = tmp_path / "2026-01-01T00-00-00-demo"
        folder.mkdir()
        (folder / "config.toml").write_text("")
        lock = claim(folder)
        assert latest_unfinished(tmp_path, "demo") is None
        lock.release()
        assert latest_unfinished(tmp_path, "demo") == folder


def test_two_runs_of_one_second_get_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noon = datetime(2026, 1, 31, 12, 0, 0)
    folders = [new_folder(None, "demo", now=lambda: noon) for _ in range(2)]
    assert [folder.name for folder in folders] == [
        "2026-01-31T12-00-00-demo",
        "2026-01-31T12-00-00_2-demo",
    ]


class TestPredict:
    @pytest.fixture
    def fake_predict(self, monkeypatch):
        calls = []

        def predict_scans(registry, sources, run, output, *, on_written, on_note, progress, **more):
            calls.append((sources, run, output, more))
            progress("predicting", 0, 1)
            for source in sources:
                if source == "stop":
                    raise KeyboardInterrupt
                on_written(SimpleNamespace(mask=output / "m.png", probability=output / "p.tif"))

        module = SimpleNamespace(predict_scans=predict_scans, Prediction=object)
        monkeypatch.setitem(sys.modules, "linerefine.predict", module)
        return calls

    def test_every_file_written_is_a_line_on_stdout(self, cli, fake_predict):
        done = cli("predict", "folder", "a.tif", "--run", "runs/x", "--output", "out", *OURS)
        assert done.code == 0
        assert done.out.splitlines() == ["out/m.png", "out/p.tif"]
        assert done.err.splitlines() == [
            "folder: 1 to predict with runs/x, auto",
            "Wrote 1 masks and probability maps to out",
        ]
        more = {"experiment": "folder", "refiner": None, "device": "auto", "backend": None}
        assert fake_predict == [(["a.tif"], Path("runs/x"), Path("out"), more)]

    def test_a_refiner_that_mends_is_handed_on_and_named(self, cli, fake_predict):
        words = ["a.tif", "--run", "runs/x", "--refiner", "anchored", "--output", "out"]
        done = cli("predict", "folder", *words, *OURS)
        assert done.err.startswith("folder: 1 to predict with runs/x, mended by anchored, auto\n")
        assert fake_predict[0][3]["refiner"] == "anchored"

    def test_ctrl_c_names_what_is_kept(self, cli, fake_predict):
        done = cli("predict", "folder", "a", "stop", "--run", "r", "--output", "out", *OURS)
        assert done.code == 130
        assert done.out.splitlines() == ["out/m.png", "out/p.tif"]
        assert done.err.splitlines()[-1] == "interrupted; what was finished is in out"

    def test_without_a_run_the_networks_that_ship_are_used(
        self, cli, fake_predict, monkeypatch, tmp_path
    ):
        (tmp_path / "ship").mkdir()
        (tmp_path / "ship" / "config.toml").touch()
        (tmp_path / "ship" / "trained_on.json").write_text('{"what": "doodles only"}')
        folder = lr.Registry.discover(blocked=OURS[1::2])
        shipping = replace(folder.experiment("folder"), trained=lambda: tmp_path / "ship")
        monkeypatch.setattr(lr.Registry, "experiment", lambda self, name: shipping)
        done = cli("predict", "folder", "a.tif", "--output", "out", *OURS)
        assert done.code == 0
        assert done.err.splitlines()[:2] == [
            "folder: 1 to predict with the network that ships with it, auto",
            "that network was trained on doodles only",
        ]
        assert [call[1] for call in fake_predict] == [tmp_path / "ship"]

    def test_without_a_run_or_networks_that_ship_a_run_is_asked_for(self, cli, fake_predict):
        done = cli("predict", "folder", "a.tif", "--output", "out", *OURS)
        assert (done.code, fake_predict) == (2, [])
        assert "no trained networks ship with 'folder'. Name a folder with --run" in done.err

    def test_an_unknown_experiment_is_refused_first(self, cli, fake_predict):
        done = cli("predict", "foldr", "a", "--run", "r", "--output", "out", *OURS)
        assert (done.code, fake_predict) == (2, [])


class TestUi:
    def test_the_store_of_the_runs_folder_is_shown(self, cli, monkeypatch, tmp_path):
        shown = []
        monkeypatch.setattr(
            "linerefine.tracking.ui.serve",
            lambda uri, host, port, *, announce: (
                shown.append((uri, host, port)),
                announce("here"),
            ),
        )
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "mlflow.db").write_text("")
        done = cli("ui", "--port", "5001")
        uri = f"sqlite:///{(tmp_path / 'runs' / 'mlflow.db').as_posix()}"
        assert shown == [(uri, "127.0.0.1", 5001)]
        assert (done.code, done.out, done.err) == (0, "", "here\n")

    def test_a_store_is_found_by_uri_file_folder_or_run(self, tmp_path):
        database = tmp_path / "mlflow.db"
        database.write_text("")
        (tmp_path / "a run").mkdir()
        uri = f"sqlite:///{database.as_posix()}"
        for place in (uri, database, tmp_path, tmp_path / "a run"):
            assert store_at(str(place)) == uri
        assert store_at("http://server:5000") == "http://server:5000"

    def test_no_store_is_refused_with_the_remedy(self, cli):
        done = cli("ui")
        assert (done.code, done.err) == (
            2,
            "RunError: there is no MLflow store at runs. "
            "Run an experiment first, or pass --store.\n",
        )
