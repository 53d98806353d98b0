"""Nested settings and numbers as flat names that MLflow accepts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import numpy as np

__all__ = ["LONGEST_KEY", "LONGEST_VALUE", "flat_settings", "metric_key", "numeric_leaves"]

LONGEST_KEY = 250
"""MLflow's limit on names of metrics, parameters and tags."""

LONGEST_VALUE = 6000
"""MLflow's limit on the text of a parameter."""


def metric_key(*parts: object) -> str:
    """Join parts with slashes to a name that MLflow accepts.

    Characters that it refuses become ``_``; so do slashes inside a part, for
    they would open a group of their own.

    Examples
    --------
    >>> metric_key("image", "scan/7 (left)", "pfm_refined")
    'image/scan_7 _left_/pfm_refined'
    """
    safe = [re.sub(r"[^\w.\- ]", "_", str(part)).strip() or "_" for part in parts]
    dotted = [part if part.strip(".") else part.replace(".", "_") for part in safe]
    return "/".join(dotted)[:LONGEST_KEY]


def flat_settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a nested configuration as dotted names and short texts.

    Parameters
    ----------
    config : mapping
        Nested mappings, sequences and plain values.

    Returns
    -------
    settings : dict of str to str
        Names as ``--set`` takes them. A list of components becomes one
        setting that lists their names or labels, and one for each option, such as
        ``refiners.unet.options.network.encoder``. Texts longer than MLflow
        stores end in ``…``.

    Examples
    --------
    >>> flat_settings({"seed": 0, "refiners": [{"name": "unet", "options": {"depth": 5}}]})
    {'seed': '0', 'refiners': 'unet', 'refiners.unet.options.depth': '5'}
    """
    return {key[:LONGEST_KEY]: _shortened(text) for key, text in _settings("", config)}


def numeric_leaves(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return every finite number of a nested mapping under its slash-joined name.

    Truth values, texts, None, nan and infinity are left out; items of a list
    are named by their position.

    Examples
    --------
    >>> numeric_leaves({"unet": {"mean": {"max_gain": 0.07, "reached": None}}})
    {'unet/mean/max_gain': 0.07}
    """
    return {metric_key(*path): number for path, number in _leaves((), summary)}


def _settings(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _settings(f"{path}.{key}" if path else str(key), item)
    elif components := _components(value):
        yield path, ", ".join(_called(item) for item in components)
        for item in components:
            known = {"name", "label"} if item.get("label") is None else {"label"}
            rest = {key: part for key, part in item.items() if key not in known}
            yield from _settings(f"{path}.{_called(item)}", rest)
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        return  # no options: nothing to say
    else:
        yield path, json.dumps(value, default=str)


def _components(value: object) -> list[Mapping[str, Any]]:
    """Return a list of named components; empty if it is something else."""
    if not isinstance(value, (list, tuple)):
        return []
    named = [item for item in value if isinstance(item, Mapping) and "name" in item]
    return named if len(named) == len(value) else []


def _called(component: Mapping[str, Any]) -> str:
    """Return what a component is called in results: its label, if it has one."""
    return str(component.get("label") or component["name"])


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _leaves(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves((*path, str(index)), item)
    elif _is_number(value) and math.isfinite(value):
        yield path, float(value)
