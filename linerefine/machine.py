"""What this machine has: cores and memory that this process may use, and who installs packages."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

__all__ = ["install_command", "total_memory", "usable_cores"]

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much a container may hold, newer and older."""


def usable_cores() -> int:
    """Return how many cores are this process's: those it may run on, shared with its siblings.

    Siblings are the processes that ``torchrun`` started on this machine.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)


def total_memory() -> int | None:
    """Return the bytes of memory of this machine or container; None if it does not say."""
    found = []
    with suppress(ValueError, OSError, AttributeError):  # not on every system
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in _LIMITS:
        with suppress(ValueError, OSError):  # "max", or no such file
            found.append(int(Path(limit).read_text(encoding="ascii")))
    return min((size for size in found if size > 0), default=None)


def install_command(what: str) -> str:
    """Return what a user types to install something into this environment.

    Environments that uv made hold no pip: there ``pip`` is another Python's.

    Parameters
    ----------
    what : str
        As pip reads it, quoted for a shell where that is needed.

    Examples
    --------
    >>> install_command("'linerefine[onnx]'").removeprefix("uv ")
    "pip install 'linerefine[onnx]'"
    """
    return f"{'uv ' if find_spec('pip') is None else ''}pip install {what}"
