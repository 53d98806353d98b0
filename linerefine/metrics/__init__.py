"""Scores of masks against targets: pure functions, and metrics made of them.

Part of what plugins may rely on. `functional` holds counts and formulas,
`standard` the metrics `PseudoFMeasure`, `FMeasure`, `IoU` and `Dice`.
"""

from __future__ import annotations

from linerefine.metrics.functional import (
    confusion,
    dice,
    f_measure,
    iou,
    pseudo_counts,
    pseudo_f_measure,
)
from linerefine.metrics.standard import Dice, FMeasure, IoU, PseudoFMeasure

__all__ = [
    "Dice",
    "FMeasure",
    "IoU",
    "PseudoFMeasure",
    "confusion",
    "dice",
    "f_measure",
    "iou",
    "pseudo_counts",
    "pseudo_f_measure",
]
