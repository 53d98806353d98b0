"""Where networks run, and with how many threads."""

from __future__ import annotations

import platform

import torch

from linerefine.errors import DeviceError
from linerefine.machine import usable_cores

__all__ = [
    "cuda_devices",
    "describe_device",
    "has_exact_int8",
    "has_native_bf16",
    "resolve_device",
    "set_threads",
]


def resolve_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    DeviceError
        If CUDA is asked for and absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        msg = "device 'cuda' was asked for, but torch sees no CUDA device. Pass --device cpu."
        raise DeviceError(msg)
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return the device in words, such as ``cpu (2 threads)``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({torch.get_num_threads()} threads)"


def cuda_devices() -> list[str]:
    """Return every CUDA device in words: its name and memory."""
    if not torch.cuda.is_available():
        return []
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"{each.name}, {each.total_memory / 2**30:.0f} GiB" for each in found]


def has_native_bf16() -> bool:
    """Say whether this CPU computes in bfloat16 itself; emulated it is slower than float32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if probe is not None and platform.machine().lower() in {"x86_64", "amd64"}:
        return bool(probe())
    return False


def has_exact_int8() -> bool:
    """Say whether this CPU adds up products of eight-bit numbers without saturating (VNNI)."""
    probe = getattr(torch.cpu, "_is_vnni_supported", None)
    return probe is not None and bool(probe())


def set_threads(count: int | None) -> None:
    """Fix the threads of torch; None takes the cores this process may use.

    Processes that ``torchrun`` started on this machine share them.

    More threads than cores, or spinning ones beside other load, cost a factor
    of ten and more, so the number is always set.
    """
    torch.set_num_threads(count or usable_cores())
