"""The reference says what there is: functions, hooks, settings, commands, and nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from pydantic import BaseModel

import linerefine
from linerefine import hooks
from linerefine.cli import app
from linerefine.config import ExperimentConfig, Options
from linerefine.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import linerefine_docs  # noqa: E402

PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not {"_build", "generated"} & {*path.parts}]
API = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
HOOKS = (DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")


def directives(kind: str, text: str = API + HOOKS) -> list[str]:
    return re.findall(rf"^\.\. (?:{kind}):: (\S+)", text, re.MULTILINE)


MODULES = directives("automodule")


def shown() -> set[str]:
    """Return every name that the reference describes, with its module."""
    single = directives("autoclass|autofunction|autodata|py:data")
    names = set(single)
    for module in MODULES:
        names |= {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    return names


def homes() -> dict[str, str]:
    """Return the full name of every name of the façade."""
    tree = ast.parse(Path(linerefine.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("name", linerefine.__all__)
def test_the_facade_is_described(name: str) -> None:
    value = getattr(linerefine, name)
    assert {homes()[name], f"{getattr(value, '__module__', '')}.{name}"} & shown()


@pytest.mark.parametrize("module", MODULES)
def test_what_a_described_module_offers_has_words(module: str) -> None:
    # autodoc leaves out what has none: a docstring, a string below a constant, or a block.
    there = importlib.import_module(module)
    for name in there.__all__:
        value = getattr(there, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), name
        else:
            assert f"py:data:: {module}.{name}" in API or has_words(
                constant_home(there, name), name
            ), name


def constant_home(module: ModuleType, name: str) -> str:
    """Return the module in which a constant is written down."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return str(node.module)
    return module.__name__


def has_words(module: str, name: str) -> bool:
    """Return whether a string follows the assignment of a constant."""
    body = ast.parse(inspect.getsource(importlib.import_module(module))).body
    return any(
        ast.unparse(getattr(node, "target", None) or getattr(node, "targets", [node])[0]) == name
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        for node, after in pairwise(body)
        if isinstance(node, ast.Assign | ast.AnnAssign)
    )


def test_every_hook_is_described_and_no_other() -> None:
    there = {name for name, value in vars(hooks).items() if hasattr(value, "linerefine_spec")}
    assert there  # pluggy's mark is still called that
    assert set(directives("autofunction", HOOKS)) == {f"linerefine.hooks.{n}" for n in there}


def test_the_pages_say_how_many_hooks_there_are() -> None:
    words = {5: "five", 6: "six", 7: "seven", 8: "eight"}
    number = len(directives("autofunction", HOOKS))
    assert f"some of {words[number]} hooks" in HOOKS


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and not _is_component(kind):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _is_component(kind: type) -> bool:
    return issubclass(kind, linerefine.Component)


def rows(page: str) -> dict[str, str]:
    """Return the first cell of each row of a page's tables, without marks, and the row."""
    return {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}


def test_every_setting_stands_in_the_configuration() -> None:
    found = rows(linerefine_docs.configuration_page())
    assert set(leaves(ExperimentConfig)) <= set(found)


@pytest.mark.parametrize("key", ["training.max_epochs", "evaluation.budget"])
def test_a_setting_says_default_and_meaning(key: str) -> None:
    group, name = key.split(".")
    field = ExperimentConfig.model_fields[group].annotation.model_fields[name]  # type: ignore[union-attr]
    row = rows(linerefine_docs.configuration_page())[key]
    assert f"`{field.default}`" in row
    assert str(field.description) in row


def test_every_setting_of_the_core_is_described() -> None:
    pages = list(linerefine_docs.rows(ExperimentConfig))
    assert [row for row in pages if not row.split("|")[-2].strip()] == []


