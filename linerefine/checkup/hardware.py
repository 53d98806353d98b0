"""Devices, and the back-ends that run on them."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from linerefine.checkup.findings import Finding
from linerefine.machine import total_memory, usable_cores

__all__ = ["backends", "devices"]

DEVICES, BACKENDS = "devices", "back-ends"


def devices() -> Iterator[Finding]:
    """Yield the processor, its cores and memory, and every CUDA device."""
    from linerefine.models.device import cuda_devices, has_native_bf16

    cores = usable_cores()
    precision = "bfloat16" if has_native_bf16() else "no bfloat16 of its own"
    yield Finding(DEVICES, "cpu", f"{_processor()}, {cores} usable cores, {precision}")
    memory = total_memory()
    yield Finding(DEVICES, "memory", f"{memory / 2**30:.1f} GiB" if memory else "not told")
    found = cuda_devices()
    if not found:
        says = "none; networks run on the CPU (--profile quick)"
        yield Finding(DEVICES, "cuda", says, "absent")
    for number, words in enumerate(found):
        yield Finding(DEVICES, f"cuda:{number}", words)


def backends() -> Iterator[Finding]:
    """Yield every back-end: what it is, or why it cannot run on the best device here."""
    from linerefine.models.backends import BACKENDS as BY_NAME
    from linerefine.models.backends import auto_candidates
    from linerefine.models.device import resolve_device

    device = resolve_device("auto")
    tried = ", ".join(backend.name for backend in auto_candidates(device)) or "nothing"
    yield Finding(BACKENDS, "auto", f"on {device.type} it measures eager, {tried}")
    for backend in BY_NAME.values():
        obstacle = backend.obstacle(device)
        if obstacle is None:
            yield Finding(BACKENDS, backend.name, backend.summary)
        else:
            says, _, remedy = obstacle.partition("; run ")
            yield Finding(BACKENDS, backend.name, says, "absent", remedy)


def _processor() -> str:
    """Return the model of the processor, as far as the system tells."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
