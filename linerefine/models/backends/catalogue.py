"""Every back-end by name, and which of them `auto` tries on a device."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import torch

from linerefine.errors import DeviceError, UnknownNameError
from linerefine.models.backends.base import Backend
from linerefine.models.backends.compiled import Compiled, CudaGraph
from linerefine.models.backends.native import Eager, Folded, Packed
from linerefine.models.backends.runtimes import OnnxRuntime, OpenVino

__all__ = ["AUTO", "BACKENDS", "auto_candidates", "backend_named", "usable_backend"]

AUTO = "auto"
"""The name that stands for a measured choice."""

COMPILED_SHAPES = 2
"""Shapes worth compiling for: the crops of sessions and one batch."""

FIXED_SHAPES = 4
"""Shapes worth a second or two each: crops, batches, and the smaller last batch."""

_ALL: tuple[Backend, ...] = (
    Eager("eager", "the network as it was trained"),
    Folded("channels_last", "normalisation folded in, channels last"),
    Folded("bf16", "the same in bfloat16", dtype=torch.bfloat16),
    Packed("packed", "folded, weights laid out by oneDNN", FIXED_SHAPES, "channels_last"),
    Packed("packed_bf16", "the same in bfloat16", FIXED_SHAPES, "bf16", torch.bfloat16),
    Compiled("compile", "torch.compile, weights frozen", COMPILED_SHAPES, "channels_last"),
    Compiled("compile_bf16", "the same in bfloat16", COMPILED_SHAPES, "bf16", torch.bfloat16),
    OnnxRuntime("onnxruntime", "ONNX Runtime"),
    OnnxRuntime("onnxruntime_int8", "ONNX Runtime in eight bits", unquantised="onnxruntime"),
    OpenVino("openvino", "OpenVINO"),
    OpenVino("openvino_bf16", "OpenVINO in bfloat16", precision="bf16"),
    Folded("fp16", "folded, channels last, half precision (CUDA)", dtype=torch.float16),
    CudaGraph("cuda_graph", "the same, launched at once (CUDA)", FIXED_SHAPES, "fp16"),
)

BACKENDS: Mapping[str, Backend] = {backend.name: backend for backend in _ALL}
"""Every back-end by name."""

_PROMISING: Mapping[str, tuple[str, ...]] = {
    # The most promising first: a trial stops when its time is spent.
    "cpu": ("openvino_bf16", "packed_bf16", "openvino", "onnxruntime", "packed", "bf16"),
    "cuda": ("cuda_graph", "fp16", "channels_last"),
}


def backend_named(name: str) -> Backend:
    """Return a back-end.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    if name in BACKENDS:
        return BACKENDS[name]
    close = difflib.get_close_matches(name, [AUTO, *BACKENDS], n=1)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    msg = f"no back-end named '{name}'.{guess} Available: {', '.join([AUTO, *BACKENDS])}."
    raise UnknownNameError(msg)


def usable_backend(name: str, device: torch.device) -> Backend:
    """Return a back-end that can run on a device.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    DeviceError
        If it cannot run here; says why and what to do.
    """
    backend = backend_named(name)
    obstacle = backend.obstacle(device)
    if obstacle is not None:
        msg = f"back-end '{name}' cannot be used: {obstacle}."
        raise DeviceError(msg)
    return backend


def auto_candidates(device: torch.device) -> tuple[Backend, ...]:
    """Return the back-ends that `auto` tries, the most promising first."""
    names = _PROMISING.get(device.type, ())
    return tuple(b for b in map(backend_named, names) if b.obstacle(device) is None)
