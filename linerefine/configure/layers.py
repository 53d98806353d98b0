"""Settings laid over one another, each remembering where it was set."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from linerefine.configure.files import plain
from linerefine.mistakes import Mistake, Where, did_you_mean, dotted, shown

__all__ = ["Assignment", "Layers", "parse_assignment", "parse_value"]


@dataclass(frozen=True)
class Assignment:
    """One ``--set KEY=VALUE``: the key's parts and the value."""

    path: tuple[str, ...]
    value: Any

    @property
    def names_component(self) -> bool:
        """Whether it says which component to use, so that its options come after."""
        return self.path[-1] == "name"


def parse_assignment(text: str) -> Assignment | Mistake:
    """Return what ``KEY=VALUE`` says, or what is wrong with it."""
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        return Mistake(("--set",), f"is {shown(text)}", "KEY=VALUE such as training.max_epochs=3")
    return Assignment(path, parse_value(value.strip()))


def parse_value(text: str) -> Any:  # noqa: ANN401 - whatever a user may type
    """Return a value as TOML or else JSON reads it; what is neither is plain text.

    ``None`` and ``null`` are none, ``True`` and ``False`` booleans; dates stay
    text, since no setting is a date.
    """
    words = {"None": None, "null": None, "True": True, "False": False}
    if text in words:
        return words[text]
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return _as_json(text) if text[:1] in {"[", "{"} else text
    value = parsed["value"]
    return text if len(parsed) > 1 or isinstance(value, (date, datetime, time)) else value


def _as_json(text: str) -> Any:  # noqa: ANN401 - whatever a user may type
    try:
        return json.loads(text)
    except ValueError:
        return text


class Layers:
    """Nested settings that later layers write over.

    Mappings merge, everything else replaces. A component that gets another
    name loses the options of the one before.

    Parameters
    ----------
    settings : mapping
        The lowest layer.
    origin : str
        Where it comes from, such as ``set by --seed``.
    """

    def __init__(self, settings: Mapping[str, Any], origin: str) -> None:
        self.settings: dict[str, Any] = plain(settings)
        self._origins: dict[Where, str] = {(): origin}

    def merge(self, settings: Mapping[str, Any], origin: str) -> None:
        """Lay nested settings over those there are."""
        self._merge(self.settings, plain(settings), (), origin)

    def put(self, path: Where, value: object, origin: str) -> None:
        """Lay one value over those there are; mappings on its way are made."""
        here: Any = self.settings
        for depth, step in enumerate(path[:-1]):
            if not isinstance(here[step] if _has(here, step) else None, (dict, list)):
                here[step] = {}
                self._mark(path[: depth + 1], origin)
            here = here[step]
        self._put(here, path, plain(value), origin)

    def assign(self, assignment: Assignment, origin: str) -> Mistake | None:
        """Carry out one ``--set``; return what is wrong with its path, if anything.

        Entries of a list are named by number or, components, by label or name.
        """
        here: Any = self.settings
        path: list[str | int] = []
        for step in assignment.path:
            key: str | int = step
            if isinstance(here, list):
                index = _index(here, step)
                if index is None:
                    return _no_entry(tuple(path), step, here)
                key = index
            path.append(key)
            here = here[key] if _has(here, key) else None
        self.put(tuple(path), assignment.value, origin)
        return None

    def origin(self, path: Where) -> str:
        """Return where a setting was set; of a table, where any part of it was."""
        below = [known for other, known in self._origins.items() if other[: len(path)] == path]
        if path not in self._origins and below:
            return ", ".join(dict.fromkeys(below))
        around = (path[:depth] for depth in range(len(path), -1, -1))
        return next(self._origins[place] for place in around if place in self._origins)

    def _merge(
        self, here: dict[str, Any], settings: Mapping[str, Any], path: Where, origin: str
    ) -> None:
        # The name first: it decides whether the options before still count.
        for key, value in sorted(settings.items(), key=lambda item: item[0] != "name"):
            below = (*path, key)
            if isinstance(value, dict) and isinstance(here.get(key), dict):
                self._merge(here[key], value, below, origin)
            else:
                self._put(here, below, value, origin)

    def _put(self, here: Any, path: Where, value: object, origin: str) -> None:  # noqa: ANN401
        if _is_component_name(path) and here.get("name") != value and "options" in here:
            here["options"] = {}
            self._mark((*path[:-1], "options"), origin)
        here[path[-1]] = value
        self._mark(path, origin)

    def _mark(self, path: Where, origin: str) -> None:
        """Remember where a setting came from and forget what stood below it."""
        depth = len(path)
        self._origins = {
            other: known for other, known in self._origins.items() if other[:depth] != path
        }
        self._origins[path] = origin


def _is_component_name(path: Where) -> bool:
    is_single = len(path) == 2 and path[0] in {"loader", "simulator"}
    is_listed = len(path) == 3 and path[0] in {"refiners", "metrics"}
    is_own = len(path) == 4 and path[0] == "refiners" and path[2] == "simulator"
    return (is_single or is_listed or is_own) and path[-1] == "name"


def _has(here: object, step: str | int) -> bool:
    if isinstance(here, list):
        return isinstance(step, int) and step < len(here)
    return isinstance(here, dict) and step in here


def _index(entries: Sequence[Any], step: str) -> int | None:
    """Return the entry that a number or a component's label or name stands for."""
    if step.isdecimal():
        return int(step) if int(step) < len(entries) else None
    for key in ("label", "name"):
        names = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
        if step in names:
            return names.index(step)
    return None


def _no_entry(path: Where, step: str, entries: Sequence[Any]) -> Mistake:
    parts = [entry for entry in entries if isinstance(entry, dict) and "name" in entry]
    names = [str(entry.get("label") or entry["name"]) for entry in parts]
    there = ", ".join(names) if names else f"{len(entries)} entries"
    return Mistake(
        path,
        f"has no entry {shown(step)}",
        hint=f"{did_you_mean(step, names)} {dotted(path)} holds {there}.".strip(),
    )
