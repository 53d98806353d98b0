"""What the run folder holds already: networks and first predictions, read back.

Sessions always work with networks read from here, in the process that trained
them too, so that it makes no difference where a session is run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from linerefine.config import Component
from linerefine.errors import RunError
from linerefine.experiment.bench import Bench
from linerefine.models.segmenter import Segmenter, load_segmenter, load_weights
from linerefine.refiners.base import Refiner
from linerefine.samples import Sample
from linerefine.types import Logits

__all__ = [
    "component_named",
    "prediction_path",
    "segmenter_path",
    "stored_prediction",
    "stored_refiner",
    "stored_segmenter",
]


def component_named(bench: Bench, refiner: str) -> Component:
    """Return a refiner's place in the configuration."""
    return next(part for part in bench.config.refiners if part.name == refiner)


def segmenter_path(bench: Bench) -> Path:
    """Return where the first-prediction network of a run is: in its folder, or as it was named."""
    named = bench.config.segmenter.checkpoint
    return Path(named) if named else bench.folder.checkpoints / "segmenter.safetensors"


def stored_segmenter(bench: Bench) -> Segmenter:
    """Return the trained first-prediction network of a run.

    Raises
    ------
    RunError
        If the run folder does not hold it, or it is damaged.
    """
    segmenter = load_segmenter(segmenter_path(bench))
    _place(segmenter, bench.device)
    return segmenter


def stored_refiner(bench: Bench, name: str) -> Refiner:
    """Return a trained refiner of a run, or one that needs no training.

    Raises
    ------
    RunError
        If the run folder does not hold its weights, or they do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        refiner = bench.registry.make_refiner(
            component_named(bench, name), channels=len(bench.loader.channels)
        )
    if refiner.is_trainable:
        path = bench.folder.checkpoints / f"{name}.safetensors"
        tensors, _ = load_weights(path)
        try:
            refiner.load_state_dict(tensors)
        except RuntimeError as error:
            msg = f"{path} holds another network than refiner '{name}'. Delete it to train anew."
            raise RunError(msg) from error
    _place(refiner, bench.device)
    return refiner


def prediction_path(bench: Bench, image: str) -> Path:
    """Return where the first prediction of an image is kept."""
    return bench.folder.predictions / f"{image.replace('/', '_')}.npy"


def stored_prediction(bench: Bench, sample: Sample) -> Logits:
    """Return the first prediction of an image as the run stored it.

    Returns
    -------
    logits : ndarray of float32, shape (H, W)

    Raises
    ------
    RunError
        If it is missing, damaged or of another size.
    """
    path = prediction_path(bench, sample.name)
    try:
        # Mapped, not read: a session leaves it as it is, and looks at little of it.
        logits: Logits = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        msg = f"{path} cannot be read ({error}). Delete it, then --resume makes it again."
        raise RunError(msg) from error
    if logits.shape != sample.shape:
        msg = (
            f"{path} has shape {logits.shape}, the image {sample.shape}. "
            f"Delete it, then --resume makes it again."
        )
        raise RunError(msg)
    return logits


def _place(network: nn.Module, device: torch.device) -> None:
    network.to(device).eval().requires_grad_(False)
