"""Scores of masks against targets: pure functions, and metrics made of them.

Part of what plugins may rely on. `functional` holds counts and formulas of
pixels, `standard` the metrics made of them, which are additive; the other
modules look at centrelines and topology, each at one side of it, functions and
metric together. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linerefine.metrics.cldice import ClDice, cldice_counts
    from linerefine.metrics.distance import CentrelineDistance, CentrelineDistance95
    from linerefine.metrics.functional import (
        confusion,
        dice,
        f_measure,
        iou,
        pseudo_counts,
        pseudo_f_measure,
    )
    from linerefine.metrics.lengths import LengthBias, length_bias
    from linerefine.metrics.paths import PathSimilarity, path_errors, path_similarity
    from linerefine.metrics.standard import Dice, FMeasure, IoU, PseudoFMeasure
    from linerefine.metrics.tolerance import CentrelineF, centreline_f, tolerance_counts
    from linerefine.metrics.topology import (
        Betti0Error,
        Betti1Error,
        betti_errors,
        betti_numbers,
    )

__all__ = [
    "Betti0Error",
    "Betti1Error",
    "CentrelineDistance",
    "CentrelineDistance95",
    "CentrelineF",
    "ClDice",
    "Dice",
    "FMeasure",
    "IoU",
    "LengthBias",
    "PathSimilarity",
    "PseudoFMeasure",
    "betti_errors",
    "betti_numbers",
    "centreline_f",
    "cldice_counts",
    "confusion",
    "dice",
    "f_measure",
    "iou",
    "length_bias",
    "path_errors",
    "path_similarity",
    "pseudo_counts",
    "pseudo_f_measure",
    "tolerance_counts",
]

_HOME = {
    "Betti0Error": "topology",
    "Betti1Error": "topology",
    "CentrelineDistance": "distance",
    "CentrelineDistance95": "distance",
    "CentrelineF": "tolerance",
    "ClDice": "cldice",
    "Dice": "standard",
    "FMeasure": "standard",
    "IoU": "standard",
    "LengthBias": "lengths",
    "PathSimilarity": "paths",
    "PseudoFMeasure": "standard",
    "betti_errors": "topology",
    "betti_numbers": "topology",
    "centreline_f": "tolerance",
    "cldice_counts": "cldice",
    "length_bias": "lengths",
    "path_errors": "paths",
    "path_similarity": "paths",
    "tolerance_counts": "tolerance",
}
"""Module by name; all other names are those of `functional`."""


def __getattr__(name: str) -> object:
    """Import what is asked for: the option models need no NumPy, and must not wait for it."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'functional')}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
