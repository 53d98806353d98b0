"""Results on stdout, everything else on stderr; no colour where nobody looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from linerefine.types import Progress

__all__ = ["complain", "error_console", "print_json", "progress_on", "result_console", "say"]


def say(text: str) -> None:
    """Print a result, as it is."""
    typer.echo(text)


def complain(text: str) -> None:
    """Print a line for people to stderr, as it is."""
    typer.echo(text, err=True)


def print_json(content: dict[str, Any]) -> None:
    """Print a result as JSON that every parser reads."""
    say(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def result_console() -> Console:
    """Return the console for tables of results."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def error_console() -> Console:
    """Return the console for progress and log."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """Give a progress function that shows slow work with the time left."""
    from linerefine.events import Working
    from linerefine.tracking.console import ConsoleObserver

    observer = ConsoleObserver(console)
    try:
        yield lambda what, done, total: observer(Working(what, done, total))
    finally:
        observer.close()
