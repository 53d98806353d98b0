"""How fast and how exact networks run on each back-end, and how near to this machine's floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.drawn import Row
from linerefine.cli.plugins import usable_registry
from linerefine.config import InferenceConfig, NetworkConfig
from linerefine.experiment.bench import Notifier
from linerefine.experiment.loading import load_bench
from linerefine.experiment.stored import stored_refiner, stored_segmenter
from linerefine.models.backends import (
    BACKENDS,
    accelerate,
    forward_flops,
    matrix_rate,
    measure_backends,
)
from linerefine.models.backends.measure import median_seconds
from linerefine.models.segmenter import build_network
from linerefine.models.swapping import swappable
from linerefine.training.data import ValidationPatches
from linerefine.training.loop import score_patches

NETWORKS = {
    "B6": NetworkConfig(encoder="efficientnet-b6"),
    "B6, slim decoder": NetworkConfig(
        encoder="efficientnet-b6", decoder_channels=(64, 48, 32, 16, 16)
    ),
    "light": NetworkConfig(encoder="tu-resnet10t", decoder_channels=(64, 48, 32, 16, 16)),
}


def networks(
    names: Sequence[str] = ("B6", "light"), edge: int = 256, *, compiled: bool = False
) -> list[Row]:
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


def trained(run: Path, *, passes: int = 9) -> list[Row]:
    """Return one row per refiner and back-end: a stroke's time at a new place, and scores.

    Parameters
    ----------
    run : Path
        A finished run; its test patches are scored once after one stroke each,
        the first prediction always by the eager network.
    passes : int
        Timed strokes of each back-end.
    """
    bench = load_bench(usable_registry(()), run, None, "cpu", Notifier([]))
    bench.loader.prepare(bench.notify.progress)
    bench.prepare_simulators()
    segmenter = stored_segmenter(bench)
    samples = [s for s in map(bench.loaded, bench.loader.patch_names()) if s.lines is not None]
    patches = ValidationPatches(samples, bench.config.tiling)
    rows: list[Row] = []
    for part in bench.config.refiners:
        refiner = stored_refiner(bench, part.key)
        if not swappable(refiner):
            continue
        served, channels = refiner.served(), len(bench.loader.channels)
        stacked = served.example_input(channels, patches.size, batch=1)
        eager = median_seconds(served, stacked, passes)
        for name, backend in BACKENDS.items():
            if name.startswith("compile") or backend.obstacle(bench.device):
                continue
            with accelerate(refiner, InferenceConfig(backend=name)):
                seconds = median_seconds(served, stacked, passes)
                (scores,) = score_patches(
                    refiner,
                    segmenter,
                    patches,
                    bench.simulator,
                    bench.metrics,
                    passes=1,
                    threshold=bench.config.session.threshold,
                    device=bench.device,
                    seed=0,
                )
            rows.append(
                {
                    "refiner": part.key,
                    "back-end": name,
                    "ms": 1e3 * seconds,
                    "x eager": eager / seconds,
                    **{key: value for key, value in scores.items() if key != "pass"},
                }
            )
    return rows
