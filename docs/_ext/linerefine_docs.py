"""Write the reference pages that follow from code: settings and command line.

At the start of a build this writes Markdown to ``docs/reference/generated/``,
which the hand-written pages include. Nothing there is tracked, so it cannot
fall behind the code.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from linerefine.config import PROTOCOLS, Component, ExperimentConfig
from linerefine.registry import Registry

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TABLE = "| key | type | default | what |\n| --- | --- | --- | --- |\n"


def type_name(annotation: Any) -> str:
    """Return a type as a reader would write it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "none"
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(argument) for argument in arguments)
    if origin is tuple:
        return "list of " + type_name(arguments[0])
    if origin is dict:
        return "table"
    return str(getattr(annotation, "__name__", annotation))


def bounds(field: FieldInfo) -> str:
    """Return the limits of a number in words."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "multiple_of": "multiple of"}
    found = [
        f"{sign} {value:g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if (value := getattr(limit, name, None)) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def default_text(field: FieldInfo) -> str:
    """Return a default as one writes it after ``--set key=``."""
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{getattr(part, 'name', part)}`" for part in value) or "empty"
    if value in ("", {}):
        return "empty"
    return f"`{getattr(value, 'name', value)}`".replace("|", "\\|")


def nested(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a group of settings or none, else None."""
    choices = [kind for kind in typing.get_args(field.annotation) if kind is not type(None)]
    is_optional = typing.get_origin(field.annotation) in (typing.Union, types.UnionType)
    annotation = choices[0] if is_optional and len(choices) == 1 else field.annotation
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model and not issubclass(annotation, Component) else None


def as_cell(text: str) -> str:
    """Return text as a cell of a table in Markdown, where `<` begins HTML."""
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


def rows(model: type[BaseModel], prefix: str = "", *, is_open: bool = False) -> Iterator[str]:
    """Yield one table row per setting, dotted keys for nested ones; without defaults if open."""
    for name, field in model.model_fields.items():
        group, key = nested(field), prefix + name
        if group is not None and group is field.annotation:
            yield from rows(group, f"{key}.", is_open=is_open)
            continue
        what = as_cell(field.description or "")
        kind = type_name(field.annotation) + bounds(field)
        yield f"| `{key}` | {kind} | {'' if is_open else default_text(field)} | {what} |"
        if group is not None:  # whatever stands for none, these settings' own defaults do not
            yield from rows(group, f"{key}.", is_open=True)


def configuration_page() -> str:
    """Return the settings of the core, a table per group."""
    parts, single = [], []
    for name, field in ExperimentConfig.model_fields.items():
        group = nested(field)
        if group is None:
            single.append(name)
            continue
        summary = (group.__doc__ or "").strip().splitlines()[0]
        parts.append(f"## {name}\n\n{summary}\n\n{TABLE}" + "\n".join(rows(group, f"{name}.")))
    top = [row for row in rows(ExperimentConfig) if row.split("`")[1] in single]
    return f"## Top level\n\n{TABLE}" + "\n".join(top) + "\n\n" + "\n\n".join(parts) + "\n"


def components_page(registry: Registry) -> str:
    """Return the options of every registered component, by kind."""
    parts = []
    for kind in ("loaders", "simulators", "refiners", "metrics"):
        parts.append(f"## {kind.capitalize()}\n")
        for entry in getattr(registry, kind)().values():
            parts.append(f"### {entry.name}\n\n{entry.summary}\n")
            lines = list(rows(entry.options))
            parts.append(TABLE + "\n".join(lines) + "\n" if lines else "No options.\n")
    return "\n".join(parts)


def flattened(overrides: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values of nested overrides."""
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def overrides_table(kind: str, named: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what each of some named overrides sets."""
    lines = [f"| {kind} | key | value |", "| --- | --- | --- |"]
    for name, overrides in named.items():
        pinned = list(flattened(overrides))
        lines += [f"| `{name}` | `{key}` | `{value}` |" for key, value in pinned]
        if not pinned:
            lines.append(f"| `{name}` | *nothing* | |")
    return "\n".join(lines) + "\n"


def experiments_page(registry: Registry) -> str:
    """Return each experiment's components, profiles and protocols."""
    parts = []
    for experiment in registry.experiments().values():
        defaults = experiment.defaults
        names = ", ".join(f"`{part.name}`" for part in defaults.refiners)
        parts.append(f"## {experiment.name}\n\n{experiment.summary}\n")
        parts.append(
            f"Loader `{defaults.loader.name}`, simulator `{defaults.simulator.name}`, "
            f"refiners {names}.\n"
        )
        for kind, named in (("profile", experiment.profiles), ("protocol", experiment.protocols)):
            if named:
                parts.append(overrides_table(kind, named))
    return "\n".join(parts)


def studies_page(registry: Registry) -> str:
    """Return every study, what it reproduces, and the variants it compares."""
    lines = ["| study | what | source | variants |", "| --- | --- | --- | --- |"]
    for study in registry.studies().values():
        variants = ", ".join(variant.label for variant in study.variants) or "the experiment's own"
        lines.append(f"| `{study.name}` | {study.summary} | {study.source} | {variants} |")
    return "\n".join(lines) + "\n"


def option_row(parameter: Any) -> str:
    """Return one table row for an argument or option."""
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar}`"
    elif parameter.metavar:
        names += f" `{parameter.metavar}`".replace("|", "\\|")
    return f"| {names} | {as_cell(parameter.help or '')} |"


def command_parts(command: Any, path: str) -> Iterator[str]:
    """Yield the sections of a command and of its subcommands, as typer built them."""
    is_group = hasattr(command, "commands")
    if not is_group or command.invoke_without_command:
        usage = " ".join(command.collect_usage_pieces(typer.Context(command, info_name=path)))
        yield f"## {path}\n\n```text\n{path} {usage}\n```\n\n{(command.help or '').strip()}\n"
        if command.params:
            rows = "\n".join(map(option_row, command.params))
            yield f"| option | what |\n| --- | --- |\n{rows}\n"
    for name, child in getattr(command, "commands", {}).items():
        yield from command_parts(child, f"{path} {name}")


def cli_page() -> str:
    """Return usage and options of every command."""
    from linerefine.cli import app

    return "\n".join(command_parts(typer.main.get_command(app), "linerefine"))


def generate(app: Sphinx) -> None:
    """Write the pages; leave files alone that would not change."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    registry = Registry.discover()
    pages = {
        "configuration.md": configuration_page(),
        "components.md": components_page(registry),
        "experiments.md": experiments_page(registry),
        "protocols.md": overrides_table("protocol", PROTOCOLS),
        "studies.md": studies_page(registry),
        "cli.md": cli_page(),
    }
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
