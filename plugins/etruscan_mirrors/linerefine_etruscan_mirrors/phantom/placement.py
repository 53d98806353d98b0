"""Where a mirror lies in the image, and its silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from linerefine.types import Mask
from linerefine_etruscan_mirrors.phantom.curves import Curve, placed, spline

__all__ = ["Placement", "place", "silhouette"]


@dataclass(frozen=True)
class Placement:
    """Maps millimetres on the mirror to pixels of the image.

    Parameters
    ----------
    shape : pair of int
        Rows and columns of the image.
    pixels_per_mm : float
        Resolution.
    radius : float
        Of the disc, in millimetres.
    centre : pair of float
        Row and column of the disc's centre.
    angle : float
        By which the mirror is turned, in radians counter-clockwise; at 0 its
        handle points down.
    """

    shape: tuple[int, int]
    pixels_per_mm: float
    radius: float
    centre: tuple[float, float]
    angle: float

    def to_pixels(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return row and column of points in millimetres, shape (K, 2)."""
        across = placed(points, (0.0, 0.0), self.angle, self.pixels_per_mm)
        return np.stack([self.centre[0] - across[:, 1], self.centre[1] + across[:, 0]], axis=1)


def place(shape: tuple[int, int], pixels_per_mm: float, rng: np.random.Generator) -> Placement:
    """Lay a mirror into the image, its handle along the longer edge, a ruler's room below.

    Parameters
    ----------
    shape : pair of int
        Rows and columns of the image.
    pixels_per_mm : float
        Resolution.
    rng : numpy.random.Generator
        Where its exact position comes from.
    """
    rows, cols = shape
    edge = 0.4 * min(shape)
    tilt = rng.normal(0, 0.03)
    shift = rng.normal(0, 0.008, 2) * min(shape)
    if cols >= rows:
        side = -1 if rng.random() < 0.5 else 1
        angle, col = side * np.pi / 2, cols / 2 - side * max(cols / 2 - 1.13 * edge, 0)
        row = 0.455 * rows
    else:
        angle, col, row = 0.0, cols / 2, 1.13 * edge
    centre = (float(row + shift[0] * 0.5), float(col + shift[1]))
    return Placement(shape, pixels_per_mm, edge / pixels_per_mm, centre, float(angle + tilt))


def silhouette(placement: Placement, chips: int, rng: np.random.Generator) -> Mask:
    """Return the pixels of the mirror, shape (H, W): disc and tang, its edge chipped.

    Parameters
    ----------
    placement : Placement
        Where it lies.
    chips : int
        Number of places where the edge has broken off.
    rng : numpy.random.Generator
        Where the chips are.
    """
    outline = placement.to_pixels(_outline(placement.radius, chips, rng))
    mask = np.zeros(placement.shape, dtype=np.uint8)
    points = np.rint(outline[:, ::-1] * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], 1, shift=4)
    return mask.view(np.bool_)


def _outline(radius: float, chips: int, rng: np.random.Generator) -> Curve:
    gap = 0.28
    angles = np.linspace(-np.pi / 2 + gap, 1.5 * np.pi - gap, 1500)
    edge = np.full(len(angles), radius)
    for _ in range(chips):
        at, spread = rng.uniform(angles[0], angles[-1]), rng.uniform(0.015, 0.07)
        bite = np.exp(-(((angles - at) / spread) ** 4))
        edge -= bite * radius * rng.uniform(0.02, 0.07) * (1 + 0.15 * rng.normal(size=len(angles)))
    disc = edge[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    side = [(0.24, -1.1), (0.2, -1.22), (0.1, -1.38), (0.075, -1.6), (0.06, -1.78), (0.0, -1.81)]
    right = spline([tuple(disc[0] / radius), *side], step=0.01)[1:] * radius
    return np.concatenate([disc, (right * (-1.0, 1.0)), right[::-1]])