def test_every_component_and_its_options_stand_among_the_components() -> None:
    page = linerefine_docs.components_page(Registry.discover())
    for kind in ("loaders", "simulators", "refiners", "metrics"):
        for entry in getattr(Registry.discover(), kind)().values():
            section = page.split(f"### {entry.name}\n")[1].split("\n### ")[0]
            assert entry.summary in section
            assert set(leaves(entry.options or Options)) <= set(rows(section))


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands") or command.invoke_without_command:
        yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app), "linerefine"))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_stands_on_its_page(path: str) -> None:
    page = linerefine_docs.cli_page()
    section = page.split(f"## {path}\n")[1].split("\n## ")[0]
    for parameter in COMMANDS[path].params:
        for name in parameter.opts if parameter.param_type_name == "option" else []:
            assert f"`{name}`" in section


SHELL = re.compile(r"^```(?:sh|console|\{run\})\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_angle_brackets_of_help_are_shown() -> None:
    words = linerefine_docs.cli_page() + linerefine_docs.configuration_page()
    plain = re.sub(r"(`+).*?\1", "", words, flags=re.DOTALL)  # code may hold anything
    assert r"runs/\<time>-\<experiment>" in plain
    assert not re.findall(r"(?<!\\)<\w+>", plain)


PROGRAMS = {"cat", "cp", "linerefine", "ls", "mkdir", "mv", "python", "rm", "uv"}
"""What a reader has who did as the first tutorial says."""


def test_tutorials_type_only_programs_that_a_reader_has() -> None:
    for page in sorted((DOCS / "tutorial").glob("*.md")):
        had = set(PROGRAMS)
        for kind, body in re.findall(
            r"^```(\{run\}|sh)\n(.*?)^```",
            page.read_text(encoding="utf-8"),
            re.DOTALL | re.MULTILINE,
        ):
            had |= set(re.findall(r"uv pip install (\w+)", body))
            for line in re.sub(r'"\n.*?"', "", body, flags=re.DOTALL).splitlines():
                is_command = re.match(r"[a-z]\w*(?= )", line)
                if kind == "{run}" and is_command:
                    assert is_command[0] in had, f"{page.name}: {line}"


def test_pages_name_only_commands_and_options_that_exist() -> None:
    wrong = []
    for page in [*PAGES, ROOT / "README.md"]:
        for block in SHELL.findall(page.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            typed = [line.split("linerefine ", 1)[1] for line in lines if "linerefine " in line]
            wrong += [f"{page.name}: {said}" for line in typed for said in misused(line)]
    assert wrong == []


def misused(typed: str) -> Iterator[str]:
    """Yield what is wrong about a command, typed after `linerefine`."""
    words = ["linerefine", *re.split(r"[|;#&]", typed)[0].split()]
    paths = [path for path in COMMANDS if words[: len(path.split())] == path.split()]
    if not paths:
        if words[1] not in {"--help", "--version"}:
            yield f"no command {' '.join(words[:3])}"
        return
    known = {"--help"}.union(*(p.opts for p in COMMANDS[max(paths, key=len)].params))
    for word in words:
        if re.fullmatch(r"--[a-z-]+(=.*)?", word) and word.split("=")[0] not in known:
            yield f"{words[1]} has no {word}"


SETTINGS = set(leaves(ExperimentConfig))
OPEN = ("loader.options.", "simulator.options.", "refiners.", "segmenter.network.")


def test_pages_set_only_settings_that_exist() -> None:
    allowed = {*SETTINGS, "simulator.name", "key"}
    typed = [
        (page.name, key)
        for page in [*PAGES, ROOT / "README.md"]
        for key in re.findall(r"--set ([a-z_0-9.]+)=", page.read_text(encoding="utf-8"))
    ]
    assert typed
    assert [use for use in typed if use[1] not in allowed and not use[1].startswith(OPEN)] == []


def test_every_picture_has_words_for_those_who_cannot_see_it() -> None:
    bare = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        bare += [f"{page.name}: {found}" for found in re.findall(r"!\[\s*\]\(.*?\)", text)]
        for block in re.findall(r"```\{(?:figure|image|made)\}(.*?)```", text, re.DOTALL):
            if not re.search(r"^:alt: \S+", block, re.MULTILINE):
                bare.append(f"{page.name}: {block.split()[0]}")
    assert bare == []
