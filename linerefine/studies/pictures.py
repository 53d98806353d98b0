"""Views of a study that are pictures: curves, effort, widths, one tile stroke by stroke."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from linerefine.cache import atomic_write
from linerefine.config import MANUAL
from linerefine.evaluation.sessions import by_hand, image_gains, sessions_of
from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.loading import load_bench
from linerefine.experiment.networks import fit_result
from linerefine.experiment.replay import story
from linerefine.experiment.sessions import masks_path
from linerefine.experiment.stored import stored_prediction
from linerefine.geometry.centreline import half_widths
from linerefine.geometry.widths import width_statistics
from linerefine.report import Picture, RunResult, Section, Table
from linerefine.studies.perform import Outcome
from linerefine.tracking.bands import gain_bands, score_bands
from linerefine.tracking.bars import effort_bars
from linerefine.tracking.before_after import Shown, extremes
from linerefine.tracking.figures import MOST_LINES, gain_curve, training_curve, width_histogram
from linerefine.tracking.strips import animation, save_gif, strip
from linerefine.tracking.style import save_png

__all__ = [
    "extremes_view",
    "gain_view",
    "strip_view",
    "training_view",
    "widths_view",
    "workload_view",
]


def gain_view(outcome: Outcome) -> Section:
    """Show the gain, or what each person sees, over interactions (paper, Figure 5)."""
    return Section(
        "Over interactions",
        "Means over images and repeats; bands hold 95 % of what chance makes of the mean over "
        "these images. Sessions that ended earlier carry their last value forward.",
        tuple(_gain_pictures(outcome)),
    )


def _gain_pictures(outcome: Outcome) -> Iterator[Picture]:
    for protocol, result in outcome.results.items():
        if result.rounds.empty:
            continue
        loop, metric = result.config.evaluation.loop, result.config.metrics[0].name
        label = f"{outcome.data}, protocol {protocol}"
        if loop == "shared":
            figure = gain_curve(result.rounds, label=label)
            images = result.rounds["image"].nunique()
            caption = "Relative gain after the same strokes, per image; mean over repeats."
            if images > MOST_LINES:
                caption = (
                    f"Relative gain after the same strokes: mean of {images} images with a band of "
                    f"one standard deviation, each image as a thin line."
                )
            yield Picture(_saved(outcome, figure, f"images-{protocol}"), f"{caption} ({label})")
            figure = gain_bands(result.rounds, label=label)
            caption = "Relative gain of the refined over the manual mask after the same strokes."
            yield Picture(_saved(outcome, figure, f"gain-{protocol}"), f"{caption} ({label})")
        figure = score_bands(result.rounds, metric=metric, loop=loop, label=label)
        caption = f"{metric} of what is displayed, over interactions and over hinted pixels"
        yield Picture(_saved(outcome, figure, f"scores-{protocol}"), f"{caption} ({label}).")


def workload_view(outcome: Outcome) -> Section:
    """Show the effort by hand beside that with a refiner (paper, Figure 6)."""
    pictures = []
    for protocol, result in outcome.results.items():
        if result.rounds.empty:
            continue
        figure = effort_bars(
            result.rounds,
            metric=result.config.metrics[0].name,
            loop=result.config.evaluation.loop,
            by_hand=by_hand(result.config.refiners),
            label=f"{outcome.data}, protocol {protocol}",
        )
        caption = (
            f"Hinted pixels until the manual curve's best score is reached, by hand and with the "
            f"refiner, protocol {protocol}; means over the repeats that got there."
        )
        pictures.append(Picture(_saved(outcome, figure, f"workload-{protocol}"), caption))
    return Section("Effort", "", tuple(pictures))


def strip_view(outcome: Outcome) -> Section:
    """Show the tile that got most strokes: image, first prediction, a dozen strokes (Figure 4)."""
    pictures = []
    for protocol, result in outcome.results.items():
        bench = _bench(outcome, result)
        for key in _keys(result):
            told = story(bench, key)
            if told is None:
                continue
            name = f"{protocol}-{key.refiner}-{key.image.replace('/', '_')}"
            caption = (
                f"{key.image}, {key.refiner}, protocol {protocol}: the tile with most strokes."
            )
            still = _folder(outcome) / f"strip-{name}.png"
            with atomic_write(still) as temporary:
                strip(told).save(temporary, format="PNG")
            moving = save_gif(animation(told), _folder(outcome) / f"strip-{name}.gif")
            pictures += [Picture(still, caption), Picture(moving, f"{caption} Animated.")]
    text = (
        "Image, first prediction, and what the person sees after each stroke: found, missed and "
        "false line pixels, the latest stroke with a ring where it begins."
    )
    return Section("One tile, stroke by stroke", text, tuple(pictures))


def _keys(result: RunResult) -> Iterator[SessionKey]:
    """Yield the first session of every refiner on the first image, the manual person's left out."""
    if result.rounds.empty:
        return
    image = str(result.rounds["image"].min())
    for refiner in result.config.refiners:
        if refiner.name != MANUAL:
            yield SessionKey(refiner.key, 0, image)


