"""The two networks of a run: trained here, or found trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from linerefine.cache import atomic_write
from linerefine.chance import seed_for
from linerefine.config import RefinerConfig
from linerefine.errors import DataError
from linerefine.events import ModelTrained
from linerefine.experiment.bench import Bench
from linerefine.experiment.stored import (
    THRESHOLD,
    prediction_path,
    refiner_path,
    shift_of,
    stored_refiner,
    stored_segmenter,
)
from linerefine.models.inference import passes, predict_image
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.base import Refiner
from linerefine.samples import Sample
from linerefine.training.data import TrainingPatches, ValidationPatches
from linerefine.training.loop import fit_refiner, fit_segmenter
from linerefine.training.threshold import tune_threshold
from linerefine.types import Logits

__all__ = [
    "TrainingSet",
    "check_refiners",
    "first_prediction",
    "fit_result",
    "predict_sample",
    "trained_refiner",
    "trained_segmenter",
]


@dataclass(frozen=True)
class TrainingSet:
    """Patches of the two splits that training may see."""

    train: TrainingPatches
    val: ValidationPatches

    @classmethod
    def load(cls, bench: Bench) -> TrainingSet:
        """Read both splits.

        Raises
        ------
        DataError
            If a split has no annotated sample.
        """
        config = bench.config
        train, val = (annotated(bench, split) for split in ("train", "val"))
        return cls(
            TrainingPatches(
                train,
                config.tiling,
                config.training.augmentation,
                seed=seed_for(config.seed, "patches") % 2**31,
            ),
            ValidationPatches(val, config.tiling, config.training.validation_patches),
        )


def annotated(bench: Bench, split: str) -> list[Sample]:
    """Return a split's samples that somebody traced."""
    names = list(bench.loader.names(split))  # type: ignore[arg-type]
    samples = []
    for done, name in enumerate(names):
        bench.notify.progress(f"reading {split} images", done, len(names))
        sample = bench.loaded(name)
        if sample.lines is not None:
            samples.append(sample)
    bench.notify.progress(f"reading {split} images", len(names), len(names))
    if not samples:
        msg = f"the {split} split of loader '{bench.config.loader.name}' has no annotated image."
        raise DataError(msg)
    return samples


def trained_segmenter(bench: Bench, data: TrainingSet) -> Segmenter:
    """Return the frozen first-prediction network, trained unless a checkpoint is named."""
    config = bench.config
    channels = len(bench.loader.channels)
    if config.segmenter.checkpoint is not None:
        bench.notify.note(f"first-prediction network from {config.segmenter.checkpoint}")
        return _cut_well(bench, stored_segmenter(bench), data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(config.seed, "weights", "segmenter"))
        segmenter = Segmenter(build_network(config.segmenter.network, channels))
    fit_segmenter(
        segmenter.to(bench.device),
        data.train,
        data.val,
        config.training,
        metric=bench.metrics[bench.steering],
        metric_name=bench.steering,
        device=bench.device,
        seed=seed_for(config.seed, "training", "segmenter") % 2**31,
        folder=bench.folder.checkpoints,
        observers=[bench.notify],
        group=bench.group,
    )
    return _cut_well(bench, segmenter.eval().requires_grad_(False), data)


def check_refiners(bench: Bench) -> None:
    """Build every refiner once and throw it away, so that one that cannot be is refused at once.

    Raises
    ------
    LineRefineError
        If a refiner cannot be made for the loader's channels, or not begin from
        the first-prediction network.
    """
    wanted, channels = bench.config.segmenter, len(bench.loader.channels)
    with torch.random.fork_rng(devices=[]):
        # One that is read from a file is at hand in a moment; what follows refuses as soon.
        untrained = None
        if wanted.checkpoint is None:
            untrained = Segmenter(build_network(wanted.network, channels))
        for each in bench.config.refiners:
            refiner = bench.registry.make_refiner(each, channels=channels)
            if untrained is not None and each.weights is None:
                refiner.begin_from(untrained)


