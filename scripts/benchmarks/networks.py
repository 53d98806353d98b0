"""How fast and how exact networks run on each back-end, and how near to this machine's floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from linerefine.config import NetworkConfig
from linerefine.models.backends import forward_flops, matrix_rate, measure_backends
from linerefine.models.segmenter import build_network

NETWORKS = {
    "B6": NetworkConfig(encoder="efficientnet-b6"),
    "B6, slim decoder": NetworkConfig(
        encoder="efficientnet-b6", decoder_channels=(64, 48, 32, 16, 16)
    ),
    "light": NetworkConfig(encoder="tu-resnet10t", decoder_channels=(64, 48, 32, 16, 16)),
}


def networks(
    names: Sequence[str] = ("B6", "light"), edge: int = 256, *, compiled: bool = False
) -> list[dict[str, Any]]:
    """Return one row per network and back-end: a refiner's pass over one crop, random weights.

    Parameters
    ----------
    names : sequence of str
        Keys of `NETWORKS`.
    edge : int
        Height and width of the crop.
    compiled : bool
        Also those that compile for a minute.
    """
    rates = {precision: matrix_rate(precision) for precision in (torch.float32, torch.bfloat16)}
    rows = []
    for name in names:
        torch.manual_seed(0)
        network = build_network(NETWORKS[name], 3).eval()
        example = torch.randn(1, 3, edge, edge)
        work = forward_flops(network, example)
        extra = ("compile", "compile_bf16") if compiled else ()
        calibration = [torch.randn(1, 3, edge, edge) for _ in range(8)]
        measured = measure_backends(network, example, calibration=calibration)
        measured += measure_backends(network, example, extra)[1:] if extra else []
        for one in measured:
            if one.obstacle:
                continue
            precision = torch.bfloat16 if "bf16" in one.backend else torch.float32
            floor = 1e3 * work / rates[precision]
            rows.append(
                {
                    "network": name,
                    "back-end": one.backend,
                    "ms": one.milliseconds,
                    "x eager": one.speedup,
                    "largest logit error": one.error,
                    "mask agrees": one.agreement,
                    "build, s": one.build_seconds,
                    "GFLOP": work,
                    "ms / floor": one.milliseconds / floor if "int8" not in one.backend else "",
                }
            )
    return rows
