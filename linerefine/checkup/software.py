"""Versions of packages, and the plugins."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Sequence
from importlib import metadata

from linerefine.checkup.findings import Finding, State
from linerefine.hooks import PROJECT
from linerefine.machine import install_command
from linerefine.registry import PluginInfo, Registry

__all__ = ["plugins", "versions"]

VERSIONS, PLUGINS = "versions", "plugins"

_REQUIREMENT = re.compile(r"([\w.-]+)(?:.*extra == ['\"]([\w-]+)['\"])?")


def versions(distribution: str = "linerefine") -> Iterator[Finding]:
    """Yield Python, linerefine, and every package that it or one of its extras needs."""
    yield Finding(VERSIONS, "python", platform.python_version())
    yield Finding(VERSIONS, distribution, metadata.version(distribution))
    seen = set()
    for requirement in metadata.requires(distribution) or ():
        match = _REQUIREMENT.match(requirement)
        if match is None or match[1] in seen:
            continue
        name, extra = match.groups()
        seen.add(name)
        whole = distribution if extra is None else f"{distribution}[{extra}]"
        try:
            yield Finding(VERSIONS, name, metadata.version(name))
        except metadata.PackageNotFoundError:
            says = "not installed" if extra is None else f"not installed; comes with [{extra}]"
            state: State = "broken" if extra is None else "absent"
            yield Finding(VERSIONS, name, says, state, install_command(f"'{whole}'"))


def plugins(registry: Registry) -> Iterator[Finding]:
    """Yield every plugin with what it provides, or why it cannot be used."""
    for info in registry.describe():
        if info.problem:
            yield Finding(PLUGINS, info.name, info.problem, "broken", _remedy(info))
        elif info.provides:
            parts = [_counted(kind, names) for kind, names in info.provides.items()]
            yield Finding(PLUGINS, info.name, f"{info.version}: {', '.join(parts)}")
        else:
            says = f"{info.version}: provides nothing"
            yield Finding(
                PLUGINS, info.name, says, "absent", f"linerefine plugins check {info.name}"
            )


def _remedy(info: PluginInfo) -> str:
    """Return how to do without a broken plugin; of two in conflict the core stays."""
    if info.distribution == PROJECT:
        return ""
    return f"pip uninstall {info.distribution}, or --block {info.name} in each command"


def _counted(kind: str, names: Sequence[str]) -> str:
    """Return how many of a kind there are, in words."""
    if len(names) == 1:
        kind = kind.removesuffix("ies") + "y" if kind.endswith("ies") else kind.removesuffix("s")
    return f"{len(names)} {kind}"
