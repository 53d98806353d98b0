"""Back-ends that need nothing but torch: as it is, other memory layout, other precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linerefine.models.backends.base import Backend, Calibration, Runner
from linerefine.models.backends.folding import folded_or_copy
from linerefine.models.backends.packing import can_pack, packed
from linerefine.models.device import has_native_bf16
from linerefine.models.swapping import Inputs, every, listed

__all__ = [
    "BF16_REMEDY",
    "Eager",
    "Folded",
    "Packed",
    "cpu_only",
    "in_layout",
    "precision_obstacle",
    "run_in",
]

BF16_REMEDY = "this CPU does not compute in bfloat16 itself; take a back-end without bf16"


@dataclass(frozen=True)
class Eager(Backend):
    """The network as it was trained; what every other back-end is compared with."""

    def obstacle(self, device: torch.device) -> str | None:
        return None

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        # Not a copy: to the last bit what the network answers without a back-end.
        return lambda given: network(given)


@dataclass(frozen=True)
class Folded(Backend):
    """Normalisation folded into convolutions, channels last, weights cast once.

    Parameters
    ----------
    dtype : torch.dtype
        Of weights and activations; the answer is float32 whatever it is.
    """

    dtype: torch.dtype = torch.float32

    def obstacle(self, device: torch.device) -> str | None:
        return precision_obstacle(self.dtype, device)

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        graph = in_layout(folded_or_copy(network), self.dtype)
        return run_in(graph, self.dtype, torch.channels_last)


@dataclass(frozen=True)
class Packed(Backend):
    """Folded, and with weights laid out by oneDNN for one shape of input.

    Parameters
    ----------
    dtype : torch.dtype
        Of weights and activations.
    """

    dtype: torch.dtype = torch.float32

    def obstacle(self, device: torch.device) -> str | None:
        return cpu_only(device) or can_pack() or precision_obstacle(self.dtype, device)

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        graph = packed(folded_or_copy(network), example, self.dtype)
        return run_in(graph, self.dtype, torch.channels_last)


def in_layout(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a network cast to a precision, channels last; the one given is changed."""
    return network.to(dtype=dtype).to(memory_format=torch.channels_last)


def run_in(network: nn.Module, dtype: torch.dtype, layout: torch.memory_format) -> Runner:
    """Return a function that hands inputs over in a precision and a memory layout."""

    def run(given: Inputs) -> Tensor:
        # Whoever calls may be inside an autocast block; the precision is ours to choose.
        kind = listed(given)[0].device.type
        with torch.inference_mode(), torch.autocast(kind, enabled=False):
            moved = every(given, lambda part: part.to(dtype=dtype, memory_format=layout))
            answer: Tensor = network(moved)
            return answer.to(torch.float32, memory_format=torch.contiguous_format)

    return run


def cpu_only(device: torch.device) -> str | None:
    """Return why a back-end of the CPU cannot run on another device."""
    if device.type == "cpu":
        return None
    return f"it runs on the CPU, not on {device.type}; pass --device cpu"


def precision_obstacle(dtype: torch.dtype, device: torch.device) -> str | None:
    """Return why a precision does not pay or does not exist on a device."""
    if dtype == torch.bfloat16 and device.type == "cpu" and not has_native_bf16():
        return BF16_REMEDY
    if dtype == torch.float16 and device.type == "cpu":
        return "half precision needs a GPU; take 'bf16' on a CPU"
    return None
