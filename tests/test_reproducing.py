"""`linerefine reproduce` as a user types it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import linerefine as lr
from linerefine.cli import main
from linerefine.configure import dump_config
from linerefine.report import Page, RunResult, Section, Table

ARGUMENTS = ("--device", "cpu", "--set", "tracking.enabled=false")


@pytest.fixture
def cli(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["linerefine", *map(str, arguments)])
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def runs(monkeypatch):
    """Stand in the place of the runs and of the page; remember both."""
    seen = SimpleNamespace(runs=[], pages=[], error=None)

    def run_experiment(experiment, config, registry, output, *, resume, labels, **_):
        seen.runs.append(
            SimpleNamespace(config=config, output=output, labels=labels, resume=resume)
        )
        if seen.error is not None:
            raise seen.error
        output.mkdir(parents=True, exist_ok=True)
        (output / "config.toml").write_text(dump_config(config))
        return RunResult(config, output, None, None, {})

    def write_study(outcome, command):
        seen.pages.append(SimpleNamespace(outcome=outcome, command=command))
        table = Table("Found", ("refiner", "gain"), ({"refiner": "both", "gain": 0.06},))
        page = Page("t", "s", command, (Section("", "", (table,)),))
        return page, outcome.folder / "report.html"

    monkeypatch.setattr("linerefine.experiment.run_experiment", run_experiment)
    monkeypatch.setattr("linerefine.studies.page.write_study", write_study)
    return seen


def test_without_a_name_the_studies_are_listed(cli):
    done = cli("reproduce")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0].split() == ["study", "on", "what"]
    named = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert named["comparison"] == "folder"
    assert {"table1", "table2", "figure3", "figure4", "figure5", "figure6", "recipe"} <= set(named)


def test_an_unknown_study_is_refused_with_a_suggestion(cli):
    done = cli("reproduce", "tabel1")
    assert done.code == 2
    assert "no study named 'tabel1'. Did you mean 'table1'?" in done.err


def test_each_protocol_is_a_run_and_the_page_comes_last(cli, runs):
    done = cli("reproduce", "table1", "--output", "out", "--seed", "3", *ARGUMENTS)
    assert done.code == 0
    assert [run.output for run in runs.runs] == [Path("out/paper"), Path("out/independent")]
    assert [run.config.protocol for run in runs.runs] == ["paper", "independent"]
    assert all(run.config.seed == 3 for run in runs.runs)
    assert all(run.labels == {"study": "table1"} for run in runs.runs)
    (page,) = runs.pages
    assert page.command.startswith("linerefine reproduce table1 --output out --seed 3")
    assert done.out.splitlines()[0] == "Found"
    assert done.out.splitlines()[-1] == (
        "Wrote out/report.html (open it in a browser) and paper, independent beside it"
    )
    assert "table1 on etruscan_mirrors: profile quick, protocol paper" in done.err


def test_a_study_runs_on_another_experiment(cli, runs, tmp_path):
    done = cli("reproduce", "table1", "--on", "folder", "--data-root", tmp_path, *ARGUMENTS)
    assert done.code == 0
    assert runs.runs[0].config.loader.options["root"] == str(tmp_path)
    assert [part.key for part in runs.runs[0].config.refiners] == [
        "prediction",
        "interaction",
        "both",
    ]
    (folder,) = Path("runs").iterdir()
    assert folder.name.endswith("-table1-folder")


def test_a_protocol_belongs_to_the_study(cli, runs):
    done = cli("reproduce", "table1", "--set", "protocol=paper", *ARGUMENTS)
    assert done.code == 2
    assert "study table1 runs by the protocols paper, independent" in done.err
    assert not runs.runs


def test_going_on_needs_the_folder(cli, runs):
    done = cli("reproduce", "table1", "--resume", *ARGUMENTS)
    assert (done.code, runs.runs) == (2, [])
    assert "--resume needs --output with the folder of the study" in done.err
    cli("reproduce", "table1", "--output", "out", *ARGUMENTS)
    runs.runs.clear()
    done = cli("reproduce", "table1", "--output", "out", "--resume", *ARGUMENTS)
    assert done.code == 0
    assert [run.resume for run in runs.runs] == [True, True]


def test_an_interrupt_says_how_to_go_on(cli, runs):
    runs.error = KeyboardInterrupt()
    done = cli("reproduce", "table1", "--output", "out", *ARGUMENTS)
    assert done.code == 130
    assert "go on with the same command, --output out --resume" in done.err


def test_what_a_user_can_mend_is_one_line(cli, runs):
    runs.error = lr.DataError("no such scan.")
    done = cli("reproduce", "table1", "--output", "out", *ARGUMENTS)
    assert done.code == 2
    assert done.err.splitlines()[-1] == "DataError: no such scan."
