"""What the run folder holds already: networks and first predictions, read back.

Sessions always work with networks read from here, in the process that trained
them too, so that it makes no difference where a session is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from linerefine.config import RefinerConfig
from linerefine.errors import RunError
from linerefine.experiment.bench import Bench
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.shipped import ship_of, shipped_weights
from linerefine.models.segmenter import Segmenter, load_segmenter, load_weights
from linerefine.refiners.base import Refiner
from linerefine.samples import Sample
from linerefine.training.simulation import logit
from linerefine.types import Logits

__all__ = [
    "THRESHOLD",
    "prediction_path",
    "refiner_named",
    "refiner_path",
    "segmenter_path",
    "shift_of",
    "stored_prediction",
    "stored_refiner",
    "stored_segmenter",
    "tuned_threshold",
]

THRESHOLD = "segmenter-threshold.json"
"""Beside the weights: the probability from which a pixel is line, if it was tuned."""


def refiner_named(bench: Bench, key: str) -> RefinerConfig:
    """Return a refiner's place in the configuration."""
    return next(part for part in bench.config.refiners if part.key == key)


def refiner_path(bench: Bench, key: str) -> Path:
    """Return where a refiner's weights are: in the run folder, or as the configuration names them.

    Weights that are named by the label of another refiner are that one's.
    """
    refiner = refiner_named(bench, key)
    named = refiner.weights
    if named is None:
        return bench.folder.checkpoints / f"{key}.safetensors"
    if any(named == other.key for other in bench.config.refiners):
        return refiner_path(bench, named)
    if ship_of(named) is not None:
        return shipped_weights(bench.registry, named, refiner.name)
    return Path(named)


def segmenter_path(bench: Bench) -> Path:
    """Return where the first-prediction network of a run is: in its folder, or as it was named."""
    named = bench.config.segmenter.checkpoint
    if named is None:
        return bench.folder.checkpoints / "segmenter.safetensors"
    if ship_of(named) is not None:
        return shipped_weights(bench.registry, named, "segmenter")
    return Path(named)


def stored_segmenter(bench: Bench) -> Segmenter:
    """Return the trained first-prediction network of a run.

    Raises
    ------
    RunError
        If the run folder does not hold it, or it is damaged.
    """
    segmenter = load_segmenter(segmenter_path(bench))
    segmenter.shift = shift_of(bench)
    _place(segmenter, bench.device)
    return segmenter


def tuned_threshold(bench: Bench) -> dict[str, Any] | None:
    """Return how the first prediction's threshold was tuned; None if it was not.

    What was tuned in this run holds, else what lies beside a checkpoint that is
    named.
    """
    beside = RunFolder(segmenter_path(bench).parent)
    return bench.folder.read_json(f"checkpoints/{THRESHOLD}") or beside.read_json(THRESHOLD)


def shift_of(bench: Bench) -> float:
    """Return what is added to the first prediction's logits: 0 unless its threshold was tuned."""
    tuned = tuned_threshold(bench)
    if tuned is None:
        return 0.0
    return logit(bench.config.session.threshold) - logit(float(tuned["threshold"]))


def stored_refiner(bench: Bench, name: str) -> Refiner:
    """Return a trained refiner of a run, or one that needs no training.

    Raises
    ------
    RunError
        If the run folder does not hold its weights, or they do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        refiner = bench.registry.make_refiner(
            refiner_named(bench, name), channels=len(bench.loader.channels)
        )
    if refiner.is_trainable:
        path = refiner_path(bench, name)
        tensors, _ = load_weights(path)
        try:
            refiner.load_state_dict(tensors)
        except RuntimeError as error:
            msg = f"{path} holds another network than refiner '{name}'. {_remedy(bench, name)}"
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


def _remedy(bench: Bench, name: str) -> str:
    if refiner_named(bench, name).weights is None:
        return "Delete it to train anew."
    return "Name weights of the same network and options, or none to train them."


def _place(network: nn.Module, device: torch.device) -> None:
    network.to(device).eval().requires_grad_(False)
