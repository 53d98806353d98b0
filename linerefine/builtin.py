"""The core's own components, announced through the same hooks as any plugin's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from linerefine.config import QUICK, Component, ExperimentConfig, Options
from linerefine.hooks import Entry, Experiment, Study, Variant, hookimpl
from linerefine.refiners.ingredients import ADDITIONS, INGREDIENTS, RIVAL, TRAINING

if TYPE_CHECKING:
    from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
    from linerefine.loaders.options import FolderOptions
    from linerefine.metrics.options import BettiOptions, CentrelineFOptions, PathOptions
    from linerefine.refiners.base import Refiner
    from linerefine.refiners.options import (
        AnchoredOptions,
        DeepLabOptions,
        IterNetOptions,
        PANOptions,
        UNetOptions,
    )
    from linerefine.simulators.options import ClicksOptions, LongestOptions, ScribblesOptions

__all__ = [
    "linerefine_experiments",
    "linerefine_loaders",
    "linerefine_metrics",
    "linerefine_refiners",
    "linerefine_simulators",
    "linerefine_studies",
]


@hookimpl
def linerefine_loaders() -> Iterator[Entry[ModalityLoader]]:
    """Offer the loader of plain folders."""
    from linerefine.loaders.options import FolderOptions

    yield Entry("folder", "images/ masks/ [masks2/] [fov/] in one folder", _folder, FolderOptions)


@hookimpl
def linerefine_simulators() -> Iterator[Entry[UserSimulator]]:
    """Offer short strokes on the longest error, and two ways of the literature."""
    from linerefine.simulators.options import ClicksOptions, LongestOptions, ScribblesOptions

    yield Entry("longest", "the largest error first, fixed width", _longest, LongestOptions)
    summary = "a dot deep inside the largest error region (DIOS, ITIS)"
    yield Entry("clicks", summary, _clicks, ClicksOptions)
    summary = "a long line through the largest error region (UI-Net)"
    yield Entry("scribbles", summary, _scribbles, ScribblesOptions)


@hookimpl
def linerefine_refiners() -> Iterator[Entry[Refiner]]:
    """Offer networks, one that needs no strokes, and the baseline without a network."""
    from linerefine.refiners import options

    summary = "image, first prediction and strokes in one network; any architecture of smp"
    yield Entry("unet", summary, _unet, options.UNetOptions)
    summary = "unet with DeepLabV3+ in its place"
    yield Entry("deeplabv3plus", summary, _deeplabv3plus, options.DeepLabOptions)
    summary = "unet with a Pyramid Attention Network in its place"
    yield Entry("pan", summary, _pan, options.PANOptions)
    summary = "a network that mends its own answer and never sees strokes"
    yield Entry("iternet", summary, _iternet, options.IterNetOptions)
    summary = "keeps its last answer but for what it is sure of, and holds every stroke"
    yield Entry("anchored", summary, _anchored, options.AnchoredOptions, training=TRAINING)
    yield Entry("manual", "strokes pasted on the first prediction: the baseline", _manual)


@hookimpl
def linerefine_metrics() -> Iterator[Entry[Metric]]:
    """Offer the metrics that every line dataset needs: of pixels, then of whole lines."""
    thinned = "pseudo-F-measure: recall counted on the thinned target"
    yield Entry("pfm", thinned, _pfm)
    yield Entry("iou", "intersection over union", _iou)
    yield Entry("f_measure", "harmonic mean of precision and recall", _f_measure)
    yield Entry("dice", "twice the intersection over the sum of both sizes", _dice)
    yield from _metrics_of_lines()


def _metrics_of_lines() -> Iterator[Entry[Metric]]:
    from linerefine.metrics.options import BettiOptions, CentrelineFOptions, PathOptions

    offers: tuple[tuple[str, str, Callable[..., Metric], type[Options]], ...] = (
        ("centreline_f", "F-measure of centrelines", _centreline_f, CentrelineFOptions),
        ("cldice", "clDice: centrelines on the other mask", _cldice, Options),
        ("centreline_distance", "mean distance of centrelines", _distance, Options),
        ("centreline_distance_95", "95th percentile of that distance", _distance_95, Options),
        ("path_similarity", "lengths of ways along the lines (APLS)", _paths, PathOptions),
        ("length_bias", "lines too long or too short in all", _length_bias, Options),
        ("betti0", "error of the number of pieces", _betti0, BettiOptions),
        ("betti1", "error of the number of holes", _betti1, BettiOptions),
    )
    for name, summary, factory, options in offers:
        yield Entry(name, summary, factory, options, is_additive=False)


@hookimpl
def linerefine_experiments() -> Iterator[Experiment]:
    """Offer a run on any folder of images and masks."""
    defaults = ExperimentConfig(loader=Component(name="folder"))
    summary = "your own images and masks: --data-root FOLDER"
    yield Experiment("folder", summary, defaults, {"quick": QUICK, "paper": {}})


@hookimpl
def linerefine_studies() -> Iterator[Study]:
    """Offer the comparison of an experiment's refiners by the rules of both protocols."""
    yield Study(
        name="comparison",
        summary="an experiment's refiners by the rules of both protocols",
        source="no paper: your own images",
        experiment="folder",
        views=("patches", "sessions", "gain", "workload", "extremes", "training"),
    )
    yield Study(
        name="ingredients",
        summary="the refiner anchored, whole and with one ingredient less or more at a time",
        source="no paper: what each part of a refiner is worth",
        experiment="folder",
        views=("sessions", "gain", "extremes", "training"),
        variants=(
            Variant("unet", {"name": "unet"}),
            Variant("unet_strokes_near", {"name": "unet", "training": RIVAL}),
            Variant("whole", {"name": "anchored"}),
            *(
                Variant(f"no_{name}", {"name": "anchored", **changes})
                for name, changes in INGREDIENTS.items()
            ),
            *(
                Variant(f"with_{name}", {"name": "anchored", **changes})
                for name, changes in ADDITIONS.items()
            ),
        ),
        protocols=("independent",),
        caveats="One training each: repeat it with --seed 1, 2 and so on before a row is believed.",
    )


