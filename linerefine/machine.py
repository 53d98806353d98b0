"""What this machine has: cores and memory, as far as this process may use them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["total_memory", "usable_cores"]

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
