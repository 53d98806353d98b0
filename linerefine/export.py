"""Trained networks of a run as files for other programs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from linerefine.cache import atomic_write
from linerefine.errors import RunError, UnknownNameError
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.loading import load_bench
from linerefine.experiment.stored import (
    refiner_path,
    segmenter_path,
    stored_refiner,
    stored_segmenter,
)
from linerefine.geometry.tiles import crop
from linerefine.models.onnx import OnnxCheck, check_onnx, to_onnx
from linerefine.models.segmenter import Segmenter
from linerefine.refiners.serving import ServedRefiner
from linerefine.registry import Registry
from linerefine.types import Tile

__all__ = ["SEGMENTER", "Exported", "export_run"]

SEGMENTER = "segmenter"
"""Name of the first-prediction network; refiners go by their own."""

LARGEST_ERROR = 1e-2
LEAST_AGREEMENT = 0.999


@dataclass(frozen=True)
class Exported:
    """One network that was written.

    Parameters
    ----------
    network : str
        ``segmenter`` or a refiner's name.
    path : Path
        The ONNX file.
    channels : int
        Channels of its input.
    checks : tuple of OnnxCheck
        Comparisons with torch; empty where onnxruntime is not installed.
    """

    network: str
    path: Path
    channels: int
    checks: tuple[OnnxCheck, ...]


def export_run(
    registry: Registry,
    run: Path,
    *,
    networks: Sequence[str] = (),
    output: Path | None = None,
    image: str | None = None,
) -> list[Exported]:
    """Write networks of a run as ONNX and compare them with torch.

    Parameters
    ----------
    registry : Registry
        Knows the run's components.
    run : Path
        Run folder.
    networks : sequence of str
        ``segmenter`` and names of trained refiners; by default all there are.
    output : Path, optional
        File to write, for one network; by default ``onnx/<network>.onnx`` in
        the run folder.
    image : str
        What the run's loader can open, to compare on besides random numbers.

    Returns
    -------
    exported : list of Exported

    Raises
    ------
    UnknownNameError
        If the run holds no such trained network.
    RunError
        If the folder holds no run or no trained network, one file is asked
        for several networks, or an ONNX network answers otherwise than torch.
    DataError
        If a file cannot be written or the image cannot be read.
    """
    bench = load_bench(registry, run, None, "cpu", Notifier([]))
    trained = _trained(bench)
    wanted = list(dict.fromkeys(networks)) or trained
    _check(bench, wanted, trained, output)
    segmenter = stored_segmenter(bench) if image is not None else None
    exported = []
    for name in wanted:
        module = _network(bench, name)
        given = _inputs(bench, name, image, segmenter)
        path = output or run / "onnx" / f"{name}.onnx"
        exported.append(_export(name, module, given, path))
    return exported


def _trained(bench: Bench) -> list[str]:
    names = [SEGMENTER, *(refiner.key for refiner in bench.config.refiners)]
    return [name for name in names if _weights(bench, name).is_file()]


def _weights(bench: Bench, name: str) -> Path:
    if name == SEGMENTER:
        return segmenter_path(bench)
    return refiner_path(bench, name)


def _check(bench: Bench, wanted: Sequence[str], trained: list[str], output: Path | None) -> None:
    if not trained:
        msg = f"{bench.folder.path} holds no trained network yet. Finish that run with --resume."
        raise RunError(msg)
    for name in wanted:
        if name not in trained:
            msg = (
                f"{bench.folder.path} holds no trained network named '{name}'. "
                f"Available: {', '.join(trained)}."
            )
            raise UnknownNameError(msg)
    if output is not None and len(wanted) > 1:
        msg = (
            f"{output} can hold one network, and {', '.join(wanted)} would be written. "
            f"Choose one with --network, or leave out --output."
        )
        raise RunError(msg)


def _network(bench: Bench, name: str) -> nn.Module:
    """Return a trained network as a function of one tensor, in evaluation mode."""
    if name == SEGMENTER:
        return stored_segmenter(bench)
    return stored_refiner(bench, name).served().eval()


def _inputs(
    bench: Bench, name: str, image: str | None, segmenter: Segmenter | None
) -> dict[str, Tensor]:
    """Return what to compare on, by what it is; the first is what is traced."""
    channels, edge = len(bench.loader.channels), bench.config.tiling.patch
    stacked = ServedRefiner.example_input(channels, edge)
    inputs = {"random numbers": stacked if name != SEGMENTER else stacked[:, :channels]}
    if image is not None:
        assert segmenter is not None
        inputs[image] = _real(bench, name, image, segmenter)
    return {what: given.contiguous() for what, given in inputs.items()}


def _real(bench: Bench, name: str, image: str, segmenter: Segmenter) -> Tensor:
    """Return the middle of an image; for refiners with first prediction and a stroke."""
    pixels, edge = bench.loader.open(image).image, bench.config.tiling.patch
    top, left = (max((size - edge) // 2, 0) for size in pixels.shape[1:])
    middle = Tile(top, left, top + edge, left + edge)
    given = torch.from_numpy(np.ascontiguousarray(crop(pixels, middle), dtype=np.float32))[None]
    if name == SEGMENTER:
        return given
    with torch.inference_mode():
        initial = segmenter(given)
    hints = torch.zeros_like(initial)
    hints[..., edge // 2 - 2 : edge // 2 + 2, edge // 4 : edge // 2] = 1
    return torch.cat((given, initial, hints), dim=1)


def _export(name: str, module: nn.Module, inputs: dict[str, Tensor], path: Path) -> Exported:
    """Write one network if it answers as torch does."""
    first = next(iter(inputs.values()))
    model = to_onnx(module, first)
    checks = check_onnx(model, module, inputs) if importlib.util.find_spec("onnxruntime") else []
    for check in checks:
        if not (check.error <= LARGEST_ERROR and check.agreement >= LEAST_AGREEMENT):
            msg = (
                f"'{name}' as ONNX answers otherwise than torch on {check.what}: logits differ by "
                f"{check.error:.2g}, masks agree in {check.agreement:.2%} of pixels. Nothing was "
                f"written; an operation of this network is not exported faithfully."
            )
            raise RunError(msg)
    with atomic_write(path) as temporary:
        temporary.write_bytes(model)
    return Exported(name, path, first.shape[1], tuple(checks))
