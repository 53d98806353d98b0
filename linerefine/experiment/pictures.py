"""The pictures of a run, each drawn from what the run folder holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from linerefine.events import ArtifactWritten
from linerefine.experiment.bench import Bench
from linerefine.experiment.networks import fit_result
from linerefine.experiment.sessions import masks_path, test_samples
from linerefine.experiment.stored import prediction_path
from linerefine.geometry.centreline import half_widths
from linerefine.geometry.widths import width_statistics
from linerefine.report import RunResult
from linerefine.tracking import before_after, figures, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_pictures"]


def draw_pictures(bench: Bench, result: RunResult) -> None:
    """Draw and announce every picture: curves, stroke widths, before and after."""
    label = "phantoms" if result.tags.get("data") == "phantom" else ""
    for name, figure in _whole_run(bench, result, label):
        _keep(bench, figure, name)
    for refiner in result.rounds["refiner"].unique() if len(result.rounds) else ():
        for image, figure in _overlays(bench, str(refiner), label):
            _keep(bench, figure, f"overlay-{refiner}-{image}", refiner=str(refiner))


def _whole_run(bench: Bench, result: RunResult, label: str) -> Iterator[tuple[str, Figure]]:
    if len(result.rounds):
        yield "gain", figures.gain_curve(result.rounds, label=label)
        yield "workload", figures.workload(result.rounds, metric=bench.steering, label=label)
    widths = np.concatenate(
        [half_widths(target.mask & target.roi) for target in bench.training_targets()]
    )
    if widths.size:
        yield (
            "stroke-widths",
            figures.width_histogram(widths, width_statistics(widths), label=label),
        )
    for network in result.summary["training"]:
        fit = fit_result(bench, network)
        if fit is not None:
            yield f"training-{network}", figures.training_curve(fit["history"], title=network)


def _overlays(bench: Bench, refiner: str, label: str) -> Iterator[tuple[str, Figure]]:
    cut = bench.config.session.threshold
    for sample in test_samples(bench):
        path = masks_path(bench, refiner, sample.name)
        if not path.exists():
            continue
        with np.load(path) as masks:
            manual, refined = masks["manual"], masks["refined"]
        initial = np.load(prediction_path(bench, sample.name))
        yield (
            sample.name.replace("/", "_"),
            before_after.overlay(
                np.asarray(sample.image[0]),
                sample.target.mask if sample.target is not None else None,
                initial > np.log(cut / (1 - cut)),
                manual,
                refined,
                roi=sample.roi,
                title=f"{sample.name}, {refiner}" + (f" ({label})" if label else ""),
            ),
        )


def _keep(bench: Bench, figure: Figure, name: str, *, refiner: str | None = None) -> None:
    path = style.save_png(figure, bench.folder.figures / f"{name}.png")
    repeat = None if refiner is None else 0
    bench.notify(ArtifactWritten(path, "figures", refiner=refiner, repeat=repeat))
