"""What `auto` chose, kept per machine and network so that it is measured once."""

from __future__ import annotations

import json
import logging
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from linerefine.cache import atomic_write, cache_root
from linerefine.models.device import describe_device
from linerefine.models.swapping import Inputs, Swappable, listed

__all__ = ["circumstances", "memory_file", "recall", "store"]

log = logging.getLogger(__name__)

ENGINES = ("torch", "onnxruntime", "openvino")


def memory_file() -> Path:
    """Return the file of all choices; deleting it makes `auto` measure anew."""
    return cache_root() / "backends.json"


def circumstances(network: Swappable, example: Inputs, agreement: float) -> dict[str, Any]:
    """Return what a choice depends on, ready for JSON.

    Parameters
    ----------
    network : Swappable
        Its construction counts, not its weights.
    example : Tensor, shape (B, C, H, W), or several
        Shapes and device count.
    agreement : float
        What was asked of the choice.
    """
    return {
        "machine": {"cpu": _cpu(), "device": describe_device(listed(example)[0].device)},
        "engines": {name: _version(name) for name in ENGINES},
        "network": dict(network.construction),
        "shapes": [list(part.shape) for part in listed(example)],
        "agreement": agreement,
    }


def recall(now: dict[str, Any]) -> dict[str, Any] | None:
    """Return the choice made under the same circumstances; None if there is none."""
    for entry in _entries():
        if entry.get("circumstances") == now:
            choice: dict[str, Any] = entry["choice"]
            return choice
    return None


def store(now: dict[str, Any], choice: dict[str, Any]) -> None:
    """Keep a choice; drop those made for the same with other versions.

    Raises
    ------
    DataError
        If the cache cannot be written.
    """
    kept = [entry for entry in _entries() if _apart(entry) != _apart({"circumstances": now})]
    content = [*kept, {"circumstances": now, "choice": choice}]
    with atomic_write(memory_file()) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _apart(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the circumstances without the versions."""
    return {key: value for key, value in entry["circumstances"].items() if key != "engines"}


def _entries() -> list[dict[str, Any]]:
    path = memory_file()
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [entry for entry in content if {"circumstances", "choice"} <= set(entry)]
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s cannot be read (%s); back-ends are measured anew", path, error)
        return []


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


@cache
def _cpu() -> str:
    """Return the model of the CPU in words."""
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
