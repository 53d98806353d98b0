"""Back-ends that compile once per shape: torch.compile, and CUDA graphs."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linerefine.models.backends.base import Backend, Calibration, Runner
from linerefine.models.backends.folding import folded_or_copy
from linerefine.models.backends.native import in_layout, precision_obstacle, run_in
from linerefine.models.swapping import Inputs, every, listed

__all__ = ["Compiled", "CudaGraph"]


@dataclass(frozen=True)
class Compiled(Backend):
    """torch.compile with frozen weights; takes a minute once, less with a warm cache.

    Parameters
    ----------
    dtype : torch.dtype
        Of weights and activations.
    """

    dtype: torch.dtype = torch.float32

    def obstacle(self, device: torch.device) -> str | None:
        if device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
            return "torch.compile needs a C++ compiler; install g++ or take 'packed_bf16'"
        return precision_obstacle(self.dtype, device)

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        graph = in_layout(folded_or_copy(network), self.dtype)
        with _quiet_compiler():
            run = run_in(
                torch.compile(graph, dynamic=False),  # type: ignore[arg-type]
                self.dtype,
                torch.channels_last,
            )
            run(example)

        def guarded(given: Inputs) -> Tensor:
            with _quiet_compiler():
                return run(given)

        return guarded


@contextlib.contextmanager
def _quiet_compiler() -> Iterator[None]:
    """Freeze weights into what is compiled, and keep the compiler's remarks to itself."""
    import torch._inductor.config as inductor

    with warnings.catch_warnings(), inductor.patch(freezing=True):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class CudaGraph(Backend):
    """Half precision, all kernels of a pass launched at once; one graph per shape."""

    def obstacle(self, device: torch.device) -> str | None:
        if device.type != "cuda":
            return "CUDA graphs need a GPU; take 'auto' on a CPU"
        return None

    def build(self, network: nn.Module, example: Inputs, calibration: Calibration = ()) -> Runner:
        graph = in_layout(folded_or_copy(network), torch.float16)
        run = run_in(graph, torch.float16, torch.channels_last)
        given, device = every(example, torch.clone), listed(example)[0].device
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):  # libraries choose their kernels before the recording
            for _ in range(3):
                run(given)
        torch.cuda.current_stream(device).wait_stream(side)
        recording = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recording):
            answer = run(given)

        def replay(asked: Inputs) -> Tensor:
            with torch.inference_mode():
                for place, part in zip(listed(given), listed(asked), strict=True):
                    place.copy_(part)
                recording.replay()
                return answer.clone()  # the next pass writes over the recorded one

        return replay
