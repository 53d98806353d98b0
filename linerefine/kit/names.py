"""May a new plugin be called that? Everything that speaks against it, at once."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib import metadata, util

from linerefine.discovery import HOOKS, KINDS, folded
from linerefine.registry import Registry

__all__ = ["LONGEST", "distribution_of", "name_mistakes", "package_of"]

LONGEST = 40
"""Characters of a name."""

_PREFIX = "linerefine"


def distribution_of(name: str) -> str:
    """Return what the distribution of a plugin is called, such as ``linerefine-leaf-veins``."""
    return f"{_PREFIX}-{name.replace('_', '-')}"


def package_of(name: str) -> str:
    """Return what the import package of a plugin is called, such as ``linerefine_leaf_veins``."""
    return f"{_PREFIX}_{name}"


def name_mistakes(name: str, registry: Registry) -> list[str]:
    """Return every reason why a new plugin cannot have a name; empty if it can.

    Parameters
    ----------
    name : str
        What the user typed.
    registry : Registry
        Knows which names are taken.
    """
    return [*_spelling(name), *_taken_by_python(name), *_taken_by_plugins(name, registry)]


def _spelling(name: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        near = _snake_case(name)
        hint = f" Did you mean '{near}'?" if near else ""
        yield f"NAME is '{name}', expected snake_case such as leaf_veins.{hint}"
    if len(name) > LONGEST:
        yield f"NAME has {len(name)} characters, expected at most {LONGEST}."
    if folded(name).startswith(f"{_PREFIX}-"):
        short = _snake_case(name)[len(_PREFIX) + 1 :]
        hint = f" Did you mean '{short}'?" if short else ""
        yield f"NAME is '{name}', expected it without '{_PREFIX}', which is put before it.{hint}"


def _snake_case(name: str) -> str:
    """Return the nearest name that is spelt well; empty if nothing is left."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_0123456789")


def _taken_by_python(name: str) -> Iterator[str]:
    if keyword.iskeyword(name):
        yield f"NAME is '{name}', which is a keyword of Python."
    elif name in sys.stdlib_module_names:
        yield f"NAME is '{name}', which is a module of Python's own."
    for distribution in (name, distribution_of(name)):
        try:
            version = metadata.version(distribution)
        except (metadata.PackageNotFoundError, ValueError):  # the latter for an empty name
            continue
        yield f"NAME is '{name}', but {folded(distribution)} {version} is installed."
        return
    package = package_of(name)
    if package.isidentifier() and util.find_spec(package) is not None:
        yield f"NAME is '{name}', but there is a package {package} already."


def _taken_by_plugins(name: str, registry: Registry) -> Iterator[str]:
    kinds = {HOOKS[kind].removeprefix("linerefine_"): kind for kind in KINDS}
    for info in registry.describe():
        source = f"{info.distribution} {info.version}".rstrip()
        taken = [kinds[group] for group, names in info.provides.items() if name in names]
        if taken:
            yield f"NAME is '{name}', but {source} has it already ({', '.join(taken)})."
        elif folded(info.name) == folded(name) != _PREFIX:
            yield f"NAME is '{name}', but {source} has a plugin of that name."
