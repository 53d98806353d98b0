"""Networks in the ONNX format, for other programs and for the back-ends that read it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["INPUT", "OUTPUT", "OnnxCheck", "check_onnx", "to_onnx"]

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


def to_onnx(network: nn.Module, example: Tensor) -> bytes:
    """Return a network as ONNX for inputs of any batch size, height and width.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; maps (B, C, H, W) to (B, 1, H, W). Not changed.
    example : Tensor of float32, shape (B, C, H, W)
        Any input that fits, on the device of the network.

    Returns
    -------
    model : bytes
        Opset 17; input ``image``, output ``logits``, float32.

    Notes
    -----
    Written by torch's tracing exporter: three seconds for efficientnet-b6 and
    no further package, where the newer one takes twelve and needs two. torch
    calls it legacy; nothing else of this package depends on which of the two
    it is.
    """
    axes = {INPUT: {0: "batch", 2: "height", 3: "width"}}
    axes[OUTPUT] = axes[INPUT]
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # Announcements about the exporter itself and constants it leaves alone.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example.detach().clone(),),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT],
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
