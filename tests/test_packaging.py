"""What leaves the repository: versions, pins, and no trace of the machine it was made on."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
PYTHONS = ["3.11", "3.12", "3.13"]


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture, or deleted and not yet committed
    return found


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def direct_requirements() -> list[Requirement]:
    found = []
    for path in PROJECTS:
        project = read(path)
        lists = [project["project"]["dependencies"]]
        lists += project["project"].get("optional-dependencies", {}).values()
        lists += project.get("dependency-groups", {}).values()
        found += [Requirement(text) for group in lists for text in group]
    return [r for r in found if not r.name.startswith("linerefine")]


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def applies(marker: Marker | None, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    environment |= {"sys_platform": "linux", "platform_machine": "x86_64"}
    return marker is None or marker.evaluate(environment)


def test_three_distributions_carry_one_version_and_the_same_pythons() -> None:
    projects = [read(path)["project"] for path in PROJECTS]
    assert sorted(p["name"] for p in projects) == [
        "linerefine",
        "linerefine-etruscan-mirrors",
        "linerefine-retina-demo",
    ]
    assert len({p["version"] for p in projects}) == 1
    assert {p["requires-python"] for p in projects} == {">=3.11,<3.14"}
    assert {p["license"] for p in projects} == {"MIT"}


def test_plugins_ask_for_the_core_they_were_made_with() -> None:
    version = read(PROJECTS[0])["project"]["version"]
    for path in PROJECTS[1:]:
        (core,) = [
            Requirement(text)
            for text in read(path)["project"]["dependencies"]
            if canonicalize_name(Requirement(text).name) == "linerefine"
        ]
        assert core.specifier.contains(version)


def test_changelog_and_citation_know_the_version() -> None:
    version = read(PROJECTS[0])["project"]["version"]
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{version}]" in changelog


def test_the_citation_holds_what_its_format_demands() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["license"] == read(PROJECTS[0])["project"]["license"]
    works = [citation, *citation["references"]]
    for work in works:
        assert work["title"]
        for author in work["authors"]:  # an entity or a person
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert citation["message"]
    (paper,) = citation["references"]
    assert (paper["type"], paper["year"]) == ("conference-paper", 2024)


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_for_issues_ask_for_what_is_needed(form: Path) -> None:
    asked = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert set(asked) == {"name", "description", "labels", "body"}
    fields = [field["attributes"]["label"] for field in asked["body"]]
    assert len(fields) == len({field["id"] for field in asked["body"]})
    assert any(field.get("validations", {}).get("required") for field in asked["body"])
    # Commands that a form asks for exist.
    for command in re.findall(r"`linerefine ([a-z ]+?)(?: NAME)?`", " ".join(fields)):
        done = run_help(command.split())
        assert done.returncode == 0, done.stderr


def run_help(command: list[str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "linerefine", *command, "--help"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_pip_and_uv_are_given_the_same_pins() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "pin"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_pins_are_exact_and_name_no_address() -> None:
    for pin in pins():
        assert pin.url is None
        assert [s.operator for s in pin.specifier] == ["=="], str(pin)


@pytest.mark.parametrize("python", PYTHONS)
def test_each_package_has_one_pin_per_python(python: str) -> None:
    names = [canonicalize_name(p.name) for p in pins() if applies(p.marker, python)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_requirement_is_pinned_within_its_bounds(python: str) -> None:
    chosen = {canonicalize_name(p.name): p for p in pins() if applies(p.marker, python)}
    for wanted in direct_requirements():
        (pin,) = chosen[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(pin.version), f"{wanted} against {pin}"


def test_no_tracked_file_names_a_package_registry() -> None:
    # Spelt in pieces, so that this file is no exception.
    hosts = re.compile(
        r"\b(files\.)?(" + "|".join(["py" + "pi", "python" + "hosted"]) + r")\.(org|com|io)\b"
        r"|registry\.np" + r"mjs|download\.py" + r"torch"
    )
    found = [f"{path}: {m.group()}" for path, text in texts() if (m := hosts.search(text))]
    assert found == []


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    folders = "|".join(["work", "root", "farm", "Users"])
    here = "|".join(re.escape(str(place)) for place in (ROOT, Path.home()))
    place = re.compile(rf"(?<![\w.$}}/~])(?:(?:{here})\b|/(?:{folders})/\w)")
    found = [f"{path}: {m.group()}" for path, text in texts() if (m := place.search(text))]
    assert found == []


def test_no_tracked_file_is_large() -> None:
    # Trained networks may take ten megabytes each.
    most = {".safetensors": 10_000_000}
    big = [p for p in tracked() if p.is_file() and p.stat().st_size > most.get(p.suffix, 1_000_000)]
    assert big == []


@pytest.mark.slow
def test_the_wheel_of_the_mirrors_holds_the_networks_that_ship(tmp_path: Path) -> None:
    package = ROOT / "plugins" / "etruscan_mirrors"
    command = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(package)]
    subprocess.run(command, cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    trained = package / "linerefine_etruscan_mirrors" / "trained"
    ships = [path for path in trained.rglob("*") if path.is_file()]
    assert len(ships) == 7
    with zipfile.ZipFile(wheel) as archive:
        for path in ships:
            assert archive.read(str(path.relative_to(package))) == path.read_bytes()


def test_readme_gives_two_commands_and_ci_runs_the_second() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install uv && (.+)$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0] == "uv run linerefine run etruscan_mirrors"
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_readme_links_to_files_that_exist() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("plugins/*/README.md")]:
        shown = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", shown):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path}: {link}"
