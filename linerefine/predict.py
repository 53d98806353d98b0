"""Masks and probability maps for images nobody has annotated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.special import expit

from linerefine.cache import atomic_write
from linerefine.errors import DataError, RunError, UnknownNameError
from linerefine.events import Event, Note, Observer, Working
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.loading import load_bench
from linerefine.experiment.networks import predict_sample
from linerefine.experiment.sessions import session_on
from linerefine.experiment.stored import (
    refiner_named,
    refiner_path,
    segmenter_path,
    stored_refiner,
    stored_segmenter,
)
from linerefine.models.segmenter import Segmenter
from linerefine.refiners.base import Refiner
from linerefine.registry import Registry
from linerefine.samples import Sample
from linerefine.session.revision import looked_at
from linerefine.types import Logits, Progress

__all__ = ["Prediction", "predict_scans"]


@dataclass(frozen=True)
class Prediction:
    """The two files written for one source, in the size of the source.

    Parameters
    ----------
    source : str
        As given.
    mask : Path
        8-bit PNG, 255 = line.
    probability : Path
        float32 TIFF in [0, 1].
    """

    source: str
    mask: Path
    probability: Path


def predict_scans(
    registry: Registry,
    sources: Sequence[str],
    run: Path,
    output: Path,
    *,
    experiment: str,
    refiner: str | None = None,
    device: str = "auto",
    backend: str | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    on_written: Callable[[Prediction], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> list[Prediction]:
    """Predict every source with the first-prediction network of a finished run.

    A refiner that looks at the whole image before the first stroke may mend
    what that network says; nobody draws here.

    Parameters
    ----------
    registry : Registry
    sources : sequence of str
        What the run's loader can open: files, or names of scans.
    run : Path
        Run folder whose segmenter and normalisation are used.
    output : Path
        Folder for ``masks/<name>.png`` and ``probabilities/<name>.tif``, so that
        ``linerefine score OUTPUT/masks TARGETS`` finds its partners.
    experiment : str
        Must be the experiment the run was made with.
    refiner : str, optional
        Name or label of a refiner of that run that mends the prediction.
    device : {"auto", "cpu", "cuda"}
    backend : str, optional
        How the network runs, see `InferenceConfig`; by default as in the run.
    progress : callable
    on_written : callable
        Called as soon as both files of a source are whole.
    on_note : callable
        Called with lines for people, such as the back-end that was chosen.

    Returns
    -------
    predictions : list of Prediction
        In the order of the sources.

    Raises
    ------
    RunError
        If the run folder holds no trained segmenter, or another experiment's,
        the refiner is not trained or has nothing to say before the first
        stroke, or the output cannot be written.
    UnknownNameError
        If the run has no such refiner.
    DataError
        If a source cannot be read (the ones before it are kept), or two
        sources would be written under one name.
    """
    notify = Notifier([_forward(progress, on_note)])
    bench = load_bench(registry, run, experiment, device, notify, backend=backend)
    segmenter = _segmenter(bench)
    mender = None if refiner is None else _mender(bench, refiner)
    _check_writable(output)
    written: dict[str, Prediction] = {}
    for source in sources:
        sample = bench.loader.open(source)
        name = sample.name.replace("/", "_")
        if name in written:
            msg = (
                f"'{source}' and '{written[name].source}' would both be written as "
                f"{name}.png in {output}. Predict them into two folders."
            )
            raise DataError(msg)
        logits = predict_sample(bench, segmenter, sample)
        if mender is not None:
            logits = _mended(bench, mender, sample, logits, str(refiner), len(sources))
        written[name] = _write(bench, logits, sample, source, output)
        on_written(written[name])
    return list(written.values())


def _check_writable(output: Path) -> None:
    """Refuse a folder that cannot be written before minutes are spent on predicting."""
    try:
        (output / "masks").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        msg = f"cannot write to {output}: {error.strerror}. Choose another --output."
        raise RunError(msg) from error


def _mender(bench: Bench, name: str) -> Refiner:
    """Return a trained refiner of the run that has something to say before the first stroke."""
    names = [part.key for part in bench.config.refiners]
    if name not in names:
        msg = f"{bench.folder.path} has no refiner '{name}'. Available: {', '.join(names)}."
        raise UnknownNameError(msg)
    refiner = bench.registry.make_refiner(
        refiner_named(bench, name), channels=len(bench.loader.channels)
    )
    if not refiner.revises:
        msg = (
            f"refiner '{name}' of {bench.folder.path} waits for a stroke and changes nothing "
            f"before it. Leave out --refiner, or name one that looks at the image first, as "
            f"anchored does."
        )
        raise RunError(msg)
    if refiner.is_trainable:
        _check_trained(bench, refiner_path(bench, name), f"refiner '{name}'")
    return stored_refiner(bench, name)


def _mended(
    bench: Bench, refiner: Refiner, sample: Sample, logits: Logits, name: str, images: int
) -> NDArray[np.float32]:
    """Return what a session on this prediction begins with."""
    crops, _ = looked_at(sample.shape, bench.config.session)
    with bench.fast.running(name, refiner, images * len(crops)):
        return session_on(bench, refiner, sample, logits, name).logits


def _write(bench: Bench, logits: Logits, sample: Sample, source: str, output: Path) -> Prediction:
    # Beyond the object there is nothing to trace, whatever the network sees there.
    probability = _in_source_size(np.where(sample.roi, expit(logits), np.float32(0)), sample)
    mask = (probability > bench.config.session.threshold).astype(np.uint8) * 255
    name = sample.name.replace("/", "_")
    mask_path = output / "masks" / f"{name}.png"
    probability_path = output / "probabilities" / f"{name}.tif"
    with atomic_write(mask_path) as temporary:
        _, encoded = cv2.imencode(".png", mask)
        temporary.write_bytes(encoded.tobytes())
    with atomic_write(probability_path) as temporary:
        tifffile.imwrite(temporary, probability, compression="zlib")
    return Prediction(source, mask_path, probability_path)


def _in_source_size(probability: NDArray[np.float32], sample: Sample) -> NDArray[np.float32]:
    """Return a map resized from the working grid to the size of the source file."""
    if sample.source_shape in (None, sample.shape):
        return probability.astype(np.float32)
    height, width = sample.source_shape
    resized = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)


def _segmenter(bench: Bench) -> Segmenter:
    _check_trained(bench, segmenter_path(bench), "first-prediction network")
    return stored_segmenter(bench)


def _check_trained(bench: Bench, path: Path, what: str) -> None:
    if not path.exists():
        msg = (
            f"{bench.folder.path} holds no trained {what} ({path} does not exist). Finish that "
            f"run with --resume, or name another --run."
        )
        raise RunError(msg)


def _forward(progress: Progress, on_note: Callable[[str], None]) -> Observer:
    def observer(event: Event) -> None:
        if isinstance(event, Working):
            progress(event.what, event.done, event.total)
        elif isinstance(event, Note):
            on_note(event.message)

    return observer
