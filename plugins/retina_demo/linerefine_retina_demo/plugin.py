"""What this plugin offers: a loader, and an experiment around it."""

from __future__ import annotations

from collections.abc import Iterator

import linerefine as lr
from linerefine_retina_demo.options import DEFAULTS, PROFILES, RetinaOptions

__all__ = ["linerefine_experiments", "linerefine_loaders"]


@lr.hookimpl
def linerefine_loaders() -> Iterator[lr.Entry[lr.ModalityLoader]]:
    """Offer the loader."""
    yield lr.Entry("retina_demo", "fundus photographs of the eye", _make_loader, RetinaOptions)


@lr.hookimpl
def linerefine_experiments() -> Iterator[lr.Experiment]:
    """Offer the experiment."""
    summary = "retinal vessels; drawn ones without --data-root"
    yield lr.Experiment("retina_demo", summary, DEFAULTS, PROFILES)


def _make_loader(options: RetinaOptions) -> lr.ModalityLoader:
    from linerefine_retina_demo.loader import Retina  # only when it is used

    return Retina(options)
