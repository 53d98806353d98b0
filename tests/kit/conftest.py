"""Plugins that are installed for one test, and commands as a user types them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from linerefine.cli import main
from linerefine.kit.names import distribution_of, package_of

FAKES = Path(__file__).parent.parent / "plugins"


def record_of(name: str, folder: Path) -> None:
    """Write beside a project what an installer leaves: that it is there, and its entry point."""
    record = folder / f"{package_of(name)}-0.1.0.dist-info"
    record.mkdir()
    lines = f"Metadata-Version: 2.1\nName: {distribution_of(name)}\nVersion: 0.1.0\n"
    (record / "METADATA").write_text(lines, encoding="utf-8")
    points = f"[linerefine]\n{name} = {package_of(name)}.plugin\n"
    (record / "entry_points.txt").write_text(points, encoding="utf-8")


@pytest.fixture
def on_path(monkeypatch):
    """Put folders on the path for one test, and forget what was imported from them."""
    before = set(sys.modules)
    yield lambda folder: monkeypatch.syspath_prepend(str(folder))
    for name in set(sys.modules) - before:
        if name.startswith("linerefine_"):
            del sys.modules[name]


@pytest.fixture
def install(on_path):
    """Install fake distributions for one test."""
    return lambda *names: [on_path(FAKES / name) for name in names]


@pytest.fixture
def cli(capfd, monkeypatch, tmp_path):
    """Run a command in an empty folder; return exit code, stdout, stderr."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)

    def run(*arguments: object) -> SimpleNamespace:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run
