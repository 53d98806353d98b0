"""Networks in the ONNX format, for other programs and for the back-ends that read it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linerefine.models.swapping import Inputs, every, listed

__all__ = ["INPUT", "OUTPUT", "OnnxCheck", "check_onnx", "input_names", "to_onnx"]

INPUT, OUTPUT = "image", "logits"
"""Names of the graph's input and output."""

OPSET = 17


@dataclass(frozen=True)
class OnnxCheck:
    """How an ONNX network compares with the one it was made from, on one input.

    Parameters
    ----------
    what : str
        The input, in words.
    error : float
        Largest difference of a logit.
    agreement : float
        Share of pixels, in [0, 1], whose logits lie on the same side of zero.
    """

    what: str
    error: float
    agreement: float


def input_names(number: int) -> tuple[str, ...]:
    """Return what a graph calls its inputs, in their order."""
    return (INPUT, *(f"{INPUT}_{place}" for place in range(2, number + 1)))


def to_onnx(network: nn.Module, example: Inputs) -> bytes:
    """Return a network as ONNX for inputs of any batch size, height and width.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; maps (B, C, H, W) to (B, 1, H, W). Not changed.
    example : Tensor of float32, shape (B, C, H, W), or several
        Any input that fits, on the device of the network.

    Returns
    -------
    model : bytes
        Opset 17; input ``image`` (further ones ``image_2``, ...), output ``logits``, float32.

    Notes
    -----
    Written by torch's tracing exporter: three seconds for efficientnet-b6 and
    no further package, where the newer one takes twelve and needs two. torch
    calls it legacy; nothing else of this package depends on which of the two
    it is.
    """
    names = input_names(len(listed(example)))
    # Inputs at several resolutions have heights and widths of their own.
    axes = {INPUT: {0: "batch", 2: "height", 3: "width"}}
    axes[OUTPUT] = axes[INPUT]
    for name in names[1:]:
        axes[name] = {0: "batch", 2: f"{name}_height", 3: f"{name}_width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # Announcements about the exporter itself and constants it leaves alone.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (every(example, lambda part: part.detach().clone()),),
            buffer,  # type: ignore[arg-type]
            input_names=list(names),
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def check_onnx(model: bytes, network: nn.Module, inputs: Mapping[str, Tensor]) -> list[OnnxCheck]:
    """Return how ONNX Runtime's answers compare with torch's.

    Parameters
    ----------
    model : bytes
        As `to_onnx` returns it.
    network : nn.Module
        What it was made from, in evaluation mode, on the CPU.
    inputs : mapping of str to Tensor of float32, shape (B, C, H, W)
        By what they are, in words.

    Returns
    -------
    checks : list of OnnxCheck
        One per input.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    checks = []
    for what, given in inputs.items():
        with torch.inference_mode():
            exact = network(given)
        (logits,) = session.run(None, {INPUT: given.numpy()})
        answer = torch.from_numpy(logits)
        agreement = float(((answer > 0) == (exact > 0)).float().mean())
        checks.append(OnnxCheck(what, float((answer - exact).abs().max()), agreement))
    return checks
