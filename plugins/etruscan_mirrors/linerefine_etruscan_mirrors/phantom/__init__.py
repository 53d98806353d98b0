"""Drawn mirrors: sample data made from geometry, in the scans' own file layout."""

from __future__ import annotations

from linerefine_etruscan_mirrors.phantom.damage import CONDITIONS, Condition
from linerefine_etruscan_mirrors.phantom.draw import LARGEST, Phantom, draw_mirror
from linerefine_etruscan_mirrors.phantom.scene import Engraving
from linerefine_etruscan_mirrors.phantom.sets import (
    SETS,
    TEST_OBJECTS,
    TEST_VIEWS,
    MirrorSpec,
    ensure_phantoms,
    write_phantoms,
)
from linerefine_etruscan_mirrors.phantom.strokes import FULL_PIXELS_PER_MM, WidthModel

__all__ = [
    "CONDITIONS",
    "FULL_PIXELS_PER_MM",
    "LARGEST",
    "SETS",
    "TEST_OBJECTS",
    "TEST_VIEWS",
    "Condition",
    "Engraving",
    "MirrorSpec",
    "Phantom",
    "WidthModel",
    "draw_mirror",
    "ensure_phantoms",
    "write_phantoms",
]
