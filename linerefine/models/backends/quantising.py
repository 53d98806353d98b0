"""Networks in eight bits: scales from typical inputs, the last layers left alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linerefine.models.device import has_exact_int8
from linerefine.models.onnx import input_names
from linerefine.models.swapping import Inputs, listed

__all__ = ["quantised"]

KEPT_LAYERS = 2
"""So many convolutions before the output stay float32: they draw the outlines."""


def quantised(model: bytes, calibration: Sequence[Inputs]) -> bytes:
    """Return an ONNX network whose convolutions compute in eight bits.

    Parameters
    ----------
    model : bytes
        As `to_onnx` returns it.
    calibration : sequence of Tensor of float32, shape (B, C, H, W), or of several
        Typical inputs; the range of every activation is read off them, and
        what lies outside is clipped later. Sixteen patches suffice; one does
        not, for it seldom shows all that an image holds.

    Returns
    -------
    model : bytes
        Weights per channel and activations in signed eight bits, weights in
        seven where this CPU's sums of products would saturate; the first
        convolution, whose inputs have channels of very different range, and
        the last `KEPT_LAYERS` stay float32.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as name:
        source, prepared, target = (Path(name) / f"{step}.onnx" for step in "abc")
        source.write_bytes(model)
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        nodes = onnx.load(str(prepared), load_external_data=False).graph.node
        layers = [node.name for node in nodes if node.op_type == "Conv"]
        quantize_static(
            str(prepared),
            str(target),
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # Sums of products saturate on older CPUs; weights of seven bits leave room for them.
            reduce_range=not has_exact_int8(),
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[layers[0], *layers[-KEPT_LAYERS:]],
        )
        return target.read_bytes()


class _Reader:
    """Hands typical inputs over one by one, as onnxruntime asks for them."""

    def __init__(self, calibration: Sequence[Inputs]) -> None:
        self._inputs = self._one_by_one(calibration)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input by name; None at the end."""
        return next(self._inputs, None)

    def _one_by_one(
        self, calibration: Sequence[Inputs]
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        for batch in calibration:
            parts = [part.cpu().numpy().astype(np.float32) for part in listed(batch)]
            for images in zip(*parts, strict=True):
                named = zip(input_names(len(images)), images, strict=True)
                yield {name: np.ascontiguousarray(image[None]) for name, image in named}
