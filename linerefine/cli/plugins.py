"""The registry as every command starts with it."""

from __future__ import annotations

from collections.abc import Collection

from linerefine.cli.output import complain
from linerefine.registry import Registry

__all__ = ["usable_registry"]


def usable_registry(blocked: Collection[str]) -> Registry:
    """Return what is installed; warn of broken plugins, refuse conflicts.

    Raises
    ------
    ConflictError
        If two plugins provide one name.
    UnknownNameError
        If a blocked plugin is not installed.
    """
    registry = Registry.discover(blocked)
    for problem in registry.problems:
        complain(f"warning: {problem}")
    registry.check()
    return registry