def widths_view(outcome: Outcome) -> Section:
    """Show how wide lines are, and the gamma distribution fitted to them (paper, Figure 3)."""
    bench = _bench(outcome, outcome.first)
    targets = [target.mask & target.roi for target in bench.training_targets()]
    widths = np.concatenate([half_widths(mask) for mask in targets])
    statistics = width_statistics(widths)
    columns = ("kept_mean", "kept_sd", "gamma_shape", "gamma_loc", "gamma_scale", "count", "kept")
    ours = {"drawings": f"{outcome.data}, training", **{c: getattr(statistics, c) for c in columns}}
    table = Table(
        "Half-widths of lines",
        ("drawings", *columns),
        (ours, *outcome.study.published.get("widths", ())),
        note="Pixels; kept are those within two deviations of the mean of all.",
    )
    figure = width_histogram(widths, statistics, label=outcome.data)
    caption = "Half-widths along the centrelines of the training tracings, and the fitted gamma."
    return Section(
        "Stroke widths", "", (table, Picture(_saved(outcome, figure, "widths"), caption))
    )


def training_view(outcome: Outcome) -> Section:
    """Show how the networks learnt, and when they were best."""
    bench = _bench(outcome, outcome.first)
    rows, pictures = [], []
    for network in ("segmenter", *(part.key for part in outcome.first.config.refiners)):
        fit = fit_result(bench, network)
        if fit is None:
            continue
        names = ("best_epoch", "epochs", "steps", "best_score", "seconds")
        rows.append({"network": network, **{name: fit[name] for name in names}})
        figure = training_curve(fit["history"], kept=fit["best_epoch"], title=network)
        picture = _saved(outcome, figure, f"training-{network}")
        pictures.append(Picture(picture, f"Training of {network}: loss and validation scores."))
    table = Table(
        "Training",
        ("network", "best_epoch", "epochs", "steps", "best_score", "seconds"),
        tuple(rows),
        note="best_score: what training watched on its validation patches; the first-prediction "
        "network its score, a refiner its relative gain after one stroke.",
    )
    return Section("Training", "", (table, *pictures) if rows else ())


def extremes_view(outcome: Outcome) -> Section:
    """Show the images on which the refiners gained most and least."""
    pictures = []
    for protocol, result in outcome.results.items():
        bench = _bench(outcome, result)
        sessions = sessions_of(result.rounds, result.config)
        for key in (part.key for part in result.config.refiners if part.name != MANUAL):
            shown = _worst_and_best(bench, key, image_gains(sessions, key))
            if not shown:
                continue
            title = f"{key}, protocol {protocol} ({outcome.data})"
            path = _saved(outcome, extremes(shown, title=title), f"extremes-{protocol}-{key}")
            caption = (
                f"Most and least gain of {key}, protocol {protocol}; first repeat, at its end."
            )
            pictures.append(Picture(path, caption))
    return Section("Best and worst", "", tuple(pictures))


def _worst_and_best(bench: Bench, refiner: str, gains: Mapping[str, float]) -> list[Shown]:
    if not gains:
        return []
    names = list(gains)
    cut = np.log(bench.config.session.threshold / (1 - bench.config.session.threshold))
    shown = []
    for image in dict.fromkeys((names[0], names[-1])):
        sample = bench.loaded(image)
        with np.load(masks_path(bench, refiner, image)) as masks:
            manual, refined = masks["manual"], masks["refined"]
        initial = stored_prediction(bench, sample) > cut
        title = f"{image}: gain {gains[image]:+.1%}"
        picture = np.asarray(sample.image[0])
        shown.append(Shown(picture, sample.lines, initial, manual, refined, sample.roi, title))
    return shown


def _bench(outcome: Outcome, result: RunResult) -> Bench:
    return load_bench(outcome.registry, result.output, None, "cpu", Notifier([]))


def _folder(outcome: Outcome) -> Path:
    folder = outcome.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _saved(outcome: Outcome, figure: Figure, name: str) -> Path:
    return save_png(figure, _folder(outcome) / f"{name}.png")
