"""What this plugin offers to linerefine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import linerefine as lr
from linerefine_etruscan_mirrors import options

if TYPE_CHECKING:
    from linerefine.interfaces import ModalityLoader, UserSimulator
    from linerefine.refiners.base import Refiner
    from linerefine.report import Report, RunResult
    from linerefine_etruscan_mirrors.options import GammaStrokeOptions, MirrorOptions

NAME = "etruscan_mirrors"


@lr.hookimpl
def linerefine_loaders() -> Iterator[lr.Entry[ModalityLoader]]:
    """Offer the loader of photometric-stereo scans."""
    summary = "Photometric-stereo scans of Etruscan mirrors, or drawn ones"
    yield lr.Entry(NAME, summary, _loader, options.MirrorOptions)


@lr.hookimpl
def linerefine_simulators() -> Iterator[lr.Entry[UserSimulator]]:
    """Offer strokes as wide as the drawings' lines."""
    summary = "longest, with half-widths measured on the training drawings"
    yield lr.Entry("gamma_stroke", summary, _simulator, options.GammaStrokeOptions)


@lr.hookimpl
def linerefine_refiners() -> Iterator[lr.Entry[Refiner]]:
    """Offer the paper's refiner."""
    from linerefine_etruscan_mirrors.refiner import unet_b6

    yield lr.Entry("unet_b6", "The paper's U-Net, EfficientNet-B6", unet_b6, options.UNetB6Options)


@lr.hookimpl
def linerefine_experiments() -> Iterator[lr.Experiment]:
    """Offer the paper's experiment."""
    summary = "The paper: interactive refinement of line drawings of Etruscan mirrors"
    yield lr.Experiment(
        NAME,
        summary,
        options.DEFAULTS,
        options.PROFILES,
        options.PROTOCOLS,
        _score_sheet,
        trained=_trained,
    )


@lr.hookimpl
def linerefine_studies() -> Iterator[lr.Study]:
    """Offer the paper's tables and figures."""
    from linerefine_etruscan_mirrors.studies import STUDIES

    yield from STUDIES


def _loader(options: MirrorOptions) -> ModalityLoader:
    from linerefine_etruscan_mirrors.loader import MirrorLoader

    return MirrorLoader(options)


def _simulator(options: GammaStrokeOptions) -> UserSimulator:
    from linerefine_etruscan_mirrors.simulator import GammaStroke

    return GammaStroke(options)


def _score_sheet(result: RunResult) -> Report:
    from linerefine_etruscan_mirrors.scoring import score_sheet  # pandas: only where used

    return score_sheet(result)


def _trained() -> Path:
    return Path(__file__).with_name("trained")
