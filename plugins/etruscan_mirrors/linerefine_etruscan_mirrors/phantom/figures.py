"""Engraved figures: heads, limbs, dress and what they hold, in units of one head height.

A figure stands on y = 0 and looks to the right; about seven and a half heads
tall. Parts are drawn from front to back, each hiding what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from linerefine_etruscan_mirrors.phantom.borders import rosette
from linerefine_etruscan_mirrors.phantom.curves import (
    Curve,
    arc,
    arc_length,
    between,
    circle,
    offset,
    placed,
    resampled,
    spline,
)
from linerefine_etruscan_mirrors.phantom.dress import chiton, cloak
from linerefine_etruscan_mirrors.phantom.heads import head
from linerefine_etruscan_mirrors.phantom.pen import Pen, Point
from linerefine_etruscan_mirrors.phantom.sheet import Sheet

__all__ = ["ATTRIBUTES", "HEADS_TALL", "Figure", "draw_figure"]

ATTRIBUTES = ("spear", "thyrsus", "shield", "mirror", "nothing")
"""What a figure may hold."""

HEADS_TALL = 7.5

FOOT: list[Point] = [
    (-0.16, 0.3), (-0.22, 0.08), (-0.14, 0.0), (0.3, -0.02), (0.75, 0.0), (0.8, 0.09),
    (0.5, 0.17), (0.2, 0.3),
]  # fmt: skip
HAND: list[Point] = [
    (0.0, 0.1), (0.2, 0.15), (0.42, 0.1), (0.5, 0.0), (0.4, -0.1), (0.2, -0.14), (0.0, -0.1),
]  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """Who stands where.

    Parameters
    ----------
    at : pair of float
        Point on the ground below the figure, in millimetres.
    head : float
        Height of a head in millimetres.
    flip : bool
        Whether the figure looks to the left.
    is_draped : bool
        Dressed in a long chiton, else nude with a cloak.
    headdress : str
        One of `heads.HEADDRESSES`.
    holds : str
        One of `ATTRIBUTES`.
    is_winged : bool
    """

    at: Point
    head: float
    flip: bool
    is_draped: bool
    headdress: str
    holds: str
    is_winged: bool


def draw_figure(sheet: Sheet, figure: Figure) -> None:
    """Draw one figure, from front to back."""
    pen = Pen(sheet, figure.at, figure.head, flip=figure.flip)
    sway = pen.rng.normal(0, 0.12)
    neck = np.array([sway, 6.25])
    reach = _front_hand(pen, figure)
    _arm(pen, [neck + (0.55, -0.3), neck + (1.1, -1.45), reach])
    _attribute(pen, figure.holds, reach)
    head(pen, neck + (0.05, 0.62), pen.rng.normal(0, 0.12), figure.headdress)
    if figure.is_draped:
        chiton(pen, neck)
        _foot(pen, (0.55, 0.0))
        _foot(pen, (-0.45, 0.05))
    else:
        cloak(pen, neck + (-0.75, -0.35))
        _torso(pen, neck)
        _legs(pen, sway)
    back_hand = neck + (-1.5, -2.4 + pen.rng.normal(0, 0.35))
    _arm(pen, [neck + (-0.6, -0.35), neck + (-1.15, -1.4), back_hand])
    if figure.is_winged:
        _wing(pen, neck + (-0.4, -0.3))


def _front_hand(pen: Pen, figure: Figure) -> Curve:
    if figure.holds in {"spear", "thyrsus"}:
        return np.array([1.55, 5.9 + pen.rng.normal(0, 0.25)])
    return np.array([1.8 + pen.rng.normal(0, 0.15), 4.2 + pen.rng.uniform(-0.4, 1.3)])


def _limb(pen: Pen, joints: ArrayLike, half_widths: Sequence[float]) -> None:
    """Draw both outlines of a limb through its joints, then cover it."""
    middle = spline(joints, step=0.05)
    length = arc_length(middle)
    at = np.linspace(0, length[-1], len(half_widths))
    swell = np.interp(length, at, half_widths)
    left, right = offset(middle, swell), offset(middle, -swell)
    pen.line(left)
    pen.line(right)
    pen.cover(np.concatenate([left, right[::-1]]))


def _arm(pen: Pen, joints: list[Curve]) -> None:
    shoulder, elbow, wrist = joints
    angle = np.arctan2(*(wrist - elbow)[::-1])
    pen.line(placed([(0.2, 0.03), (0.46, 0.04)], wrist, angle), width=0.8)
    pen.line(placed([(0.2, -0.05), (0.45, -0.05)], wrist, angle), width=0.8)
    pen.shape(placed(spline(HAND, step=0.03), wrist, angle))
    if pen.rng.random() < 0.6:
        for shift in (-0.12, -0.22):
            pen.line(placed([(shift, 0.11), (shift, -0.11)], wrist, angle), width=0.85)
    _limb(pen, [shoulder, elbow, wrist], (0.25, 0.24, 0.2, 0.19, 0.12))


def _foot(pen: Pen, at: Point) -> None:
    sole = placed(spline(FOOT, step=0.04), at)
    if pen.rng.random() < 0.5:
        pen.line(placed([(0.05, 0.28), (0.3, 0.0)], at), width=0.8)
        pen.line(placed([(-0.1, 0.2), (0.12, 0.0)], at), width=0.8)
    pen.shape(sole)


def _legs(pen: Pen, sway: float) -> None:
    stride = pen.rng.uniform(0.3, 0.95)
    for side, knee_bend in ((1, 0.25), (-1, -0.05)):
        hip = np.array([0.28 * side + sway, 3.75])
        ankle = np.array([stride * side - 0.1, 0.25])
        knee = (hip + ankle) / 2 + (knee_bend + 0.1, 0.1)
        pen.line(placed(arc((0, 0), 0.2, 2.4, 4.2), knee), width=0.85)
        shin = resampled(np.stack([knee + (0.05, -0.4), ankle + (0.06, 0.4)]), 0.05)
        if pen.rng.random() < 0.5:
            pen.line(shin, width=0.8, depth=0.8)
        _foot(pen, (float(ankle[0]), 0.0))
        _limb(pen, [hip, knee, ankle], (0.46, 0.42, 0.29, 0.3, 0.27, 0.15))


def _torso(pen: Pen, neck: Curve) -> None:
    x = neck[0]
    pen.line(spline([(x - 0.5, 5.25), (x - 0.25, 5.1), (x, 5.2), (x + 0.28, 5.1), (x + 0.5, 5.3)]))
    pen.line(spline([(x, 5.85), (x + 0.03, 5.2), (x, 4.5), (x, 4.0)]), width=0.9)
    for height in (4.85, 4.5):
        pen.line(spline([(x - 0.3, height), (x, height - 0.08), (x + 0.3, height)]), width=0.85)
    pen.dot((x, 4.28))
    pen.line(spline([(x - 0.5, 4.0), (x - 0.15, 3.55), (x, 3.4)]))
    pen.line(spline([(x + 0.5, 4.0), (x + 0.15, 3.55), (x, 3.4)]))
    left = spline(
        [(x - 0.2, 6.2), (x - 0.72, 5.9), (x - 0.62, 5.2), (x - 0.5, 4.5), (x - 0.6, 3.7)]
    )
    right = spline(
        [(x + 0.2, 6.2), (x + 0.7, 5.9), (x + 0.62, 5.2), (x + 0.5, 4.5), (x + 0.6, 3.7)]
    )
    pen.line(left)
    pen.line(right)
    pen.cover(np.concatenate([left, right[::-1]]))


def _wing(pen: Pen, root: Curve) -> None:
    """Scaly covert, then long feathers."""
    top = spline([root, root + (-0.8, 0.9), root + (-2.0, 1.0), root + (-3.0, -0.4)])
    low = spline(
        [root + (0.0, -0.7), root + (-0.8, -0.4), root + (-1.5, -0.9), root + (-1.9, -2.1)]
    )
    middle = between(top, low, 0.4)
    for share in np.linspace(0.25, 1, max(pen.count(2.6, 0.24), 3)):
        start, stop = (curve[int(share * (len(curve) - 1))] for curve in (middle, low))
        tip = stop + (-0.1, -0.12)
        pen.line(spline([start, (start + stop) / 2 + (-0.06, 0.0), tip]))
    for share in np.linspace(0.1, 0.95, max(pen.count(2.6, 0.36), 3)):
        a, b = (curve[int(share * (len(curve) - 1))] for curve in (top, middle))
        pen.line(placed(arc((0, 0), 0.16, 0, np.pi), (a + b) / 2, np.arctan2(*(b - a)[::-1]) + 1.6))
    for curve in (top, low, middle):
        pen.line(curve)
    pen.cover(np.concatenate([top, low[::-1]]))


def _attribute(pen: Pen, name: str, hand: Curve) -> None:
    if name in {"spear", "thyrsus"}:
        _staff(pen, hand, name)
    elif name == "shield":
        for radius in (1.25, 1.25 - max(0.16, pen.finest), 0.6):
            pen.line(circle(hand, radius))
        rosette(pen.sheet, pen.on_sheet([hand])[0], 0.5 * pen.head, 8)
        pen.cover(circle(hand, 1.25))
    elif name == "mirror":
        pen.shape(circle(hand + (0.5, 0.75), 0.42))
        pen.line([hand + (0.2, 0.05), hand + (0.36, 0.38)], width=1.2)


def _staff(pen: Pen, hand: Curve, name: str) -> None:
    lean = pen.rng.normal(0, 0.08)
    along = np.array([np.sin(lean), np.cos(lean)])
    foot, top = hand - along * (hand[1] - 0.1), hand + along * pen.rng.uniform(1.2, 1.8)
    gap = max(0.07, 0.7 * pen.finest)
    for side in (-0.5, 0.5):
        pen.line(resampled(np.stack([foot, top]), 0.05) + (side * gap, 0.0))
    if name == "spear":
        blade = [(0, 0), (0.16, 0.25), (0, 0.8), (-0.16, 0.25), (0, 0)]
        pen.line(placed(resampled(np.array(blade), 0.05), top, -lean))
        pen.line(placed([(0, 0.1), (0, 0.65)], top, -lean), width=0.8)
    else:
        for ring in (0.28, 0.16):
            pen.line(circle(top + along * 0.28, ring))
