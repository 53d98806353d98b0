"""Training of the two networks, from whatever the folder already holds to the best weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from linerefine.config import TrainingConfig
from linerefine.events import Observer
from linerefine.interfaces import Metric, UserSimulator
from linerefine.refiners.base import Refiner
from linerefine.training.checkpoint import FitResult
from linerefine.training.data import TrainingPatches, ValidationPatches
from linerefine.training.distributed import ALONE, Group
from linerefine.training.patches import score_patches
from linerefine.training.tasks import RefinerTask, SegmenterTask
from linerefine.training.trainer import Trainer

__all__ = ["FitResult", "fit_refiner", "fit_segmenter", "score_patches"]


def fit_segmenter(
    segmenter: nn.Module,
    train: TrainingPatches,
    val: ValidationPatches,
    config: TrainingConfig,
    *,
    metric: Metric,
    metric_name: str,
    device: torch.device,
    seed: int,
    folder: Path,
    observers: Sequence[Observer] = (),
    threshold: float = 0.5,
    group: Group = ALONE,
) -> FitResult:
    """Train the first-prediction network; afterwards it holds the best weights.

    Parameters
    ----------
    segmenter : nn.Module
        Maps (B, C, P, P) to logits of shape (B, 1, P, P); its weights are the start.
    train : TrainingPatches
        What to train on.
    val : ValidationPatches
        What to stop by.
    config : TrainingConfig
        How to train.
    metric : Metric
        Watched, pooled over all validation patches.
    metric_name : str
        Its registered name.
    device : torch.device
        Where to train.
    seed : int
        For dropout and the like.
    folder : Path
        Training goes on from ``segmenter.ckpt`` there; if it is finished, the
        stored weights and result are returned at once.
    observers : sequence of Observer
        Told about steps and epochs.
    threshold : float
        Probability above which a pixel is line.
    group : Group
        Who trains together; every process calls this with the same arguments.

    Returns
    -------
    result : FitResult
        History and best score.

    Raises
    ------
    RunError
        If the loss is not finite, or a checkpoint is damaged or of another training.
    ConfigError
        If the precision does not exist on the device.
    DataError
        If the folder cannot be written.
    """
    task = SegmenterTask(
        segmenter.to(device),
        val,
        config,
        metric=metric,
        metric_name=metric_name,
        threshold=threshold,
        device=device,
    )
    trainer = Trainer(
        task,
        train,
        config,
        device=device,
        seed=seed,
        folder=folder,
        observers=observers,
        group=group,
    )
    return trainer.fit()


def fit_refiner(
    refiner: Refiner,
    segmenter: nn.Module,
    train: TrainingPatches,
    val: ValidationPatches,
    config: TrainingConfig,
    *,
    name: str,
    simulator: UserSimulator,
    metric: Metric,
    metric_name: str,
    device: torch.device,
    seed: int,
    folder: Path,
    observers: Sequence[Observer] = (),
    overwrite_hints: bool = True,
    threshold: float = 0.5,
    group: Group = ALONE,
) -> FitResult:
    """Train a refiner on simulated strokes; afterwards it holds the best weights.

    Parameters
    ----------
    refiner : Refiner
        Its weights are the start. One without trainable weights is left alone.
    segmenter : nn.Module
        Makes the first predictions; not changed, moved to `device`.
    train, val, config, metric, metric_name, device, folder, observers, threshold, group
        As for `fit_segmenter`; the refiner is watched by the relative gain of
        the metric over the same strokes pasted by hand.
    name : str
        The refiner's name: in events and file names.
    simulator : UserSimulator
        Draws the strokes.
    seed : int
        For strokes, dropout and the like.
    overwrite_hints : bool
        Whether later strokes hold where strokes overlap.

    Returns
    -------
    result : FitResult
        Empty for a refiner without trainable weights.

    Raises
    ------
    RunError, ConfigError, DataError
        As `fit_segmenter`.
    """
    if not refiner.is_trainable:
        refiner.to(device).eval()
        return FitResult([], 0, math.nan, 0, 0, 0.0)
    task = RefinerTask(
        refiner.to(device),
        segmenter.to(device),
        val,
        config,
        name=name,
        simulator=simulator,
        metric=metric,
        metric_name=metric_name,
        threshold=threshold,
        overwrite_hints=overwrite_hints,
        device=device,
        seed=seed,
    )
    trainer = Trainer(
        task,
        train,
        config,
        device=device,
        seed=seed,
        folder=folder,
        observers=observers,
        group=group,
    )
    return trainer.fit()
