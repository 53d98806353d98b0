"""Curves an engraver draws: splines, offsets, wobble. Millimetres, (x, y), y up."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Curve",
    "arc",
    "arc_length",
    "between",
    "circle",
    "offset",
    "placed",
    "resampled",
    "smooth_noise",
    "spline",
    "wobbled",
]

Curve: TypeAlias = NDArray[np.float64]
"""Points of a curve in drawing order, shape (K, 2): x, y in millimetres, y up."""

STEP_MM = 0.12
"""Distance between the points of a finished curve."""


def arc_length(points: Curve) -> NDArray[np.float64]:
    """Return the length of the curve up to each of its points, shape (K,)."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    return np.concatenate([[0.0], np.cumsum(steps)])


def resampled(points: Curve, step: float = STEP_MM) -> Curve:
    """Return the curve with points at equal distances of about `step`."""
    length = arc_length(points)
    keep = np.concatenate([[True], np.diff(length) > 0])
    points, length = points[keep], length[keep]
    if len(points) < 2:
        return points
    count = max(round(length[-1] / step) + 1, 2)
    at = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(at, length, points[:, axis]) for axis in (0, 1)], axis=1)


def spline(knots: ArrayLike, *, closed: bool = False, step: float = STEP_MM) -> Curve:
    """Return a smooth curve through the knots.

    Parameters
    ----------
    knots : array_like of float, shape (K, 2)
        At least two different points.
    closed : bool
        Whether the curve returns to its first knot.
    step : float
        Distance between the points of the curve.
    """
    from scipy.interpolate import CubicSpline  # slow to import

    points = np.asarray(knots, dtype=np.float64)
    if closed:
        points = np.concatenate([points, points[:1]])
    chord = np.sqrt(np.hypot(*np.diff(points, axis=0).T))  # centripetal: no loops at corners
    at = np.concatenate([[0.0], np.cumsum(np.maximum(chord, 1e-6))])
    curve = CubicSpline(at, points, bc_type="periodic" if closed else "natural")
    return resampled(curve(np.linspace(0.0, at[-1], 24 * len(points))), step)


def arc(centre: ArrayLike, radius: float, start: float, stop: float) -> Curve:
    """Return an arc of a circle between two angles in radians."""
    count = max(int(abs(stop - start) * radius / STEP_MM) + 1, 6)
    angles = np.linspace(start, stop, count)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(np.asarray(centre) + radius * ring)


def circle(centre: ArrayLike, radius: float, start: float = 0.0) -> Curve:
    """Return a full circle, drawn from angle `start`."""
    return arc(centre, radius, start, start + 2 * np.pi)


def offset(points: Curve, distance: ArrayLike) -> Curve:
    """Return the curve moved to its left by a distance, one number or one per point."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    left = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return np.asarray(points + left * np.broadcast_to(distance, len(points))[:, None])


def between(first: Curve, second: Curve, share: float) -> Curve:
    """Return the curve at a share of the way from one curve to another."""
    count = max(len(first), len(second))
    at = np.linspace(0.0, 1.0, count)
    pair = [
        np.stack([np.interp(at, np.linspace(0, 1, len(c)), c[:, k]) for k in (0, 1)], axis=1)
        for c in (first, second)
    ]
    return np.asarray((1.0 - share) * pair[0] + share * pair[1])


def placed(
    points: ArrayLike, at: ArrayLike, angle: float = 0.0, scale: float = 1.0, *, flip: bool = False
) -> Curve:
    """Return points mirrored left to right if asked, scaled, turned, then moved to `at`."""
    given = np.asarray(points, dtype=np.float64) * scale
    if flip:
        given = given * (-1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = given @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(turned + np.asarray(at, dtype=np.float64))


def smooth_noise(length: NDArray[np.float64], wavelength: float, rng: np.random.Generator) -> Curve:
    """Return noise of unit variance along a curve, smooth over `wavelength`.

    Parameters
    ----------
    length : ndarray of float64, shape (K,)
        Increasing position of each value along the curve.
    wavelength : float
        Distance over which values change, in the unit of `length`.
    rng : numpy.random.Generator
        Where the values come from.

    Returns
    -------
    noise : ndarray of float64, shape (K,)
        A sum of eight cosines of random frequency and phase.
    """
    frequency = np.abs(rng.normal(1.0, 0.5, 8)) / wavelength
    phase = rng.uniform(0.0, 2 * np.pi, 8)
    waves = np.cos(2 * np.pi * np.outer(length, frequency) + phase)
    return np.asarray(waves.sum(axis=1) / 2.0)


def wobbled(points: Curve, amplitude: float, rng: np.random.Generator) -> Curve:
    """Return the curve as a hand draws it: off by about `amplitude`, over some millimetres."""
    length = arc_length(points)
    shift = [smooth_noise(length, wavelength, rng) for wavelength in (2.0, 2.0, 9.0, 9.0)]
    return points + amplitude * (np.stack(shift[:2], 1) * 0.4 + np.stack(shift[2:], 1))
