"""Back-ends of other inference engines; each is an extra, imported where it is used."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linerefine.machine import install_command
from linerefine.models.backends.base import Backend, Calibration, Runner
from linerefine.models.backends.native import cpu_only, precision_obstacle
from linerefine.models.backends.quantising import quantised
from linerefine.models.onnx import input_names, to_onnx
from linerefine.models.swapping import Inputs, listed

if TYPE_CHECKING:
    from openvino import Core

__all__ = ["OnnxRuntime", "OpenVino", "openvino"]


@dataclass(frozen=True)
class OnnxRuntime(Backend):
    """Microsoft's ONNX Runtime on the CPU: float32, or int8 as `quantised` says."""

    @property
    def is_int8(self) -> bool:
        """Whether weights and activations are quantised."""
        return bool(self.unquantised)

    def obstacle(self, device: torch.device) -> str | None:
        names = ("onnxruntime", "onnx") if self.is_int8 else ("onnxruntime",)
        return cpu_only(device) or absent(names, "onnx")

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        import onnxruntime

        model = to_onnx(network, example)
        if self.is_int8:
            model = quantised(model, calibration or (example,))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        # Threads that spin while they wait take the cores from whoever else works.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        def run(given: Inputs) -> Tensor:
            parts = listed(given)
            named = zip(input_names(len(parts)), map(_array, parts), strict=True)
            (logits,) = session.run(None, dict(named))
            return torch.from_numpy(logits)

        return run


@dataclass(frozen=True)
class OpenVino(Backend):
    """Intel's OpenVINO on the CPU, float32 or bfloat16.

    Parameters
    ----------
    precision : {"f32", "bf16"}
        Of weights and activations.
    """

    precision: str = "f32"

    def obstacle(self, device: torch.device) -> str | None:
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        missing = absent(("openvino",), "openvino")
        return cpu_only(device) or missing or precision_obstacle(dtype, device)

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        model = to_onnx(network, example)
        core = _core()
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()

        def run(given: Inputs) -> Tensor:
            # The request's own memory is written over by the next pass.
            return torch.from_numpy(request.infer([*map(_array, listed(given))])[0].copy())

        return run


def openvino() -> ModuleType:
    """Import OpenVINO without the package that reports its use over the network."""
    # OpenVINO carries on without it when it cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


@cache
def _core() -> Core:
    """Return the one OpenVINO core of this process, which is never dropped.

    A core gives its thread a stack of its own for signal handlers, and when it is
    dropped puts back the one that it found. Of several that are dropped in the order
    they were made the last puts back one that is gone: the next signal, Ctrl-C for
    one, would end the process with a segmentation fault.
    """
    core: Core = openvino().Core()
    return core


def absent(modules: tuple[str, ...], extra: str) -> str | None:
    """Return which package of an extra is missing and how to get it; None if none is."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            remedy = install_command(f"'linerefine[{extra}]'")
            return f"{name} is not installed; run {remedy}"
    return None


def _array(image: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.detach().to(torch.float32).numpy())
