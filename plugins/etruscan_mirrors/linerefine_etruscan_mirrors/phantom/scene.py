"""What is engraved on one mirror: borders, figures on a ground line, inscriptions, fillings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linerefine.errors import ConfigError
from linerefine_etruscan_mirrors.phantom.borders import BORDERS, draw_border, rosette
from linerefine_etruscan_mirrors.phantom.curves import arc, circle, placed, spline
from linerefine_etruscan_mirrors.phantom.figures import (
    ATTRIBUTES,
    HEADS_TALL,
    Figure,
    draw_figure,
)
from linerefine_etruscan_mirrors.phantom.heads import HEADDRESSES
from linerefine_etruscan_mirrors.phantom.lettering import inscribe
from linerefine_etruscan_mirrors.phantom.sheet import Line, Sheet

__all__ = ["Engraving", "engrave"]


@dataclass(frozen=True)
class Engraving:
    """How much is engraved on a mirror, and what.

    Parameters
    ----------
    figures : int
        Number of figures, 1 to 4; 0 engraves a large rosette instead.
    borders : tuple of str
        Ornamental bands from the rim inwards, names of `borders.BORDERS`.
    inscriptions : int
        Number of names written beside the figures.
    fillings : int
        Number of small stars, rosettes and sprays in the field.
    """

    figures: int = 2
    borders: tuple[str, ...] = ("tongues",)
    inscriptions: int = 2
    fillings: int = 4

    def __post_init__(self) -> None:
        """Refuse borders that nobody can draw."""
        unknown = sorted(set(self.borders) - set(BORDERS))
        if unknown or not 0 <= self.figures <= 4:
            msg = (
                f"engraving has borders {unknown} and {self.figures} figures, expected borders "
                f"among {sorted(BORDERS)} and 0 to 4 figures."
            )
            raise ConfigError(msg)


def engrave(radius: float, engraving: Engraving, rng: np.random.Generator) -> list[Line]:
    """Return the lines engraved on a mirror.

    Parameters
    ----------
    radius : float
        Of the disc, in millimetres; its centre is the origin, its handle points to -y.
    engraving : Engraving
        What to engrave.
    rng : numpy.random.Generator
        Where all choices come from.
    """
    sheet = Sheet(1.5 * radius, rng)
    field = _borders(sheet, radius, engraving.borders)
    _handle(sheet, radius)
    sheet.cover_outside(circle((0, 0), field))
    if engraving.figures:
        _figures(sheet, field, engraving.figures)
    else:
        rosette(sheet, (0.0, 0.0), 0.6 * field, 12)
        sheet.cover(circle((0, 0), 0.65 * field))
    _inscriptions(sheet, field, engraving.inscriptions)
    for _ in range(engraving.fillings):
        _filling(sheet, field)
    _ground(sheet, field)
    return sheet.lines


def _borders(sheet: Sheet, radius: float, names: tuple[str, ...]) -> float:
    """Draw the bands and return the radius of the field that they leave."""
    outer = 0.92 * radius
    for name in names:
        height = max(radius * sheet.rng.uniform(0.075, 0.115), 2.4)
        draw_border(sheet, name, outer - height, outer)
        outer -= height + 0.012 * radius
    return outer - 0.02 * radius


def _handle(sheet: Sheet, radius: float) -> None:
    """Volutes and a leaf where the disc runs into the tang."""
    for flip in (False, True):
        turn = np.linspace(0, 3.3 * np.pi, 60)
        coil = (0.09 * radius * np.exp(-0.13 * turn))[:, None]
        volute = coil * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        sheet.add(
            placed(volute, (-0.12 * radius if flip else 0.12 * radius, -1.1 * radius), flip=flip)
        )
    leaf = spline([(0, 0), (0.35, 0.18), (1, 0), (0.35, -0.18), (0, 0)])
    for angle in (-0.5, 0.0, 0.5):
        sheet.add(placed(leaf, (0, -1.14 * radius), -np.pi / 2 + angle, 0.2 * radius))


def _figures(sheet: Sheet, field: float, count: int) -> None:
    rng = sheet.rng
    ground = -0.66 * field
    places = np.linspace(-1, 1, count) * {1: 0.0, 2: 0.36, 3: 0.52, 4: 0.58}[count]
    for index in rng.permutation(count):
        x = float(places[index]) * field
        room = np.sqrt(max((0.93 * field) ** 2 - (abs(x) + 0.08 * field) ** 2, 0)) - ground
        looks_left = x > 0.05 * field if rng.random() < 0.8 else rng.random() < 0.5
        figure = Figure(
            at=(x, ground + rng.normal(0, 0.01 * field)),
            head=min(room, 1.5 * field) / HEADS_TALL * rng.uniform(0.93, 1.0),
            flip=bool(looks_left),
            is_draped=bool(rng.random() < 0.55),
            headdress=str(rng.choice(HEADDRESSES)),
            holds=str(rng.choice(ATTRIBUTES)),
            is_winged=bool(rng.random() < 0.25),
        )
        draw_figure(sheet, figure)


def _ground(sheet: Sheet, field: float) -> None:
    """Draw the ground line, and below it hatching, scales or a palmette."""
    ground, rng = -0.66 * field, sheet.rng
    half = np.sqrt(field**2 - ground**2)
    for drop in (0.0, max(0.02 * field, 0.8)):
        sheet.add([(-half, ground - drop), (0.0, ground - drop - 0.1), (half, ground - drop)])
    below = ground - max(0.05 * field, 1.6)
    kind = rng.choice(["hatching", "scales", "palmette", "nothing"])
    if kind == "hatching":
        for x in np.arange(-half, half, max(0.05 * field, 2.0)):
            sheet.add([(x, below), (x + 0.12 * field, below - 0.3 * field)], width=0.95)
        sheet.add([(-half, below), (half, below)])
    elif kind == "scales":
        size = max(0.07 * field, 1.8)
        for row in range(int(0.36 * field / size)):
            for x in np.arange(-half, half, 2 * size) + size * (row % 2):
                sheet.add(arc((x, below - row * size), size, np.pi, 2 * np.pi))
    elif kind == "palmette":
        leaf = spline(
            [(0, 0), (0.5, 0.1), (0.95, 0.12), (1, 0), (0.95, -0.12), (0.5, -0.1), (0, 0)]
        )
        for angle in np.linspace(0.1, np.pi - 0.1, 9):
            sheet.add(placed(leaf, (0, -0.98 * field), angle, 0.27 * field))


def _inscriptions(sheet: Sheet, field: float, count: int) -> None:
    height = max(0.045 * field, 1.9)
    for _ in range(count):
        angle = sheet.rng.uniform(0.1 * np.pi, 0.9 * np.pi)
        lean = angle - np.pi / 2
        at = 0.86 * field * np.array([np.cos(angle), np.sin(angle)])
        inscribe(sheet, at, lean, height, int(sheet.rng.integers(4, 8)))


def _filling(sheet: Sheet, field: float) -> None:
    """Draw a star of dots, a small rosette or a spray of leaves somewhere in the field."""
    rng = sheet.rng
    angle, out = rng.uniform(0, 2 * np.pi), field * np.sqrt(rng.uniform(0.02, 0.7))
    at = out * np.array([np.cos(angle), np.sin(angle)])
    kind = rng.choice(["dots", "rosette", "spray"])
    if kind == "dots":
        for turn in 2 * np.pi * np.arange(7) / 7:
            sheet.dot(at + max(0.04 * field, 1.0) * np.array([np.cos(turn), np.sin(turn)]))
        sheet.dot(at)
    elif kind == "rosette":
        rosette(sheet, at, max(0.06 * field, 1.7), 6)
    else:
        stem = spline(
            placed([(0, 0), (0.1, 0.5), (-0.05, 1.0)], at, rng.uniform(-1, 1), 0.28 * field)
        )
        sheet.add(stem)
        leaf = spline([(0, 0), (0.5, 0.22), (1, 0), (0.5, -0.22), (0, 0)])
        for index in np.linspace(0.2, 0.95, 5) * (len(stem) - 1):
            for side in (-1, 1):
                lean = rng.uniform(0, 0.6) + (np.pi / 2 + side * 0.8)
                sheet.add(placed(leaf, stem[int(index)], lean, 0.07 * field))
