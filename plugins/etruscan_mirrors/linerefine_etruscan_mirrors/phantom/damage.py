"""What time did to a mirror: wear, scratches, cracks, pits and corrosion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linerefine_etruscan_mirrors.phantom.curves import (
    arc_length,
    resampled,
    smooth_noise,
    spline,
)
from linerefine_etruscan_mirrors.phantom.noise import bumps, fractal
from linerefine_etruscan_mirrors.phantom.placement import Placement
from linerefine_etruscan_mirrors.phantom.relief import Cut, Profile, bowl, trough
from linerefine_etruscan_mirrors.phantom.strokes import Wear

__all__ = ["CONDITIONS", "Condition", "corrode", "marks", "wear"]

Field = NDArray[np.float32]

GROOVE_MM = 0.06
LINE_MM = 0.145
"""Depth and half-width of an ordinary groove, by which all damage is measured."""


@dataclass(frozen=True)
class Condition:
    """State of preservation.

    Parameters
    ----------
    wear : float
        Mean share of the grooves' depth that is worn off, in [0, 1).
    gaps : float
        Share of each line that has almost vanished.
    scratches, nicks, creases, cracks, pits : float
        Their number on a square centimetre.
    abrasion : float
        Number of places, on a square centimetre, rubbed with something coarse:
        sheaves of hairlines.
    corrosion : float
        Share of the surface that is corroded.
    roughness : float
        Height of the corrosion's bumps over an ordinary groove's depth.
    chips : int
        Number of places where the edge has broken off.
    grain : float
        Roughness of what is not corroded; 1 is usual.
    noise : float
        Of the sensor; 1 is usual.
    """

    wear: float = 0.35
    gaps: float = 0.06
    scratches: float = 8.0
    nicks: float = 10.0
    creases: float = 3.0
    cracks: float = 0.3
    pits: float = 6.0
    abrasion: float = 0.6
    corrosion: float = 0.25
    roughness: float = 0.8
    chips: int = 2
    grain: float = 1.4
    noise: float = 1.0


CONDITIONS: dict[str, Condition] = {
    "good": Condition(wear=0.38, gaps=0.05, scratches=10.0, creases=4.0, corrosion=0.2, chips=0),
    "fair": Condition(),
    "worn": Condition(wear=0.45, gaps=0.1, scratches=9.0, cracks=0.4, corrosion=0.2),
    "corroded": Condition(
        wear=0.3,
        scratches=5.0,
        creases=2.0,
        cracks=0.8,
        pits=14.0,
        corrosion=0.5,
        roughness=0.9,
        chips=6,
    ),
}
"""States of preservation by name."""


def wear(condition: Condition, placement: Placement, rng: np.random.Generator) -> Wear:
    """Return how much of the grooves is left in each part of the mirror."""
    cell = max(placement.pixels_per_mm / 2, 1.0)
    shape = tuple(int(np.ceil(extent / cell)) + 1 for extent in placement.shape)
    scale = placement.radius * placement.pixels_per_mm / cell
    patches = fractal((shape[0], shape[1]), (0.16 * scale, 0.05 * scale), (0.85, 0.5), rng)
    field = condition.wear * (1 + 0.55 * patches)
    return Wear(np.clip(field, 0.0, 0.72).astype(np.float32), cell, condition.gaps)


def marks(
    condition: Condition, placement: Placement, rng: np.random.Generator
) -> Iterator[tuple[Cut, Profile]]:
    """Yield everything that is cut into the surface but was never drawn.

    Parameters
    ----------
    condition : Condition
        How much of it there is.
    placement : Placement
        Where the mirror lies.
    rng : numpy.random.Generator
        Where all choices come from.

    Yields
    ------
    cut : Cut
        In pixels.
    profile : callable
        Its cross-section.
    """
    square_cm = np.pi * (placement.radius / 10) ** 2
    for _ in range(rng.poisson(condition.scratches * square_cm)):
        yield from _scratches(placement, rng)
    for _ in range(rng.poisson(condition.abrasion * square_cm)):
        yield from _hairlines(placement, rng)
    for _ in range(rng.poisson(condition.nicks * square_cm)):
        yield _nick(placement, rng), trough
    for _ in range(rng.poisson(condition.creases * square_cm)):
        yield _crease(placement, rng), trough
    for _ in range(rng.poisson(condition.cracks * square_cm)):
        yield _crack(placement, rng), trough
    for _ in range(rng.poisson(condition.pits * square_cm)):
        yield _pit(placement, rng), bowl


def _anywhere(placement: Placement, rng: np.random.Generator) -> NDArray[np.float64]:
    angle, out = rng.uniform(0, 2 * np.pi), placement.radius * np.sqrt(rng.uniform())
    return np.array([out * np.cos(angle), out * np.sin(angle)])


def _scratches(placement: Placement, rng: np.random.Generator) -> Iterator[tuple[Cut, Profile]]:
    """Yield one scratch, or a few side by side: long, hardly bent, most narrower than a line."""
    start, heading = _anywhere(placement, rng), rng.uniform(0, 2 * np.pi)
    length = placement.radius * float(np.clip(rng.lognormal(-1.2, 0.7), 0.1, 1.5))
    bend = rng.normal(0, 0.1) * length
    for _ in range(1 + rng.poisson(0.5)):
        along, across, points = _bow(start, heading + rng.normal(0, 0.06), length, bend)
        is_wide = rng.random() < 0.3
        half_width = LINE_MM * (rng.uniform(0.7, 1.1) if is_wide else rng.uniform(0.35, 0.65))
        depth = GROOVE_MM * rng.uniform(0.35, 1.3)
        yield _cut(placement, points, half_width, depth, rng, ends=0.25), trough
        start = start + across * rng.uniform(0.4, 1.6) + along * rng.normal(0, 0.1) * length


def _hairlines(placement: Placement, rng: np.random.Generator) -> Iterator[tuple[Cut, Profile]]:
    """Yield a sheaf of fine parallel scratches."""
    middle, heading = _anywhere(placement, rng), rng.uniform(0, 2 * np.pi)
    length = rng.uniform(2.0, 7.0)
    bend = rng.normal(0, 0.15) * length
    for _ in range(rng.integers(8, 26)):
        shift = rng.normal(0, 1.3, 2)
        _, _, points = _bow(middle + shift, heading + rng.normal(0, 0.05), length, bend)
        points = points[: rng.integers(6, len(points) + 1)]
        half_width = LINE_MM * rng.uniform(0.3, 0.5)
        depth = GROOVE_MM * rng.uniform(0.15, 0.6)
        yield _cut(placement, points, half_width, depth, rng, ends=0.4), trough


def _bow(
    start: NDArray[np.float64], heading: float, length: float, bend: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the direction of a slightly bent line, the direction across, and its points."""
    along = np.array([np.cos(heading), np.sin(heading)])
    across = np.array([-along[1], along[0]])
    at = np.linspace(0, 1, 12)[:, None]
    return along, across, start + length * at * along + 4 * bend * at * (1 - at) * across


