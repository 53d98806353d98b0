"""The sets of drawn mirrors that runs without scans of their own use, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from linerefine.cache import atomic_folder, atomic_write
from linerefine.errors import ConfigError
from linerefine.types import Progress
from linerefine_etruscan_mirrors.files import Layout, View, write_view
from linerefine_etruscan_mirrors.phantom.damage import CONDITIONS, Condition
from linerefine_etruscan_mirrors.phantom.draw import LARGEST, draw_mirror
from linerefine_etruscan_mirrors.phantom.scene import Engraving
from linerefine_etruscan_mirrors.phantom.strokes import FULL_PIXELS_PER_MM

__all__ = ["SETS", "TEST_OBJECTS", "TEST_VIEWS", "MirrorSpec", "ensure_phantoms", "write_phantoms"]

log = logging.getLogger(__name__)

GENERATOR = 1
"""Raised whenever the same parameters would draw other pixels."""

TEST_OBJECTS = ("PHANTOM-CORRODED", "PHANTOM-GOOD", "PHANTOM-WORN")
"""Objects of each set that are meant for testing: three conditions, as the paper's three."""

TEST_VIEWS = tuple(f"{name}_R" for name in TEST_OBJECTS)
"""Their views."""

README = """Drawn mirrors, made from geometry by linerefine-etruscan-mirrors.
They stand in for photometric-stereo scans; nothing measured on them says
anything about real mirrors. This folder can be deleted: it is made anew.
"""


@dataclass(frozen=True)
class MirrorSpec:
    """One drawn mirror: everything that decides its pixels.

    Parameters
    ----------
    object_name : str
        Name of its folder; its one view, the back, adds ``_R``.
    seed : int
        Decides what the rest leaves open.
    shape : pair of int
        Rows and columns.
    pixels_per_mm : float
        Resolution.
    engraving : Engraving
        What is engraved.
    condition : Condition
        How it was preserved.
    """

    object_name: str
    seed: int
    shape: tuple[int, int]
    pixels_per_mm: float
    engraving: Engraving = field(default_factory=Engraving)
    condition: Condition = field(default_factory=Condition)

    def view(self, root: Path) -> View:
        """Return where the mirror is written under a data root."""
        return View(self.object_name, f"{self.object_name}_R", root, Layout())


