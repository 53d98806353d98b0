"""The public face: exactly what `__all__` says, and quick."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import linerefine

TREE = ast.parse(Path(linerefine.__file__).read_text(encoding="utf-8"))


def typed_imports() -> dict[str, str]:
    """Return what type checkers see: name -> module, from the TYPE_CHECKING block."""
    (block,) = (node for node in TREE.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_all_equals_what_is_importable():
    public = {
        name
        for name in dir(linerefine)
        if not name.startswith("_")
        and not isinstance(getattr(linerefine, name), type(sys))
        and name not in {"annotations", "TYPE_CHECKING", "import_module"}
    }
    assert public == set(linerefine.__all__)


def test_all_is_sorted_and_without_repetition():
    assert sorted(set(linerefine.__all__)) == linerefine.__all__


@pytest.mark.parametrize("name", linerefine.__all__)
def test_every_name_is_what_type_checkers_see(name):
    home = import_module(typed_imports()[name])
    assert getattr(linerefine, name) is getattr(home, name)
    assert name in home.__all__


def test_type_checkers_see_nothing_else():
    assert set(typed_imports()) == set(linerefine.__all__)


def test_every_name_can_be_imported_from_the_package():
    names = ", ".join(linerefine.__all__)
    scope: dict[str, object] = {}
    exec(f"from linerefine import {names}", scope)
    assert set(linerefine.__all__) <= set(scope)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'linerefine' has no attribute 'Refinery'"):
        linerefine.Refinery  # noqa: B018


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert linerefine.__version__ == version("linerefine")


def test_torch_comes_in_only_with_what_needs_it():
    code = """
import sys, linerefine as lr
lr.ModalityLoader, lr.Entry, lr.ExperimentConfig, lr.Stroke, lr.Registry
assert "torch" not in sys.modules
lr.Refiner
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_alone_imports_nothing_of_weight():
    code = """
import sys, linerefine
assert not {"numpy", "pydantic", "pluggy"} & set(sys.modules), sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