def _nick(placement: Placement, rng: np.random.Generator) -> Cut:
    """Return a short dent, about as wide as a line."""
    length = rng.uniform(0.5, 2.2)
    start, heading = _anywhere(placement, rng), rng.uniform(0, 2 * np.pi)
    _, _, points = _bow(start, heading, length, rng.normal(0, 0.12) * length)
    half_width, depth = LINE_MM * rng.uniform(0.5, 1.15), GROOVE_MM * rng.uniform(0.35, 1.2)
    return _cut(placement, points, half_width, depth, rng, ends=0.3)


def _crease(placement: Placement, rng: np.random.Generator) -> Cut:
    """Return a soft valley that winds, wider than any line."""
    steps = int(rng.integers(4, 9))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5, steps))
    walk = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    points = spline(_anywhere(placement, rng) + rng.uniform(0.7, 1.4) * walk)
    half_width, depth = LINE_MM * rng.uniform(1.5, 2.6), GROOVE_MM * rng.uniform(0.5, 1.6)
    return _cut(placement, points, half_width, depth, rng, ends=0.25)


def _crack(placement: Placement, rng: np.random.Generator) -> Cut:
    """Return a jagged line that wanders."""
    steps = int(rng.integers(8, 40))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.45, steps))
    stride = rng.uniform(0.25, 0.6, steps)[:, None]
    points = _anywhere(placement, rng) + np.cumsum(
        stride * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0
    )
    half_width, depth = LINE_MM * rng.uniform(0.45, 1.0), GROOVE_MM * rng.uniform(0.4, 1.3)
    return _cut(placement, points, half_width, depth, rng, ends=0.1)


