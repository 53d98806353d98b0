"""What is wrong with a setting, in words: where, what came, what was expected.

Pydantic finds the mistakes; this module says them the way a person reads them
and adds the spelling that was probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from pydantic import BaseModel

from linerefine.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = [
    "Mistake",
    "Where",
    "did_you_mean",
    "dotted",
    "mistakes_in",
    "refusal",
    "shown",
]

Where: TypeAlias = tuple[str | int, ...]
"""Path of a setting, such as ``("refiners", 0, "options", "network")``."""

_BOUNDS = {
    "greater_than": ("gt", "> {}"),
    "greater_than_equal": ("ge", ">= {}"),
    "less_than": ("lt", "< {}"),
    "less_than_equal": ("le", "<= {}"),
    "multiple_of": ("multiple_of", "a multiple of {}"),
    "too_short": ("min_length", "a list of length >= {}"),
    "too_long": ("max_length", "a list of length <= {}"),
    "string_too_short": ("min_length", "text of length >= {}"),
    "string_too_long": ("max_length", "text of length <= {}"),
}

_KINDS = {
    "bool": "true or false",
    "dataclass": "a table",
    "dict": "a table",
    "float": "a number",
    "frozen": "a list",
    "int": "a whole number",
    "list": "a list",
    "model": "a table",
    "path": "a path",
    "set": "a list",
    "string": "text",
    "tuple": "a list",
}


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    Parameters
    ----------
    where : tuple of str and int
        Path of the setting.
    came : str
        What came, as a predicate: ``is -0.001``, ``is missing``; or, after a
        colon, what does not fit together.
    expected : str
        What was expected; empty if there is no more to say.
    hint : str
        A second sentence: remedy or choices; empty if there is none.
    """

    where: Where
    came: str
    expected: str = ""
    hint: str = ""

    def line(self, origin: str = "") -> str:
        """Return the mistake as one line; ``origin`` says where the value was set."""
        gap = "" if self.came.startswith(":") else " "
        text = f"{dotted(self.where)}{gap}{self.came}"
        text += f", expected {self.expected}" if self.expected else ""
        text += f" ({origin})." if origin else "."
        return f"{text} {self.hint}".rstrip()


def dotted(where: Iterable[str | int]) -> str:
    """Return a path as a user types it, such as ``refiners.0.options``."""
    return ".".join(map(str, where))


def shown(value: object) -> str:
    """Return a value as it is shown in a message: text in single quotes, at most 60 characters."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def did_you_mean(name: str, choices: Collection[str]) -> str:
    """Return ``Did you mean 'unet'?`` for the nearest choice; empty if none is near."""
    by_fold = {choice.casefold().replace("-", "_"): choice for choice in choices}
    near = difflib.get_close_matches(name.casefold().replace("-", "_"), by_fold, n=1)
    return f"Did you mean '{by_fold[near[0]]}'?" if near else ""


def refusal(lines: Sequence[str]) -> ConfigError:
    """Return the error that reports some mistakes, all at once."""
    if len(lines) == 1:
        return ConfigError(lines[0])
    listed = "".join(f"\n  {line}" for line in lines)
    return ConfigError(f"{len(lines)} mistakes in the configuration:{listed}")


def mistakes_in(
    error: ValidationError, model: type[BaseModel], data: object, where: Where = ()
) -> list[Mistake]:
    """Return pydantic's findings as mistakes, one per setting.

    Parameters
    ----------
    error : ValidationError
        Raised by ``model.model_validate(data)``.
    model : type of BaseModel
        Knows which settings there are.
    data : object
        What was validated.
    where : tuple of str and int
        Path of ``data`` itself.
    """
    details = error.errors(include_url=False)
    found: dict[Where, Mistake] = {}
    for detail in details:
        path = _settings_path(detail, data)
        if _is_echo(detail, details):
            continue
        mistake = _mistake(detail, path, model, where)
        earlier = found.get(path)
        if earlier is not None and earlier.expected and mistake.expected:
            # Alternatives of a union: the value had to be one of them.
            both = f"{earlier.expected} or {mistake.expected}"
            mistake = Mistake(earlier.where, earlier.came, both, earlier.hint)
        found[path] = mistake
    return list(found.values())


def _settings_path(detail: ErrorDetails, data: object) -> Where:
    """Return the part of pydantic's location that a user wrote, without union tags."""
    path: list[str | int] = []
    here: Any = data
    for index, step in enumerate(detail["loc"]):
        is_key = isinstance(here, Mapping) and step in here
        is_index = isinstance(here, Sequence) and isinstance(step, int) and step < len(here)
        if is_key or is_index:
            here = here[step]
            path.append(step)
        elif detail["type"] == "missing" and index == len(detail["loc"]) - 1:
            path.append(step)
    return tuple(path)


def _is_echo(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Say whether a list is called too short only because its entries are wrong."""
    depth = len(detail["loc"])
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == detail["loc"] for other in details
    )


def _mistake(detail: ErrorDetails, path: Where, model: type[BaseModel], where: Where) -> Mistake:
    full = where + path
    if detail["type"] == "extra_forbidden":
        names = _settings_beside(model, path)
        hint = did_you_mean(str(path[-1]), names) or _choices(names)
        return Mistake(full, "is not a setting", hint=hint)
    if detail["type"] == "missing":
        return Mistake(full, "is missing")
    if detail["type"] in {"value_error", "assertion_error"}:  # a validator's own words
        said = str(detail.get("ctx", {}).get("error", detail["msg"])).rstrip(".")
        is_table = isinstance(detail["input"], (Mapping, BaseModel))
        return Mistake(full, f": {said}" if is_table else f"is {_came(detail)}: {said}")
    return Mistake(full, f"is {_came(detail)}", _expected(detail))


def _came(detail: ErrorDetails) -> str:
    if detail["type"] == "too_short" and not detail["input"]:
        return "empty"
    return shown(detail["input"])


def _expected(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _BOUNDS and _BOUNDS[kind][0] in context:
        key, words = _BOUNDS[kind]
        bound = context[key]
        return words.format(f"{bound:g}" if isinstance(bound, (int, float)) else bound)
    if kind.endswith(("_type", "_parsing", "_from_float")) and kind.split("_")[0] in _KINDS:
        return _KINDS[kind.split("_")[0]]
    message = detail["msg"].removeprefix("Input should be ")
    return message[:1].lower() + message[1:]


def _choices(names: Sequence[str]) -> str:
    return f"Available: {', '.join(names)}." if names else "There are no settings here."


def _settings_beside(model: type[BaseModel], path: Where) -> list[str]:
    """Return the settings there are where an unknown one was given."""
    annotations: list[Any] = [model]
    for step in path[:-1]:
        fields = [m.model_fields[step] for m in _models(annotations) if step in m.model_fields]
        annotations = [field.annotation for field in fields] or annotations
    return sorted({name for found in _models(annotations) for name in found.model_fields})


def _models(annotations: Iterable[Any]) -> list[type[BaseModel]]:
    """Return every model named in some annotations, inside unions and containers too."""
    found: list[type[BaseModel]] = []
    for annotation in annotations:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        found += _models(get_args(annotation))
    return found
