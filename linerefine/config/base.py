"""What every table of settings is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Component", "Options", "merged"]


class Options(BaseModel):
    """Base of every component's options: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(Options):
    """A registered component and its options."""

    name: str = Field(description="Registered name, as `linerefine plugins` lists it.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Checked against the component's own option model."
    )


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with others laid over them: mappings merge, all else replaces."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result
