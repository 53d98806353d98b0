"""What one check of a plugin found, and how whatever it raised is said."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from linerefine.discovery import Kind
from linerefine.errors import LineRefineError
from linerefine.testing import demands

__all__ = ["Finding", "Subject", "examine"]

Subject: TypeAlias = Kind | Literal["plugin"]
"""What is looked at: a plugin as a whole, or one thing that it offers."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Parameters
    ----------
    subject : str
        ``plugin``, ``loader``, ``simulator``, ``refiner``, ``metric``, ``experiment`` or ``study``.
    name : str
        Its registered name.
    checked : str
        What was looked at.
    problem : str
        What is wrong and how to mend it; empty if nothing is.
    """

    subject: Subject
    name: str
    checked: str
    problem: str = ""


def examine(
    subject: Subject, name: str, checked: str, check: Callable[[], None], package: str = ""
) -> Finding:
    """Return the outcome of a check that raises whatever it finds.

    Parameters
    ----------
    subject, name, checked : str
        As `Finding` has them.
    check : callable
        Raises AssertionError or anything else if something is wrong.
    package : str
        The plugin's import package: of an unforeseen error, the last line in it is named.
    """
    try:
        check()
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        return Finding(subject, name, checked, _said(error, package))
    return Finding(subject, name, checked)


def _said(error: BaseException, package: str) -> str:
    if isinstance(error, LineRefineError) or _is_demand(error):
        return str(error)
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
    return f"raised {said}{_place(error, package)}."


def _is_demand(error: BaseException) -> bool:
    """Say whether a contract check speaks, not an assertion of the plugin's own."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, AssertionError) and frames[-1].f_code is demands.demand.__code__


def _place(error: BaseException, package: str) -> str:
    """Return file and line, the last ones in the plugin if it took part."""
    places = list(traceback.walk_tb(error.__traceback__))
    own = [
        (frame, line)
        for frame, line in places
        if package and str(frame.f_globals.get("__name__", "")).partition(".")[0] == package
    ]
    frame, line = (own or places)[-1]
    return f" ({frame.f_code.co_filename}, line {line})"
