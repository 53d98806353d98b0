"""One thing that was looked at, and everything that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Finding", "Look", "State", "examine"]

State: TypeAlias = Literal["ok", "absent", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    area : str
        Versions, devices, ...
    name : str
        What was looked at.
    says : str
        What was found.
    state : {"ok", "absent", "broken"}
        Absent: it works without. Broken: something that was asked for cannot be used.
    remedy : str
        What to type to have it or to mend it; empty if there is nothing to do.
    """

    area: str
    name: str
    says: str
    state: State = "ok"
    remedy: str = ""


Look: TypeAlias = Callable[[], Iterable[Finding]]


def examine(looks: Iterable[tuple[str, Look]]) -> list[Finding]:
    """Return what all looks find; one that fails is a broken finding, not the end.

    Parameters
    ----------
    looks : iterable of (str, callable)
        Area, and what looks at it.
    """
    found: list[Finding] = []
    for area, look in looks:
        try:
            found += look()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            found.append(Finding(area, area, f"cannot be looked at: {reason}", "broken"))
    return found
