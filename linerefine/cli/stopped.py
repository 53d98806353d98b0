"""How a command says that it was stopped and what remains."""

from __future__ import annotations

__all__ = ["Stopped"]


class Stopped(Exception):  # noqa: N818 - no error: the user wanted it
    """The user stopped a command; the message says what is kept and how to go on."""
