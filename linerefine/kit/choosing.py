"""What a name stands for among all that is installed, and which options are meant for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linerefine.configure.layers import Assignment, parse_assignment
from linerefine.discovery import HOOKS, KINDS, Kind, folded
from linerefine.errors import ConfigError, PluginError, UnknownNameError
from linerefine.mistakes import Mistake, did_you_mean
from linerefine.registry import PluginInfo, Registry

__all__ = ["Choice", "choose", "fitting", "parse_options"]


@dataclass(frozen=True)
class Choice:
    """What is to be checked.

    Parameters
    ----------
    plugins : tuple of PluginInfo
        Those of this name; empty if it is the name of a component.
    offers : tuple of (str, str)
        Kind and name of everything that is offered, sorted by kind.
    """

    plugins: tuple[PluginInfo, ...]
    offers: tuple[tuple[Kind, str], ...]


def choose(registry: Registry, name: str) -> Choice:
    """Return the plugin of a name and all it offers, else every component of that name.

    Parameters
    ----------
    registry : Registry
        What is installed.
    name : str
        Of an entry point, of a distribution (``-`` and ``_`` are alike), or of
        anything registered.

    Raises
    ------
    UnknownNameError
        If nothing is called that.
    """
    infos = registry.describe()
    meant = tuple(i for i in infos if folded(name) in {folded(i.name), folded(i.distribution)})
    found = {pair for info in meant for pair in _offers(info)}
    if not meant:
        found = {pair for info in infos for pair in _offers(info) if pair[1] == name}
    if not meant and not found:
        known = {info.name for info in infos} | {n for info in infos for _, n in _offers(info)}
        near = did_you_mean(name, known)
        plugins = f"Installed plugins: {', '.join(info.name for info in infos)}."
        broken = [info.name for info in infos if info.problem and not info.provides]
        why = f"Cannot be loaded: {', '.join(broken)}; linerefine plugins says why."
        msg = f"no plugin or component named '{name}'."
        raise UnknownNameError(" ".join(filter(None, [msg, near, plugins, why if broken else ""])))
    return Choice(meant, tuple(sorted(found, key=lambda pair: (KINDS.index(pair[0]), pair[1]))))


def parse_options(texts: Sequence[str]) -> dict[str, Assignment]:
    """Return what ``--options K=V`` says, by its text.

    Raises
    ------
    ConfigError
        If one is not ``K=V``.
    """
    parsed = {text: parse_assignment(text) for text in texts}
    for text, item in parsed.items():
        if isinstance(item, Mistake):
            msg = f"--options is '{text}', expected K=V such as root=DIR."
            raise ConfigError(msg)
    return {text: item for text, item in parsed.items() if isinstance(item, Assignment)}


def fitting(
    registry: Registry, choice: Choice, given: Mapping[str, Assignment]
) -> dict[tuple[Kind, str], dict[str, Any]]:
    """Return the options that each offered component gets: those its model knows.

    Raises
    ------
    ConfigError
        If an option is known to none of them.
    """
    models = {pair: _fields(registry, *pair) for pair in choice.offers if pair[0] != "study"}
    known = {field for fields in models.values() for field in fields}
    for text, item in given.items():
        if item.path[0] not in known:
            hint = did_you_mean(item.path[0], known) or _available(known)
            msg = f"--options {text}: no component that is checked has '{item.path[0]}'. {hint}"
            raise ConfigError(msg)
    return {
        pair: _nested([item for item in given.values() if item.path[0] in fields])
        for pair, fields in models.items()
    }


def _fields(registry: Registry, kind: Kind, name: str) -> Collection[str]:
    """Return the options a component has; of an experiment, those of its loader."""
    try:
        if kind == "experiment":
            return _fields(registry, "loader", registry.experiment(name).defaults.loader.name)
        return registry.entry(kind, name).options.model_fields
    except PluginError:  # offered twice or unknown, which is found later
        return ()


def _offers(info: PluginInfo) -> list[tuple[Kind, str]]:
    kinds = {HOOKS[kind].removeprefix("linerefine_"): kind for kind in KINDS}
    return [(kinds[group], name) for group, names in info.provides.items() for name in names]


def _available(names: set[str]) -> str:
    return f"Available: {', '.join(sorted(names))}." if names else "They take no options."


def _nested(items: Sequence[Assignment]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for item in items:
        here = result
        for step in item.path[:-1]:
            inner = here.setdefault(step, {})
            here = inner if isinstance(inner, dict) else here
        here[item.path[-1]] = item.value
    return result
