"""``linerefine plugins`` and ``linerefine config show``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from linerefine.cli.output import complain, print_json, say
from linerefine.cli.plugins import usable_registry
from linerefine.registry import PluginInfo, Registry

__all__ = ["columns", "config_command", "plugins_command"]


def plugins_command(*, as_json: bool, blocked: Collection[str]) -> None:
    """Print what is installed; problems and conflicts are listed, not raised."""
    registry = Registry.discover(blocked)
    infos = registry.describe()
    if as_json:
        print_json({"plugins": [_record(info) for info in infos], "provides": _summaries(registry)})
        return
    rows = [("name", "version", "provides")]
    rows += [(info.name, info.version, _provides(info)) for info in infos]
    say(columns(rows))
    for kind, summaries in _summaries(registry).items():
        lines = columns(list(summaries.items()), indent="  ") if summaries else "  none"
        say(f"\n{kind}\n{lines}")
    for problem in dict.fromkeys(info.problem for info in infos if info.problem):
        complain(f"warning: {problem}")


def config_command(
    experiment: str, options: Mapping[str, Any], *, blocked: Collection[str]
) -> None:
    """Print the resolved configuration."""
    registry = usable_registry(blocked)
    from linerefine.configure import dump_config, resolve

    config = resolve(registry, experiment, **options)
    say(f"# {experiment}, profile {config.profile or 'none'}, protocol {config.protocol}")
    say(dump_config(config).rstrip())


def _record(info: PluginInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "provides": {kind: list(names) for kind, names in info.provides.items()},
        "problem": info.problem,
    }


def _summaries(registry: Registry) -> dict[str, dict[str, str]]:
    """Return every usable name and its summary by kind."""
    groups: dict[str, Mapping[str, Any]] = {
        "experiments": registry.experiments(),
        "studies": registry.studies(),
        "loaders": registry.loaders(),
        "simulators": registry.simulators(),
        "refiners": registry.refiners(),
        "metrics": registry.metrics(),
    }
    return {
        kind: {name: items[name].summary for name in sorted(items)}
        for kind, items in groups.items()
    }


def _provides(info: PluginInfo) -> str:
    parts = [f"{kind}: {', '.join(names)}" for kind, names in info.provides.items()]
    if info.problem:
        parts.append("(cannot be used)" if not parts else "(in conflict)")
    return " · ".join(parts) or "(nothing)"


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Return rows as aligned columns; the last one is as long as it is."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = [
        indent + "  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows
    ]
    return "\n".join(lines)
