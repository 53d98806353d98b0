"""Networks in the ONNX format, for other programs and for the back-ends that read it."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn

__all__ = ["INPUT", "OUTPUT", "to_onnx"]

INPUT, OUTPUT = "image", "logits"
"""Names of the graph's input and output."""

OPSET = 17


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
