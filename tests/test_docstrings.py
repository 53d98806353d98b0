"""Every public name is documented; overriding methods may inherit."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import linerefine
import linerefine_etruscan_mirrors
import linerefine_retina_demo

PACKAGES = [linerefine, linerefine_etruscan_mirrors, linerefine_retina_demo]
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


def undocumented(module: object, name: str) -> Iterator[str]:
    value = getattr(module, name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return
    if not (inspect.getdoc(value) or "").strip():
        yield name
    for attribute, member in vars(value).items() if inspect.isclass(value) else ():
        is_callable = inspect.isroutine(member) or isinstance(member, property)
        if attribute.startswith("_") or not is_callable:
            continue
        if not (inspect.getdoc(getattr(value, attribute)) or "").strip():
            yield f"{name}.{attribute}"


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), "the module says nothing about itself"
    public = getattr(module, "__all__", [])
    assert [m for entry in public for m in undocumented(module, entry)] == []


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_only_what_exists(name: str) -> None:
    module = importlib.import_module(name)
    assert [entry for entry in getattr(module, "__all__", []) if not hasattr(module, entry)] == []
