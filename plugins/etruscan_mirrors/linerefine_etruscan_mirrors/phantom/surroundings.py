"""What else the camera sees: the mirror's own body, its holders, a ruler, and the bent depth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.types import Mask
from linerefine_etruscan_mirrors.phantom.curves import resampled
from linerefine_etruscan_mirrors.phantom.noise import blurred, bumps, enlarged
from linerefine_etruscan_mirrors.phantom.placement import Placement
from linerefine_etruscan_mirrors.phantom.relief import Cut, carve, trough

__all__ = ["bending", "body", "mark_ruler", "rule", "table"]

Field = NDArray[np.float32]

LEVELS = 2
COARSE = 2**LEVELS
"""The body and the surroundings are modelled at a quarter of the resolution."""

WAVES = 12
"""Depth is bent by up to so many half-waves over each edge of the image."""

STEP_MM = 0.35
"""Seeming height of the mirror over the table: photometric stereo sees no upright walls."""


def body(mask: Mask, placement: Placement, rng: np.random.Generator) -> Field:
    """Return height in pixels of table, holders, ruler and the unengraved mirror, shape (H, W).

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Pixels of the mirror.
    placement : Placement
        Where it lies.
    rng : numpy.random.Generator
        Where its curvature comes from.
    """
    shape = placement.shape
    coarse = (-(-shape[0] // COARSE), -(-shape[1] // COARSE))
    small = cv2.resize(mask.view(np.uint8), coarse[::-1], interpolation=cv2.INTER_NEAREST)
    cell_mm = COARSE / placement.pixels_per_mm
    inwards = cv2.distanceTransform(small, cv2.DIST_L2, 5)
    inwards = cv2.GaussianBlur(inwards, (0, 0), 1.5) * cell_mm
    rows = (np.arange(coarse[0], dtype=np.float32) * COARSE - placement.centre[0])[:, None]
    cols = (np.arange(coarse[1], dtype=np.float32) * COARSE - placement.centre[1])[None, :]
    out = np.hypot(rows, cols) / (placement.radius * placement.pixels_per_mm)
    sag = rng.uniform(0.4, 1.0) * rng.choice([-1, 1]) * placement.radius / 20
    dents = 0.12 * bumps(coarse, 6.0 / cell_mm, rng)
    rim = 0.14 * np.exp(-(((inwards - 1.4) / 0.8) ** 2)) * (out < 1.05)
    sunk = sag * (1 - out**2) + dents  # of table and mirror alike: no walls
    edge = np.clip(inwards / 1.2, 0, 1)
    height = STEP_MM * edge * (2 - edge) + rim
    height = np.where(small > 0, height, _table_height(placement, coarse)) + sunk
    scaled = (height * placement.pixels_per_mm).astype(np.float32)
    return enlarged(blurred(scaled, 1.0), LEVELS, shape)


def _table_height(placement: Placement, coarse: tuple[int, int]) -> Field:
    """Return height in millimetres of what lies around the mirror."""
    height = np.zeros(coarse, dtype=np.float32)
    for corners, level in _holders(placement):
        points = np.rint(corners[:, ::-1] / COARSE).astype(np.int32)
        cv2.fillPoly(height, [points], level)
    top, left, bottom, right = (round(edge / COARSE) for edge in rule(placement))
    height[top:bottom, left:right] = 0.25
    return height


def _holders(placement: Placement) -> list[tuple[NDArray[np.float64], float]]:
    """Return three bars that point at the disc: corners (row, col), and height in millimetres."""
    bars = []
    reach, half = placement.radius * placement.pixels_per_mm, 3.0 * placement.pixels_per_mm
    far = 2.0 * max(placement.shape)
    for angle in (0.28 * np.pi, -0.35 * np.pi, 0.78 * np.pi):
        turn = angle + placement.angle + np.pi / 2
        along = np.array([-np.sin(turn), np.cos(turn)])
        across = np.array([along[1], -along[0]])
        near, end = 1.015 * reach * along, far * along
        corners = np.stack([near - half * across, near + half * across,
                            end + half * across, end - half * across])  # fmt: skip
        bars.append((corners + placement.centre, 0.5))
    return bars


def rule(placement: Placement) -> tuple[int, int, int, int]:
    """Return the ruler's box: top, left, bottom, right."""
    rows, cols = placement.shape
    return int(0.925 * rows), int(0.06 * cols), int(0.985 * rows), int(0.94 * cols)


def mark_ruler(relief: Field, albedo: Field, placement: Placement) -> None:
    """Engrave and paint a mark each millimetre along the ruler, in place.

    Parameters
    ----------
    relief : ndarray of float32, shape (H, W)
        Depth below the surface in pixels.
    albedo : ndarray of float32, shape (H, W)
        In [0, 1].
    placement : Placement
        Where the ruler lies.
    """
    top, left, bottom, right = rule(placement)
    scale = placement.pixels_per_mm
    albedo[top:bottom, left:right] = 0.85
    for index, col in enumerate(np.arange(left + scale, right - scale, scale)):
        share = 0.7 if index % 10 == 0 else 0.5 if index % 5 == 0 else 0.3
        stop = top + share * (bottom - top)
        path = resampled(np.array([[top + 2.0, col], [stop, col]]), 1.0)
        ones = np.ones(len(path))
        carve(relief, Cut(path, ones * max(0.1 * scale, 1.0), ones * 0.04 * scale), trough)
        half = max(round(0.08 * scale), 1)
        albedo[top : int(stop), round(col) - half : round(col) + half + 1] = 0.08


def table(shape: tuple[int, int], pixels_per_mm: float, rng: np.random.Generator) -> Field:
    """Return the nap of the cloth on the table: height in pixels, shape (H, W)."""
    nap = bumps(shape, 0.12 * pixels_per_mm, rng)
    nap *= np.float32(0.012 * pixels_per_mm)
    return nap


def bending(placement: Placement, rng: np.random.Generator) -> Field:
    """Return the error of depth integrated from normals: smooth, far larger than any groove.

    A sum of slow cosines, falling off as their frequency rises.

    Parameters
    ----------
    placement : Placement
        Size and resolution.
    rng : numpy.random.Generator
        Where its shape comes from.

    Returns
    -------
    error : ndarray of float32, shape (H, W)
        In pixels.
    """
    rows, cols = placement.shape
    size = placement.radius / 30 * placement.pixels_per_mm
    down, across = _waves(rows), _waves(cols)
    order = np.hypot(*np.mgrid[:WAVES, :WAVES])
    strength = np.where(order > 0, 2.5 * size / np.maximum(order, 1) ** 1.7, 0)
    weights = (rng.normal(size=order.shape) * strength).astype(np.float32)
    return np.asarray(down @ weights @ across.T, dtype=np.float32)


def _waves(extent: int) -> Field:
    """Return half-waves over an edge of the image, shape (extent, WAVES)."""
    at = np.linspace(0, np.pi, extent)
    return np.asarray(np.cos(np.outer(at, np.arange(WAVES))), dtype=np.float32)
