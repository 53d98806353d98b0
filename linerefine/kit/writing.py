"""A plugin project to begin with: complete, tested, and it runs at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linerefine.cache import atomic_folder
from linerefine.errors import ConfigError
from linerefine.kit.names import distribution_of, name_mistakes, package_of
from linerefine.mistakes import did_you_mean
from linerefine.registry import Registry

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["OFFERS", "Project", "core_requirement", "write_plugin"]

OFFERS = ("loader", "experiment", "simulator", "refiner", "metric")
"""What a new plugin may offer."""

LINE = 88
"""Longest line of what is written: that of ruff without settings."""


@dataclass(frozen=True)
class Project:
    """A plugin project that was written.

    Parameters
    ----------
    name : str
        What it offers is registered under this name.
    folder : Path
        Where it is.
    files : tuple of str
        What was written, relative to it, sorted.
    offers : tuple of str
        Of `OFFERS`.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    offers: tuple[str, ...]


def write_plugin(
    name: str,
    registry: Registry,
    *,
    output: Path | None = None,
    offers: Sequence[str] = ("loader", "experiment"),
) -> Project:
    """Write a plugin project into a new folder, whole or not at all.

    Parameters
    ----------
    name : str
        snake_case; not taken by Python, an installed distribution or plugin.
    registry : Registry
        What is installed.
    output : Path or None
        The folder; None: named after the distribution, in the current one.
    offers : sequence of str
        Of `OFFERS`. An experiment runs on the plugin's own loader.

    Raises
    ------
    ConfigError
        Lists everything that is wrong; nothing is written then.
    DataError
        If the folder cannot be written.
    """
    folder = (Path(distribution_of(name)) if output is None else output.expanduser()).absolute()
    mistakes = [*name_mistakes(name, registry), *_wrong_offers(offers), *_in_the_way(folder)]
    if mistakes:
        listed = "".join(f"\n  {mistake}" for mistake in mistakes)
        raise ConfigError(
            mistakes[0] if len(mistakes) == 1 else f"{len(mistakes)} mistakes:{listed}"
        )
    kinds = tuple(kind for kind in OFFERS if kind in offers)
    texts = _rendered(name, kinds)
    with atomic_folder(folder) as temporary:
        for place, text in texts.items():
            path = temporary / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return Project(name, folder, tuple(sorted(texts)), kinds)


def core_requirement(version: str) -> str:
    """Return which versions of linerefine a plugin asks for that is made with one of them.

    Examples
    --------
    >>> core_requirement("0.1.0"), core_requirement("2.3.1"), core_requirement("0.4.0.dev1")
    ('linerefine>=0.1,<0.2', 'linerefine>=2.3,<3', 'linerefine>=0.4.0.dev1,<0.5')
    """
    major, minor = version.split(".")[:2]
    least = f"{major}.{minor}" if re.fullmatch(r"[\d.]+", version) else version
    # Before 1.0 a minor release may change interfaces.
    below = f"0.{int(minor) + 1}" if major == "0" else str(int(major) + 1)
    return f"linerefine>={least},<{below}"


def _wrong_offers(offers: Sequence[str]) -> Iterator[str]:
    for offer in offers:
        if offer not in OFFERS:
            hint = did_you_mean(offer, OFFERS) or f"Available: {', '.join(OFFERS)}."
            yield f"--with names '{offer}', which a plugin cannot offer. {hint}"
    if not offers:
        yield f"--with is empty, expected one or more of {', '.join(OFFERS)}."
    if "experiment" in offers and "loader" not in offers:
        yield "--with has an experiment and no loader to run it on. Add loader."


def _in_the_way(folder: Path) -> Iterator[str]:
    if folder.is_dir() and any(folder.iterdir()):
        yield f"{folder} holds files already. Name another folder with --output."
    elif folder.exists() and not folder.is_dir():
        yield f"{folder} is a file. Name a folder with --output."


def _rendered(name: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """Return the text of every file, by its place in the project."""
    from jinja2 import Environment, StrictUndefined  # only where a project is written

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    values = _values(name, kinds)
    texts = {}
    for place, template in _templates(name, kinds).items():
        texts[place] = _render(environment, template, values)
    return texts


def _render(environment: Environment, template: str, values: dict[str, Any]) -> str:
    source = files("linerefine.kit") / "templates" / f"{template}.jinja"
    text = environment.from_string(source.read_text(encoding="utf-8")).render(values)
    return re.sub(r"\n{4,}", "\n\n\n", text)


def _templates(name: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """Return the template of every file, by its place in the project."""
    modules = ["__init__.py", "plugin.py", "py.typed"]
    modules += ["options.py"] if set(kinds) != {"metric"} else []
    modules += ["loader.py", "sample.py"] if "loader" in kinds else []
    modules += [f"{kind}.py" for kind in ("simulator", "refiner", "metric") if kind in kinds]
    return {
        ".gitignore": "gitignore",
        "README.md": "README.md",
        "pyproject.toml": "pyproject.toml",
        **{f"{package_of(name)}/{module}": f"package/{module}" for module in modules},
        "tests/test_contract.py": "tests/test_contract.py",
    }


def _values(name: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return what the templates speak of."""
    package, stem = package_of(name), _class(name)
    options = [
        f"{kind.capitalize()}Options" for kind in kinds if kind not in {"experiment", "metric"}
    ]
    core = metadata.metadata("linerefine")
    classes = {"loader": stem} | {kind: f"{stem}{kind.capitalize()}" for kind in OFFERS[2:]}
    tested = sorted(kind for kind in classes if kind in kinds)
    return {
        "name": name,
        "title": name.replace("_", " "),
        "class": stem,
        "distribution": distribution_of(name),
        "package": package,
        "kinds": kinds,
        "core": core_requirement(core["Version"]),
        "python": ",".join(sorted(core["Requires-Python"].split(","), reverse=True)),
        "has_options": bool(options),
        "imported_options": (["DEFAULTS", "PROFILES"] if "experiment" in kinds else [])
        + sorted(options),
        "checks": [f"check_{kind}" for kind in tested],
        "imported_tests": [
            *((f".{kind}", [classes[kind]]) for kind in tested if kind < "options"),
            *([(".options", sorted(options))] if options else []),
            *((f".{kind}", [classes[kind]]) for kind in tested if kind > "options"),
        ],
        "imports": _importer(package),
    }


def _importer(package: str) -> Callable[..., str]:
    """Return a function for templates that writes an import as ruff formats it."""

    def imports(module: str, names: Sequence[str], indent: int = 0) -> str:
        place = f"{package}{module}" if module.startswith(".") else module
        line = f"from {place} import {', '.join(names)}"
        if indent + len(line) <= LINE:
            return line
        inner = "".join(f"{' ' * (indent + 4)}{name},\n" for name in names)
        return f"from {place} import (\n{inner}{' ' * indent})"

    return imports


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
