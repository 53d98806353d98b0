"""Configurations as TOML files.

TOML has no null. A setting that is none is written as the text ``"None"``, and
the text ``None`` itself with a backslash before it, so that every configuration
reads back as it was written, whatever the defaults are by then.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Set
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from linerefine.config import ExperimentConfig
from linerefine.errors import ConfigError
from linerefine.mistakes import mistakes_in, refusal

__all__ = ["dump_config", "load_config", "plain", "read_settings"]

NONE = "None"
"""How a setting that is none is written."""

_LOOKS_LIKE_NONE = re.compile(r"\\*None")


def plain(value: object) -> Any:  # noqa: ANN401 - whatever a setting may hold
    """Return a setting as mappings, lists, numbers, text, booleans and None only."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((plain(item) for item in value), key=repr)  # sets have no order to keep
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def dump_config(config: ExperimentConfig) -> str:
    """Return a configuration as the text of a TOML file, with every setting in it.

    Parameters
    ----------
    config : ExperimentConfig
        Its components' options may hold whatever `plain` can turn into TOML.

    Returns
    -------
    text : str
        `load_config` reads an equal configuration from it.
    """
    return tomli_w.dumps(_without_none(plain(config)))


def load_config(path: Path) -> ExperimentConfig:
    """Return the configuration that `dump_config` wrote.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is no complete configuration; names all
        mistakes.
    """
    settings = read_settings(path)
    try:
        return ExperimentConfig.model_validate(settings)
    except ValidationError as error:
        origin = f"set by {path}"
        mistakes = mistakes_in(error, ExperimentConfig, settings)
        raise refusal([mistake.line(origin) for mistake in mistakes]) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, unchecked.

    Raises
    ------
    ConfigError
        If there is no such file or it is not TOML.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"cannot read the configuration {path}: {error.strerror or error}."
        raise ConfigError(msg) from error
    except ValueError as error:  # TOML and UTF-8 errors are ValueErrors
        msg = f"{path} is not a TOML file: {error}."
        raise ConfigError(msg) from error
    found: dict[str, Any] = _with_none(settings)
    return found


def _without_none(value: object) -> Any:  # noqa: ANN401 - whatever a setting may hold
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    if value is None:
        return NONE
    if isinstance(value, str) and _LOOKS_LIKE_NONE.fullmatch(value):
        return f"\\{value}"
    return value


def _with_none(value: object) -> Any:  # noqa: ANN401 - whatever a file may hold
    if isinstance(value, dict):
        return {key: _with_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_none(item) for item in value]
    if value == NONE:
        return None
    if isinstance(value, str) and _LOOKS_LIKE_NONE.fullmatch(value):
        return value[1:]
    return value