def _folder(options: FolderOptions) -> ModalityLoader:
    from linerefine.loaders.folder import Folder

    return Folder(options)


def _longest(options: LongestOptions) -> UserSimulator:
    from linerefine.simulators.longest import Longest

    return Longest(options)


def _clicks(options: ClicksOptions) -> UserSimulator:
    from linerefine.simulators.clicks import Clicks

    return Clicks(options)


def _scribbles(options: ScribblesOptions) -> UserSimulator:
    from linerefine.simulators.scribbles import Scribbles

    return Scribbles(options)


def _unet(options: UNetOptions, channels: int) -> Refiner:
    from linerefine.refiners.unet import UNetRefiner

    return UNetRefiner(options, channels)


def _deeplabv3plus(options: DeepLabOptions, channels: int) -> Refiner:
    from linerefine.refiners.unet import DeepLabV3Plus

    return DeepLabV3Plus(options, channels)


def _pan(options: PANOptions, channels: int) -> Refiner:
    from linerefine.refiners.unet import PAN

    return PAN(options, channels)


def _iternet(options: IterNetOptions, channels: int) -> Refiner:
    from linerefine.refiners.iternet import IterNet

    return IterNet(options, channels)


def _anchored(options: AnchoredOptions, channels: int) -> Refiner:
    from linerefine.refiners.anchored import Anchored

    return Anchored(options, channels)


def _manual(options: Options, channels: int) -> Refiner:
    from linerefine.refiners.manual import Manual

    return Manual(options, channels)


def _pfm(_: Options) -> Metric:
    from linerefine.metrics.standard import PseudoFMeasure

    return PseudoFMeasure()


def _iou(_: Options) -> Metric:
    from linerefine.metrics.standard import IoU

    return IoU()


def _f_measure(_: Options) -> Metric:
    from linerefine.metrics.standard import FMeasure

    return FMeasure()


def _dice(_: Options) -> Metric:
    from linerefine.metrics.standard import Dice

    return Dice()


def _centreline_f(options: CentrelineFOptions) -> Metric:
    from linerefine.metrics.tolerance import CentrelineF

    return CentrelineF(options)


def _cldice(_: Options) -> Metric:
    from linerefine.metrics.cldice import ClDice

    return ClDice()


def _distance(_: Options) -> Metric:
    from linerefine.metrics.distance import CentrelineDistance

    return CentrelineDistance()


def _distance_95(_: Options) -> Metric:
    from linerefine.metrics.distance import CentrelineDistance95

    return CentrelineDistance95()


def _paths(options: PathOptions) -> Metric:
    from linerefine.metrics.paths import PathSimilarity

    return PathSimilarity(options)


def _length_bias(_: Options) -> Metric:
    from linerefine.metrics.lengths import LengthBias

    return LengthBias()


def _betti0(options: BettiOptions) -> Metric:
    from linerefine.metrics.topology import Betti0Error

    return Betti0Error(options)


def _betti1(options: BettiOptions) -> Metric:
    from linerefine.metrics.topology import Betti1Error

    return Betti1Error(options)
