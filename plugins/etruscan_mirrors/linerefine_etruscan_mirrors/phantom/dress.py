"""What the figures wear: a long chiton or a cloak, with folds and a bordered hem."""

from __future__ import annotations

import numpy as np

from linerefine_etruscan_mirrors.phantom.curves import Curve, between, resampled, spline
from linerefine_etruscan_mirrors.phantom.pen import Pen

__all__ = ["chiton", "cloak"]


def chiton(pen: Pen, neck: Curve) -> None:
    """Draw a long dress: neckline, folds to the belt, overfold, skirt with a bordered hem."""
    x = neck[0]
    pen.line(spline([(x - 0.25, 6.1), (x + 0.05, 5.75), (x + 0.3, 6.1)]))
    top_left = spline([(x - 0.2, 6.15), (x - 0.75, 5.9), (x - 0.6, 5.2), (x - 0.48, 4.55)])
    top_right = spline([(x + 0.22, 6.15), (x + 0.72, 5.9), (x + 0.66, 5.2), (x + 0.48, 4.55)])
    _folds(pen, top_left, top_right, pen.count(1.0, 0.17), begin=0.3)
    for height in (4.5, 4.5 - max(0.14, pen.finest)):
        pen.line(spline([(x - 0.5, height), (x, height - 0.06), (x + 0.5, height)]))
    pen.line(top_left)
    pen.line(top_right)
    pen.cover(np.concatenate([top_left, top_right[::-1]]))
    left = spline([(x - 0.5, 4.5), (x - 0.72, 3.6), (-0.85, 2.0), (-1.0, 0.3)])
    right = spline([(x + 0.5, 4.5), (x + 0.75, 3.6), (0.9, 2.0), (1.12, 0.3)])
    _overfold(pen, x)
    _hem(pen, left, right)
    _folds(pen, left, right, pen.count(1.9, 0.2), begin=0.05)
    pen.line(left)
    pen.line(right)
    pen.cover(np.concatenate([left, right[::-1]]))


def _overfold(pen: Pen, x: float) -> None:
    """Draw the short upper layer below the belt, ending in a zigzag."""
    steps = np.linspace(-0.78, 0.8, 9)
    drop = 3.35 + 0.16 * (-1.0) ** np.arange(9) + 0.25 * np.abs(steps)
    edge = np.stack([steps + x, drop], axis=1)
    pen.line(resampled(edge, 0.05))
    sides = [(x - 0.5, 4.45), *edge.tolist(), (x + 0.5, 4.45)]
    left, right = spline([sides[0], sides[1]]), spline([sides[-1], sides[-2]])
    _folds(pen, left, right, pen.count(1.2, 0.2), begin=0.1)
    pen.cover(sides)


def _hem(pen: Pen, left: Curve, right: Curve) -> None:
    """Two waving lines along the lower edge, dots or strokes between them."""
    waves = np.linspace(0, 1, 40)
    rise = max(0.22, 1.6 * pen.finest)
    lower = left[-1] + waves[:, None] * (right[-1] - left[-1])
    lower[:, 1] += 0.05 * np.cos(waves * 26)
    pen.line(lower)
    pen.line(lower + (0.0, rise))
    count = pen.count(2.0, 0.18)
    is_dotted = pen.rng.random() < 0.5
    for share in (np.arange(count) + 0.5) / max(count, 1):
        at = lower[int(share * 39)] + (0.0, 0.5 * rise)
        if is_dotted:
            pen.dot(at)
        else:
            pen.line([at + (-0.04, -0.4 * rise), at + (0.04, 0.4 * rise)], width=0.85)
    pen.cover(np.concatenate([lower, (lower + (0.0, rise))[::-1]]))


def _folds(pen: Pen, left: Curve, right: Curve, count: int, *, begin: float) -> None:
    """Lines between two edges of a cloth; every other one stops short."""
    for index in range(1, count + 1):
        share = index / (count + 1) + pen.rng.normal(0, 0.12 / (count + 1))
        fold = between(left, right, float(np.clip(share, 0.02, 0.98)))
        start = pen.rng.uniform(0, begin) if index % 2 else pen.rng.uniform(begin, 0.5)
        stop = 1.0 if index % 2 else pen.rng.uniform(0.75, 1.0)
        piece = fold[int(start * len(fold)) : max(int(stop * len(fold)), 2)]
        sag = 0.05 * np.sin(np.linspace(0, pen.rng.uniform(3, 7), len(piece)))
        pen.line(piece + np.stack([sag, np.zeros_like(sag)], axis=1), width=0.93)


def cloak(pen: Pen, shoulder: Curve) -> None:
    """Draw a cloak that hangs from the shoulder behind the body."""
    length = pen.rng.uniform(3.0, 4.6)
    outer = spline([shoulder, shoulder + (-0.75, -1.2), shoulder + (-0.95, -length)])
    inner = spline([shoulder + (0.15, -0.1), shoulder + (-0.1, -1.5), shoulder + (-0.25, -length)])
    _folds(pen, outer, inner, pen.count(0.7, 0.15), begin=0.2)
    steps = np.linspace(0, 1, 7)
    hem = outer[-1] + steps[:, None] * (inner[-1] - outer[-1])
    hem[:, 1] += 0.14 * (-1.0) ** np.arange(7)
    for line in (outer, inner, resampled(hem, 0.05)):
        pen.line(line)
    pen.cover(np.concatenate([outer, hem, inner[::-1]]))
