"""``linerefine cache``: what is kept on disk, and how to be rid of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from linerefine.cache import cache_root
from linerefine.caches import CachePart, cache_parts, clear_cache
from linerefine.cli.listing import columns
from linerefine.cli.output import complain, print_json, say

__all__ = ["cache_command", "clear_command"]


def cache_command(*, as_json: bool) -> None:
    """Print the parts of the cache with their sizes."""
    parts = cache_parts()
    total = sum(part.bytes for part in parts)
    if as_json:
        listed = [asdict(part) for part in parts]
        print_json({"folder": str(cache_root()), "bytes": total, "parts": listed})
        return
    if parts:
        say(columns([("part", "size", "files", "last written"), *map(_row, parts)]))
    complain(f"{_size(total)} in {cache_root()}; linerefine cache clear [PART ...] removes it")


def clear_command(names: Sequence[str]) -> None:
    """Remove parts of the cache, or all of it."""
    removed = clear_cache(list(names))
    for part in removed:
        say(f"removed {part.name}: {_size(part.bytes)}")
    if not removed:
        complain(f"{cache_root()} is empty already")


def _row(part: CachePart) -> tuple[str, ...]:
    written = datetime.fromtimestamp(part.changed).strftime("%Y-%m-%d %H:%M")
    return part.name, _size(part.bytes), str(part.files), written if part.files else "never"


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