def _cut_well(bench: Bench, segmenter: Segmenter, data: TrainingSet) -> Segmenter:
    """Tune the first prediction's threshold if that is asked for and not done yet."""
    if bench.config.segmenter.threshold == "tuned":
        bench.group.agreed(lambda: _tune(bench, segmenter, data))
    segmenter.shift = bench.group.agreed(lambda: shift_of(bench))
    return segmenter


def _tune(bench: Bench, segmenter: Segmenter, data: TrainingSet) -> None:
    place, name = f"checkpoints/{THRESHOLD}", bench.steering
    if bench.folder.read_json(place) is not None:
        return
    segmenter.shift = 0.0
    cut = tune_threshold(
        segmenter,
        data.val,
        bench.metrics[name],
        bench.device,
        tick=lambda done, total: bench.notify.progress("tuning the threshold", done, total),
    )
    facts = {"threshold": cut.probability, "metric": name, "score": cut.score}
    bench.folder.write_json(place, facts)
    bench.notify.note(
        f"first predictions are line from a probability of {cut.probability:.2f}, best on "
        f"{len(data.val)} validation patches: {name} {100 * cut.score:.1f} %"
    )


def trained_refiner(
    bench: Bench, wanted: RefinerConfig, segmenter: Segmenter, data: TrainingSet
) -> Refiner:
    """Return a refiner, trained if there is anything to train and nobody names weights."""
    if wanted.weights is not None:
        return stored_refiner(bench, wanted.key)
    config = bench.config
    channels = len(bench.loader.channels)
    # Seeded by name, not by label: variants of one refiner begin with the same weights.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(config.seed, "weights", wanted.name))
        refiner = bench.registry.make_refiner(wanted, channels=channels)
    refiner.to(bench.device)
    if not refiner.is_trainable:
        return refiner.eval()
    refiner.begin_from(segmenter)
    fit_refiner(
        refiner,
        segmenter,
        data.train,
        data.val,
        config.training_of(wanted),
        name=wanted.key,
        simulator=bench.simulator_for(wanted.key),
        metric=bench.metrics[bench.steering],
        metric_name=bench.steering,
        device=bench.device,
        seed=seed_for(config.seed, "training", wanted.name) % 2**31,
        folder=bench.folder.checkpoints,
        observers=[bench.notify],
        group=bench.group,
        overwrite_hints=config.session.overlap == "latest",
        threshold=config.session.threshold,
    )
    path = refiner_path(bench, wanted.key)
    bench.notify(ModelTrained(wanted.key, refiner, channels, path))
    return refiner.eval()


def first_prediction(bench: Bench, segmenter: Segmenter, sample: Sample) -> Logits:
    """Return the first prediction of an image, computed once per run.

    Returns
    -------
    logits : ndarray of float32, shape (H, W)
    """
    path = prediction_path(bench, sample.name)
    if path.exists():
        stored: Logits = np.load(path)
        if stored.shape == sample.shape:
            return stored
    logits = predict_sample(bench, segmenter, sample, images=len(bench.loader.names("test")))
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, logits)
    return logits


def fit_result(bench: Bench, network: str) -> dict[str, Any] | None:
    """Return how a network was trained, as the training stored it; None if it was not."""
    record = bench.folder.read_json(f"checkpoints/{network}.json")
    return None if record is None else dict(record["result"])


def predict_sample(bench: Bench, segmenter: Segmenter, sample: Sample, images: int = 1) -> Logits:
    """Return the first prediction of an image on the segmenter's back-end.

    Parameters
    ----------
    bench : Bench
    segmenter : Segmenter
    sample : Sample
    images : int
        How many like it there will be, for the choice of the back-end.

    Returns
    -------
    logits : ndarray of float32, shape (H, W)
    """
    calls = images * passes(sample.shape, bench.config.tiling, bench.device)
    with bench.fast.running("segmenter", segmenter, calls):
        return predict_image(
            segmenter,
            sample.image,
            bench.config.tiling,
            bench.device,
            roi=sample.roi,
            progress=bench.notify.progress,
        )