def write_phantoms(root: Path, specs: Sequence[MirrorSpec], progress: Progress) -> None:
    """Draw mirrors into a data root, in the scans' own layout.

    Objects that are there already are left as they are, so a killed run goes on
    where it was; an object's folder appears only when all of it is written. Two
    processes may do this at once.

    Parameters
    ----------
    root : Path
        Data root; made if missing.
    specs : sequence of MirrorSpec
        What to draw.
    progress : callable
        Told how many are done.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    for done, spec in enumerate(specs):
        progress("drawing phantoms", done, len(specs))
        if not (root / spec.object_name).is_dir():
            _write(root, spec)
    progress("drawing phantoms", len(specs), len(specs))


def ensure_phantoms(cache: Path, name: str, progress: Progress) -> Path:
    """Return the data root of a set of drawn mirrors, drawing what is missing.

    Parameters
    ----------
    cache : Path
        linerefine's cache folder.
    name : str
        One of `SETS`.
    progress : callable
        Told how many mirrors are done.

    Raises
    ------
    ConfigError
        If there is no such set.
    DataError
        If a file cannot be written.

    Notes
    -----
    The folder is named after generator and parameters, so a new version draws
    its own and an old one is never mistaken for it.
    """
    if name not in SETS:
        msg = f"no set of phantoms is named '{name}'. Available: {', '.join(sorted(SETS))}."
        raise ConfigError(msg)
    specs = SETS[name]
    root = cache / "phantoms" / f"{name}-{GENERATOR}-{_digest(specs)}"
    if not all((root / spec.object_name).is_dir() for spec in specs):
        log.info("drawing the phantoms '%s' into %s", name, root)
        with atomic_write(root / "README.txt") as temporary:
            temporary.write_text(README, encoding="utf-8")
        write_phantoms(root, specs, progress)
    return root


def _write(root: Path, spec: MirrorSpec) -> None:
    phantom = draw_mirror(
        spec.seed,
        spec.shape,
        spec.pixels_per_mm,
        engraving=spec.engraving,
        condition=spec.condition,
    )
    with atomic_folder(root / spec.object_name) as folder:
        view = spec.view(folder.parent)
        write_view(
            View(folder.name, view.name, folder.parent, view.layout),
            depth=phantom.depth,
            normals=phantom.normals,
            albedo=phantom.albedo,
            lines=phantom.lines,
            mask=phantom.mask,
            resolution=phantom.pixels_per_mm,
        )


def _digest(specs: Sequence[MirrorSpec]) -> str:
    parameters = json.dumps([asdict(spec) for spec in specs], sort_keys=True)
    return hashlib.sha256(parameters.encode()).hexdigest()[:12]


Plan = tuple[str, Engraving, str]
"""Name, engraving and condition of a mirror."""


def _specs(
    plans: Sequence[Plan], shape: tuple[int, int], pixels_per_mm: float, first_seed: int
) -> tuple[MirrorSpec, ...]:
    return tuple(
        MirrorSpec(name, seed, shape, pixels_per_mm, engraving, CONDITIONS[condition])
        for seed, (name, engraving, condition) in enumerate(plans, first_seed)
    )


_QUICK: tuple[Plan, ...] = (
    ("PHANTOM-01", Engraving(2, ("tongues",), 1, 2), "good"),
    ("PHANTOM-02", Engraving(1, ("scales",), 1, 3), "fair"),
    ("PHANTOM-03", Engraving(1, ("leaves",), 1, 3), "worn"),
    ("PHANTOM-04", Engraving(2, ("rosettes",), 1, 2), "corroded"),
    ("PHANTOM-05", Engraving(1, ("zigzag",), 1, 3), "fair"),
    ("PHANTOM-CORRODED", Engraving(1, ("dots",), 1, 2), "corroded"),
    ("PHANTOM-GOOD", Engraving(1, ("hatching",), 2, 3), "good"),
    ("PHANTOM-WORN", Engraving(1, ("tongues",), 1, 2), "worn"),
)

_FULL: tuple[Plan, ...] = (
    ("PHANTOM-01", Engraving(3, ("tongues", "scales"), 3, 6), "good"),
    ("PHANTOM-02", Engraving(2, ("leaves",), 2, 8), "fair"),
    ("PHANTOM-03", Engraving(4, ("zigzag", "dots"), 4, 6), "worn"),
    ("PHANTOM-04", Engraving(3, ("rosettes",), 2, 6), "corroded"),
    ("PHANTOM-05", Engraving(2, ("waves", "hatching"), 2, 8), "good"),
    ("PHANTOM-06", Engraving(0, ("scales", "tongues", "zigzag"), 0, 0), "fair"),
    ("PHANTOM-07", Engraving(3, ("arcades",), 3, 8), "fair"),
    ("PHANTOM-08", Engraving(4, ("leaves", "hatching"), 4, 5), "worn"),
    ("PHANTOM-09", Engraving(2, ("scales",), 2, 8), "corroded"),
    ("PHANTOM-CORRODED", Engraving(2, ("hatching",), 2, 6), "corroded"),
    ("PHANTOM-GOOD", Engraving(3, ("leaves", "tongues"), 3, 6), "good"),
    ("PHANTOM-WORN", Engraving(3, ("scales",), 2, 6), "worn"),
)

_SHIP: tuple[Plan, ...] = (
    ("PHANTOM-S01", Engraving(2, ("scales",), 1, 3), "good"),
    ("PHANTOM-S02", Engraving(1, ("waves",), 1, 2), "worn"),
    ("PHANTOM-S03", Engraving(2, ("leaves",), 2, 2), "fair"),
    ("PHANTOM-S04", Engraving(1, ("arcades",), 1, 3), "corroded"),
    ("PHANTOM-S05", Engraving(2, ("hatching",), 1, 2), "fair"),
    ("PHANTOM-S06", Engraving(1, ("tongues",), 2, 3), "corroded"),
    ("PHANTOM-S07", Engraving(2, ("dots",), 1, 2), "worn"),
    ("PHANTOM-S08", Engraving(0, ("rosettes", "zigzag"), 0, 0), "good"),
    ("PHANTOM-S09", Engraving(1, ("zigzag",), 1, 2), "corroded"),
    ("PHANTOM-S10", Engraving(2, ("arcades",), 2, 3), "worn"),
    ("PHANTOM-S11", Engraving(1, ("rosettes",), 1, 3), "good"),
    ("PHANTOM-S12", Engraving(2, ("tongues",), 1, 2), "fair"),
    ("PHANTOM-S13", Engraving(1, ("hatching",), 1, 3), "worn"),
    ("PHANTOM-S14", Engraving(2, ("leaves",), 1, 2), "corroded"),
    ("PHANTOM-S15", Engraving(1, ("dots",), 2, 3), "fair"),
    ("PHANTOM-S16", Engraving(2, ("waves",), 1, 2), "good"),
)

_SMALL, _HALF = (1344, 1792), FULL_PIXELS_PER_MM / 2
"""Small mirrors at the resolution that full scans are worked on at, half their own."""

SETS: dict[str, tuple[MirrorSpec, ...]] = {
    "quick": _specs(_QUICK, _SMALL, _HALF, 100),
    # The quick ones, those for testing included, and twice as many more to train on.
    "ship": _specs(_QUICK, _SMALL, _HALF, 100) + _specs(_SHIP, _SMALL, _HALF, 300),
    "full": _specs(_FULL, LARGEST, FULL_PIXELS_PER_MM, 200),
}
"""Sets of drawn mirrors by name."""