def _pit(placement: Placement, rng: np.random.Generator) -> Cut:
    """Return a small hole, or the longer hole that several make."""
    radius = float(np.clip(rng.lognormal(-1.9, 0.45), 0.06, 0.5))
    points = spline(0.2 * radius * rng.normal(size=(3, 2)) + _anywhere(placement, rng), step=0.02)
    return _cut(placement, points, radius, GROOVE_MM * rng.uniform(0.4, 1.6), rng, ends=0.0)


def _cut(
    placement: Placement,
    points: NDArray[np.float64],
    half_width: float,
    depth: float,
    rng: np.random.Generator,
    *,
    ends: float,
) -> Cut:
    """Return a cut of given size in millimetres, unsteady, running out towards both ends."""
    path = resampled(placement.to_pixels(points), 1.0)
    along = arc_length(path) / placement.pixels_per_mm
    to_end = np.minimum(along, along[-1] - along) / max(along[-1], 1e-6)
    fade = np.ones_like(to_end) if ends == 0 else np.clip(0.1 + to_end / ends, 0, 1)
    unsteady = np.exp(0.25 * smooth_noise(along, 4.0, rng))
    scale = placement.pixels_per_mm
    return Cut(
        path,
        np.maximum(half_width * scale * (0.6 + 0.4 * fade), 0.8),
        depth * scale * fade * unsteady,
    )


def corrode(
    surface: Field, condition: Condition, placement: Placement, rng: np.random.Generator
) -> Field:
    """Raise bumps and eat hollows where the metal is corroded, in place.

    Parameters
    ----------
    surface : ndarray of float32, shape (H, W)
        Height in pixels; changed.
    condition : Condition
        How much is corroded, and how roughly.
    placement : Placement
        Where the mirror lies.
    rng : numpy.random.Generator
        Where the fields come from.

    Returns
    -------
    share : ndarray of float32, shape (H, W)
        How corroded each pixel is, in [0, 1].
    """
    scale, shape = placement.pixels_per_mm, placement.shape
    share = fractal(
        shape, (0.13 * placement.radius * scale, 0.035 * placement.radius * scale), (0.9, 0.45), rng
    )
    level = np.quantile(share[::8, ::8], 1 - condition.corrosion)
    share -= np.float32(level)
    share *= np.float32(2.5)
    np.clip(share, 0, 1, out=share)
    height = condition.roughness * GROOVE_MM * scale
    for sigma_mm, weight in ((0.07, 0.28), (0.15, 0.36), (0.4, 0.4)):
        layer = bumps(shape, sigma_mm * scale, rng)
        layer *= share
        layer *= np.float32(weight * height)
        surface += layer
    layer = bumps(shape, 0.5 * scale, rng)  # its zero line wanders: crevices of the crust
    np.square(layer, out=layer)
    layer *= np.float32(-1 / 0.06)
    np.exp(layer, out=layer)
    layer *= share
    layer *= np.float32(0.75 * height)
    surface -= layer
    return share
