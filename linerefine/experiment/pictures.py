"""The pictures of a run, each drawn from what the run folder holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from linerefine.cache import atomic_write
from linerefine.evaluation.sessions import by_hand, image_gains, sessions_of
from linerefine.events import ArtifactWritten, SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.networks import fit_result
from linerefine.experiment.replay import story
from linerefine.experiment.sessions import masks_path, test_samples
from linerefine.experiment.stored import prediction_path
from linerefine.geometry.centreline import half_widths
from linerefine.geometry.widths import width_statistics
from linerefine.report import RunResult
from linerefine.samples import Sample
from linerefine.tracking import bands, bars, before_after, figures, strips, style
from linerefine.tracking.tables import percent
from linerefine.tracking.traces import helping

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_pictures"]

MOST_OVERLAYS = 8
"""Images that are drawn before and after, per refiner; best and worst are drawn in any case."""


def draw_pictures(bench: Bench, result: RunResult) -> None:
    """Draw and announce every picture: curves, stroke widths, before and after."""
    label = "phantoms" if result.tags.get("data") == "phantom" else ""
    for name, figure in _whole_run(bench, result, label):
        _keep(bench, figure, name)
    for refiner in result.rounds["refiner"].unique() if len(result.rounds) else ():
        for image, figure in _overlays(bench, str(refiner), label):
            _keep(bench, figure, f"overlay-{refiner}-{image}", refiner=str(refiner))
    if len(result.rounds):
        sessions = sessions_of(result.rounds, result.config)
        for refiner in helping(result.rounds):
            _draw_chosen(bench, result, refiner, image_gains(sessions, refiner), label)


def _whole_run(bench: Bench, result: RunResult, label: str) -> Iterator[tuple[str, Figure]]:
    if len(result.rounds):
        yield from _curves(bench, result, label)
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
            figure = figures.training_curve(fit["history"], kept=fit["best_epoch"], title=network)
            yield f"training-{network}", figure


def _curves(bench: Bench, result: RunResult, label: str) -> Iterator[tuple[str, Figure]]:
    rounds, metric, loop = result.rounds, bench.steering, bench.config.evaluation.loop
    yield "gain", figures.gain_curve(rounds, label=label)
    yield "gain-bands", bands.gain_bands(rounds, label=label)
    yield "score-bands", bands.score_bands(rounds, metric=metric, loop=loop, label=label)
    manual = by_hand(bench.config.refiners)
    if loop == "shared":
        yield "workload", figures.workload(rounds, metric=metric, label=label)
        yield "effort", bars.effort_bars(rounds, metric=metric, label=label)
    elif manual in set(rounds["refiner"]):
        yield (
            "effort",
            bars.effort_bars(rounds, metric=metric, loop=loop, by_hand=manual, label=label),
        )


def _overlays(bench: Bench, refiner: str, label: str) -> Iterator[tuple[str, Figure]]:
    for sample in islice(test_samples(bench), MOST_OVERLAYS):
        shown = _shown(bench, refiner, sample)
        if shown is not None:
            yield (
                sample.name.replace("/", "_"),
                before_after.overlay(
                    shown.image,
                    shown.target,
                    shown.initial,
                    shown.manual,
                    shown.refined,
                    roi=shown.roi,
                    title=f"{sample.name}, {refiner}" + (f" ({label})" if label else ""),
                ),
            )


def _shown(
    bench: Bench, refiner: str, sample: Sample, title: str = ""
) -> before_after.Shown | None:
    """Return an image before and after a refiner's first session; None if there was none."""
    path = masks_path(bench, refiner, sample.name)
    if not path.exists():
        return None
    cut = bench.config.session.threshold
    with np.load(path) as masks:
        manual, refined = masks["manual"], masks["refined"]
    return before_after.Shown(
        image=np.asarray(sample.image[0]),
        target=sample.target.mask if sample.target is not None else None,
        initial=np.load(prediction_path(bench, sample.name)) > np.log(cut / (1 - cut)),
        manual=manual,
        refined=refined,
        roi=sample.roi,
        title=title,
    )


# ------------------------------------------------------- chosen by their gain


def _draw_chosen(
    bench: Bench, result: RunResult, refiner: str, gains: Mapping[str, float], label: str
) -> None:
    """Draw the images with the largest and the smallest gain, and a tile of the first of them."""
    names = list(dict.fromkeys([*list(gains)[:1], *list(gains)[-1:]]))
    titles = ["largest gain", "smallest gain"] if len(names) > 1 else [""]
    shown = []
    for name, title in zip(names, titles, strict=False):
        said = _said(bench, result, SessionKey(refiner, 0, name), title, gains[name])
        part = _shown(bench, refiner, bench.loaded(name), said)
        shown += [] if part is None else [part]
    if not shown:
        return
    title = f"{refiner} ({label})" if label else refiner
    _keep(bench, before_after.extremes(shown, title=title), f"extremes-{refiner}", refiner=refiner)
    told = story(bench, SessionKey(refiner, 0, names[0]))
    if told is not None:
        _keep_story(bench, told, refiner)


def _said(bench: Bench, result: RunResult, key: SessionKey, which: str, gain: float) -> str:
    """Return what is written above a chosen image: why, and the scores of the session shown."""
    rounds, metric = result.rounds, bench.steering
    is_shown = (rounds["refiner"] == key.refiner) & (rounds["image"] == key.image)
    session = rounds[is_shown & (rounds["repeat"] == key.repeat)].sort_values("round")
    first, last = session.iloc[0], session.iloc[-1]
    start = percent(float(first[f"refined_{metric}"]))
    ends = " / ".join(percent(float(last[f"{side}_{metric}"])) for side in ("manual", "refined"))
    name = f"{which}: {key.image}" if which else key.image
    return (
        f"{name}, mean gain {percent(gain, signed=True)}, after {len(session) - 1} strokes "
        f"{style.metric_title(metric)} {start} \N{RIGHTWARDS ARROW} {ends} pasted / refined"
    )


def _keep_story(bench: Bench, told: strips.Story, refiner: str) -> None:
    path = bench.folder.figures / f"tile-{refiner}.png"
    with atomic_write(path) as temporary:
        strips.strip(told).save(temporary, format="PNG")
    moving = strips.save_gif(strips.animation(told), path.with_suffix(".gif"))
    for written in (path, moving):
        bench.notify(ArtifactWritten(written, "figures", refiner=refiner, repeat=0))


def _keep(bench: Bench, figure: Figure, name: str, *, refiner: str | None = None) -> None:
    path = style.save_png(figure, bench.folder.figures / f"{name}.png")
    repeat = None if refiner is None else 0
    bench.notify(ArtifactWritten(path, "figures", refiner=refiner, repeat=repeat))
