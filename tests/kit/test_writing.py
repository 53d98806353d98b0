"""`linerefine new-plugin`: what is written is found, keeps its promises, is well spelt and runs."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from linerefine.errors import ConfigError, DataError
from linerefine.kit.checking import check_plugin
from linerefine.kit.names import LONGEST, distribution_of, name_mistakes, package_of
from linerefine.kit.writing import OFFERS, core_requirement, write_plugin
from linerefine.machine import install_command
from linerefine.registry import Registry

from .conftest import record_of

CORE = Registry([importlib.import_module("linerefine.builtin")])
EVERY_CHOICE = [
    kinds
    for count in range(1, len(OFFERS) + 1)
    for kinds in itertools.combinations(OFFERS, count)
    if "loader" in kinds or "experiment" not in kinds
]
LONG = "veins_of_the_leaves_of_forty_trees_there"
SMALL = {
    "loader.options.sample_images": 6,
    "loader.options.sample_size": 96,
    "tiling": "{patch=96,train_rows=96,train_cols=96}",
    "training.batch_size": 2,
    "training.steps_per_epoch": 1,
    "training.max_epochs": 1,
    "evaluation.budget": 2,
    "evaluation.repeats": 1,
    "tracking.enabled": "false",
}


def written(folder: Path, name: str = "leaf_veins", offers=("loader", "experiment")) -> Path:
    return write_plugin(name, CORE, output=folder, offers=offers).folder


def ruff(*arguments: str, at: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "."],
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def installed(tmp_path, on_path):
    """Write a plugin and install it for one test."""

    def install(name: str, *offers: str) -> Path:
        project = written(tmp_path / "project", name, offers)
        record_of(name, project)
        on_path(project)
        importlib.invalidate_caches()
        return project

    return install


# ---------------------------------------------------------------- what is written


def test_a_project_is_whole(tmp_path):
    project = write_plugin("leaf_veins", CORE, output=tmp_path / "new")
    there = {p.relative_to(project.folder).as_posix() for p in project.folder.rglob("*.*")}
    assert project.offers == ("loader", "experiment")
    assert set(project.files) == there
    assert there == {
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "linerefine_leaf_veins/__init__.py",
        "linerefine_leaf_veins/loader.py",
        "linerefine_leaf_veins/options.py",
        "linerefine_leaf_veins/plugin.py",
        "linerefine_leaf_veins/py.typed",
        "linerefine_leaf_veins/sample.py",
        "tests/test_contract.py",
    }


@pytest.mark.parametrize("name", ["ab", LONG, "v" * LONGEST])
def test_every_choice_is_well_spelt(tmp_path, name):
    for offers in EVERY_CHOICE:
        project = written(tmp_path / "-".join(offers), name, offers)
        for path in project.rglob("*.py"):
            compile(path.read_text(encoding="utf-8"), str(path), "exec")
        # By the project: which imports are its own is told by where it lies.
        assert ruff("check", at=project) == ""
        assert ruff("check", "--select=E,F,I,UP,B,RUF,SIM,RET,PT,TID", at=project) == ""
    assert ruff("format", "--diff", at=tmp_path) == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_types_are_right_by_the_settings_it_comes_with(tmp_path):
    project = written(tmp_path / "new", offers=OFFERS)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "linerefine_leaf_veins"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("offers", EVERY_CHOICE, ids="-".join)
def test_no_text_has_a_trace_of_its_template(tmp_path, offers):
    project = written(tmp_path / "new", offers=offers)
    for path in filter(Path.is_file, project.rglob("*")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\{[{%#]|[%#]\}| $|\n\n\n\n", text, re.MULTILINE), path
        assert text == "" or re.search(r"[^\n]\n\Z", text), path


def test_the_readme_names_every_file_and_three_commands(tmp_path):
    project = written(tmp_path / "new", offers=OFFERS)
    readme = (project / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(.+?)`", readme, re.MULTILINE))
    modules = {p.relative_to(project).as_posix() for p in project.rglob("*.py")}
    assert named == modules - {"linerefine_leaf_veins/__init__.py"}
    assert re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[0].splitlines() == [
        "uv pip install -e . pytest",
        "linerefine plugins check leaf_veins",
        "linerefine run leaf_veins --profile quick",
    ]


def test_the_package_asks_for_the_core_it_was_made_with(tmp_path):
    project = written(tmp_path / "new")
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    core = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (requirement,) = map(Requirement, content["project"]["dependencies"])
    assert requirement.name == "linerefine"
    assert requirement.specifier.contains(core["version"])
    assert content["project"]["requires-python"] == core["requires-python"]
    assert content["project"]["name"] == "linerefine-leaf-veins"
    points = content["project"]["entry-points"]["linerefine"]
    assert points == {"leaf_veins": "linerefine_leaf_veins.plugin"}


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 9), st.sampled_from(["", ".dev3"]))
def test_versions_until_the_next_that_may_change_interfaces_are_taken(major, minor, patch, pre):
    version = f"{major}.{minor}.{patch}{pre}"
    asked = Requirement(core_requirement(version)).specifier
    assert asked.contains(version, prereleases=True)
    assert asked.contains(f"{major}.{minor}.{patch + 1}")
    assert asked.contains(f"{major}.{minor + 1}.0") == (major > 0)
    assert not asked.contains(f"{major + 1}.0.0")


# ---------------------------------------------------------------- what it does


def test_everything_that_can_be_written_keeps_every_promise(installed):
    installed("leaf_veins", *OFFERS)
    findings = check_plugin(Registry.discover(), "leaf_veins", ["sample_size=96"])
    assert [f for f in findings if f.problem] == []
    assert {f.subject for f in findings} == {"plugin", *OFFERS}


@pytest.mark.timeout(300)
def test_its_own_tests_pass(installed, tmp_path):
    project = installed("leaf_veins", "loader", "experiment")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.timeout(300)
def test_it_runs_at_once_with_all_of_its_parts(installed, cli):
    installed("leaf_veins", *OFFERS)
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    output = Path("run")
    done = cli(
        "run", "leaf_veins", "--profile", "quick", "--device", "cpu", *sets, "--output", output
    )
    assert done.code == 0, done.err
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert {"unet", "leaf_veins"} <= set(re.findall(r"\w+", json.dumps(summary)))
    assert "leaf_veins: sessions on whole images" in done.out
    assert "(sample)" in done.out
    assert done.out.splitlines()[-1].startswith("Wrote run (")


def test_drawn_images_are_drawn_once_and_anew_after_a_change(installed, tmp_path, monkeypatch):
    project = installed("leaf_veins", "loader")
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path / "cache"))
    sample = importlib.import_module("linerefine_leaf_veins.sample")
    told = []
    first = sample.drawn_folder(2, 64, lambda *call: told.append(call))
    assert sample.drawn_folder(2, 64, lambda *call: told.append(call)) == first
    assert told == [("drawing images", 1, 2), ("drawing images", 2, 2)]
    assert sorted(path.relative_to(first).as_posix() for path in first.rglob("*.png")) == [
        "images/drawn_00.png",
        "images/drawn_01.png",
        "masks/drawn_00.png",
        "masks/drawn_01.png",
    ]
    source = project / "linerefine_leaf_veins" / "sample.py"
    source.write_text(source.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert sample.drawn_folder(2, 64, lambda *_: None) != first


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Leaf-Veins",
            "NAME is 'Leaf-Veins', expected snake_case such as leaf_veins. "
            "Did you mean 'leaf_veins'?",
        ),
        (
            "LeafVeins",
            "NAME is 'LeafVeins', expected snake_case such as leaf_veins. "
            "Did you mean 'leaf_veins'?",
        ),
        ("leaf_", "NAME is 'leaf_', expected snake_case such as leaf_veins. Did you mean 'leaf'?"),
        ("7", "NAME is '7', expected snake_case such as leaf_veins."),
        ("", "NAME is '', expected snake_case such as leaf_veins."),
        (
            "../leaf",
            "NAME is '../leaf', expected snake_case such as leaf_veins. Did you mean 'leaf'?",
        ),
        ("x" * (LONGEST + 1), f"NAME has {LONGEST + 1} characters, expected at most {LONGEST}."),
        (
            "linerefine_leaf",
            "NAME is 'linerefine_leaf', expected it without 'linerefine', which "
            "is put before it. Did you mean 'leaf'?",
        ),
        ("class", "NAME is 'class', which is a keyword of Python."),
        ("json", "NAME is 'json', which is a module of Python's own."),
        ("longest", "NAME is 'longest', but linerefine 0.1.0 has it already (simulator)."),
        (
            "folder",
            "NAME is 'folder', but linerefine 0.1.0 has it already (loader, experiment).",
        ),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(name, message):
    assert name_mistakes(name, CORE) == [message]


def test_a_name_of_an_installed_distribution_is_refused():
    (mistake,) = name_mistakes("numpy", CORE)
    assert re.fullmatch(r"NAME is 'numpy', but numpy \S+ is installed\.", mistake)


def test_a_name_of_an_installed_plugin_is_refused(install):
    install("good")
    mistakes = name_mistakes("leaves", Registry.discover())
    assert mistakes == [
        "NAME is 'leaves', but linerefine-leaves 1.2 is installed.",
        "NAME is 'leaves', but linerefine-leaves 1.2 has it already (loader, experiment).",
    ]
    assert name_mistakes("pen", Registry.discover()) == [
        "NAME is 'pen', but linerefine-leaves 1.2 has it already (simulator)."
    ]


def test_a_name_of_a_broken_plugin_is_refused(install):
    install("import_error")
    mistakes = name_mistakes("lost", Registry.discover())
    assert mistakes[-1] == "NAME is 'lost', but linerefine-lost 0.1 has a plugin of that name."


def test_a_package_that_lies_on_the_path_is_not_shadowed(on_path, tmp_path):
    (tmp_path / "linerefine_moss").mkdir()
    (tmp_path / "linerefine_moss" / "__init__.py").write_text("")
    on_path(tmp_path)
    importlib.invalidate_caches()
    mistakes = name_mistakes("moss", CORE)
    assert mistakes == ["NAME is 'moss', but there is a package linerefine_moss already."]


@given(st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,8}){1,2}", fullmatch=True))
def test_names_that_are_spelt_well_and_free_are_taken(name):
    assert name_mistakes(name, CORE) == []
    assert package_of(name).isidentifier()
    assert Requirement(distribution_of(name)).name == distribution_of(name)


@given(st.text(max_size=20))
def test_whatever_is_typed_a_suggestion_would_be_taken(name):
    for mistake in name_mistakes(name, CORE):
        for near in re.findall(r"Did you mean '(\w+)'", mistake):
            again = name_mistakes(near, CORE)
            assert not any("snake_case" in reason for reason in again), (name, near)


def test_all_mistakes_are_named_at_once_and_nothing_is_written(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError) as caught:
        write_plugin(
            "My-Plugin", CORE, output=tmp_path / "full", offers=["experiment", "lodaer", "study"]
        )
    assert str(caught.value).splitlines() == [
        "5 mistakes:",
        "  NAME is 'My-Plugin', expected snake_case such as leaf_veins. Did you mean 'my_plugin'?",
        "  --with names 'lodaer', which a plugin cannot offer. Did you mean 'loader'?",
        "  --with names 'study', which a plugin cannot offer. "
        "Available: loader, experiment, simulator, refiner, metric.",
        "  --with has an experiment and no loader to run it on. Add loader.",
        f"  {tmp_path / 'full'} holds files already. Name another folder with --output.",
    ]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_a_file_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.tex is a file\. Name a folder with --output\."):
        write_plugin("leaf_veins", CORE, output=tmp_path / "thesis.tex")
    with pytest.raises(ConfigError, match=r"^--with is empty, expected one or more of loader, "):
        write_plugin("leaf_veins", CORE, output=tmp_path / "new", offers=[])
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert not (tmp_path / "new").exists()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "new").mkdir()
    assert (written(tmp_path / "new") / "pyproject.toml").is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_cannot_be_written_is_an_error_of_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"new cannot be written: Permission denied"):
        written(tmp_path / "new")


# ---------------------------------------------------------------- as typed


class TestCommand:
    def test_it_says_what_it_wrote_and_what_comes_next(self, cli):
        done = cli("new-plugin", "leaf_veins")
        folder = Path.cwd() / "linerefine-leaf-veins"
        assert done.out.splitlines() == [
            "  .gitignore",
            "  README.md",
            "  linerefine_leaf_veins/__init__.py",
            "  linerefine_leaf_veins/loader.py",
            "  linerefine_leaf_veins/options.py",
            "  linerefine_leaf_veins/plugin.py",
            "  linerefine_leaf_veins/py.typed",
            "  linerefine_leaf_veins/sample.py",
            "  pyproject.toml",
            "  tests/test_contract.py",
            f"Wrote {folder} (offers loader, experiment). Next:",
            "  " + install_command(f"-e {folder}"),
            "  linerefine plugins check leaf_veins",
            "  linerefine run leaf_veins --profile quick",
        ]
        assert (done.code, done.err) == (0, "")

    def test_the_documentation_shows_what_it_says(self, cli):
        page = Path(__file__).parents[2] / "docs" / "how-to" / "new-plugin.md"
        block = re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0]
        done = cli("new-plugin", "leaf_veins")
        said = done.out.replace(f"{Path.cwd()}{os.sep}", "")
        assert said.replace(install_command(""), "uv pip install ") == block

    def test_what_it_offers_and_where_may_be_chosen(self, cli):
        done = cli("new-plugin", "smear", "--with", "metric, simulator", "--output", "a b/c")
        assert done.out.splitlines()[-3:] == [
            f"Wrote {Path.cwd() / 'a b' / 'c'} (offers simulator, metric). Next:",
            "  " + install_command(f"-e '{Path.cwd() / 'a b' / 'c'}'"),
            "  linerefine plugins check smear",
        ]
        assert (done.code, done.err) == (0, "")

    def test_a_second_time_it_refuses(self, cli):
        cli("new-plugin", "leaf_veins")
        done = cli("new-plugin", "leaf_veins")
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            f"ConfigError: {Path.cwd() / 'linerefine-leaf-veins'} holds files already. "
            f"Name another folder with --output.\n"
        )

    def test_mistakes_are_one_list_and_exit_code_2(self, cli):
        done = cli("new-plugin", "json", "--with", "metrics")
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "ConfigError: 2 mistakes:\n"
            "  NAME is 'json', which is a module of Python's own.\n"
            "  --with names 'metrics', which a plugin cannot offer. Did you mean 'metric'?\n"
        )

    def test_help_gives_exactly_these_options(self, cli):
        done = cli("new-plugin", "--help")
        assert re.findall(r"^  (--[a-z-]+)", done.out, re.MULTILINE) == ["--output", "--with"]
