"""Draws fundus photographs: vessel trees on a retina, and much that is no vessel.

A stand-in for data that cannot be shipped. Nothing here is measured on a
person; every number from these images is labelled ``sample``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Fundus", "draw_fundus"]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

FINENESS = 4
"""Vessels are drawn on a grid so much finer, and averaged."""

STEP = 0.004
"""Between two points of a vessel, as a share of the image's edge."""

LEAST_WIDTH = 0.0034
"""Narrower branches do not leave a vessel: 1.7 pixels in an image of 512."""

_BASE = np.array([0.78, 0.40, 0.20], dtype=np.float32)  # red, green, blue of the retina
_ABSORBED = np.array([0.24, 0.62, 0.45], dtype=np.float32)  # by blood, at full contrast


@dataclass(frozen=True)
class Fundus:
    """One drawn eye.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        Red, green, blue.
    lines, other_lines : ndarray of bool, shape (H, W)
        Vessels as drawn, and as a second reader saw them: some fine ones
        missed, widths a little off.
    field : ndarray of bool, shape (H, W)
        Round field of view.
    """

    image: Bytes
    lines: NDArray[np.bool_]
    other_lines: NDArray[np.bool_]
    field: NDArray[np.bool_]


@dataclass(frozen=True)
class _Vessel:
    """A tapering vessel; all lengths are shares of the image's edge."""

    path: NDArray[np.float64]  # (K, 2), (x, y)
    widths: NDArray[np.float64]  # (K,)
    contrast: float
    is_artery: bool


@dataclass(frozen=True)
class _Eye:
    """Where things are, as shares of the image's edge; x runs to the right."""

    disc: NDArray[np.float64]
    macula: NDArray[np.float64]
    radius: float  # of the field of view
    nasal: float  # +1: the nose is on the right


def draw_fundus(size: int, *, is_right: bool, rng: np.random.Generator) -> Fundus:
    """Return a drawn fundus photograph and its vessels.

    Parameters
    ----------
    size : int
        Edge of the image, pixels.
    is_right : bool
        Right eyes have the optic disc on the right.
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    fundus : Fundus
    """
    nasal = 1.0 if is_right else -1.0
    disc = np.array([0.5 + nasal * rng.uniform(0.14, 0.24), 0.5 + rng.uniform(-0.05, 0.05)])
    macula = disc - (nasal * rng.uniform(0.27, 0.31), rng.uniform(-0.05, 0.02))
    eye = _Eye(disc, macula, rng.uniform(0.46, 0.485), nasal)
    vessels = sorted(_tree(eye, rng), key=lambda vessel: vessel.contrast)
    lines = _drawn(vessels, size) >= 0.5
    other = _drawn(list(_as_read_again(vessels, rng)), size) >= 0.5
    field = _distance(size, np.array([0.5, 0.5])) < eye.radius
    colours = _background(eye, size, rng) * _blood(vessels, size)
    return Fundus(_photographed(colours, field, rng), lines & field, other & field, field)


def _tree(eye: _Eye, rng: np.random.Generator) -> Iterator[_Vessel]:
    """Iterate over the vessels of an eye, an artery and a vein to each side."""
    for vertical in (-1.0, 1.0):
        for side, share in ((-eye.nasal, 1.0), (eye.nasal, 0.75)):
            for is_artery in (True, False):
                width = share * rng.uniform(0.0115, 0.0145) * (0.8 if is_artery else 1.1)
                heading = np.arctan2(vertical, side * rng.uniform(0.2, 0.9))
                bend = -side * vertical * (rng.uniform(1.8, 3.2) if side != eye.nasal else 0.4)
                start = eye.disc + 0.008 * np.array([np.cos(heading), np.sin(heading)])
                start = start + rng.normal(0, 0.004, 2)
                yield from _grow(eye, start, float(heading), width, bend, is_artery, rng)


def _grow(
    eye: _Eye,
    start: NDArray[np.float64],
    heading: float,
    width: float,
    bend: float,
    is_artery: bool,
    rng: np.random.Generator,
) -> Iterator[_Vessel]:
    """Iterate over a vessel and all that branches off it.

    Parameters
    ----------
    eye : _Eye
    start : ndarray, shape (2,)
    heading : float
        Direction at the start, radians.
    width : float
        At the start.
    bend : float
        Mean change of direction, radians per edge of the image.
    is_artery : bool
    rng : numpy.random.Generator
    """
    headings = heading + _wandering(width, bend, rng)
    path = np.vstack([start, start + np.cumsum(_moves(headings, STEP), axis=0)])
    widths = width * np.linspace(1.0, 0.4, len(path))
    is_seen = np.hypot(*(path - 0.5).T) < eye.radius + 0.01
    count = len(path) if is_seen.all() else max(int(np.argmin(is_seen)), 2)
    contrast = float(np.clip(rng.normal(0.2 + 45 * width, 0.12), 0.12, 0.9))
    yield _Vessel(path[:count], widths[:count], contrast, is_artery)
    position = int(rng.integers(10, 28))
    while position < count - 3:
        narrower = widths[position] * rng.uniform(0.55, 0.85)
        if narrower > LEAST_WIDTH:
            turn = rng.choice([-1, 1]) * rng.uniform(0.4, 1.05)
            onward = float(headings[position] + turn)
            yield from _grow(eye, path[position], onward, narrower, -1.2 * turn, is_artery, rng)
        position += int(rng.integers(16, 46))


def _wandering(width: float, bend: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how the direction of a vessel changes along it; wide vessels are long."""
    count = max(12, int(rng.uniform(0.35, 0.65) * (width / 0.012) ** 0.6 / STEP))
    steps = np.arange(count)
    waves = 0.12 * np.sin(steps * STEP * rng.uniform(25, 60) + rng.uniform(0, 6.28))
    wander = np.cumsum(rng.normal(0, 0.0175, count)) + waves
    return np.asarray(bend * STEP * steps + wander - wander[0], dtype=np.float64)


def _moves(headings: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return steps of one length in the given directions, shape (K, 2)."""
    moves: NDArray[np.float64] = step * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return moves


def _as_read_again(vessels: list[_Vessel], rng: np.random.Generator) -> Iterator[_Vessel]:
    """Iterate over the vessels that a second reader marks."""
    for vessel in vessels:
        is_faint = vessel.contrast < 0.42 or vessel.widths[0] < 0.0045
        if not (is_faint and rng.random() < 0.45):
            factor = rng.uniform(0.8, 1.3)
            yield _Vessel(vessel.path, vessel.widths * factor, vessel.contrast, vessel.is_artery)


def _drawn(
    vessels: list[_Vessel], size: int, *, widths: float = 1.0, by_contrast: bool = False
) -> Floats:
    """Return which share of each pixel lies in a vessel, times its contrast if asked."""
    edge = size * FINENESS
    canvas: Bytes = np.zeros((edge, edge), np.uint8)
    for vessel in vessels:
        shade = round(255 * vessel.contrast) if by_contrast else 255
        points = np.rint(vessel.path * edge).astype(int)
        thickness = np.maximum(np.rint(vessel.widths * widths * edge), 1).astype(int)
        for a, b, width in zip(points[:-1], points[1:], thickness[:-1], strict=True):
            cv2.line(canvas, a.tolist(), b.tolist(), shade, int(width))
    coarse = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(coarse, dtype=np.float32) / np.float32(255)


def _blood(vessels: list[_Vessel], size: int) -> Floats:
    """Return what vessels let through of each colour, shape (H, W, 3)."""
    depth = _drawn(vessels, size, by_contrast=True)
    reflex = _drawn([v for v in vessels if v.is_artery and v.widths[0] > 0.006], size, widths=0.3)
    depth = _blurred(depth, 0.0012 * size) * (1 - 0.35 * reflex)
    return np.asarray(1 - depth[..., np.newaxis] * _ABSORBED, dtype=np.float32)


def _background(eye: _Eye, size: int, rng: np.random.Generator) -> Floats:
    """Return the retina without vessels, shape (H, W, 3)."""
    tint = _BASE * rng.uniform(0.85, 1.12, 3).astype(np.float32)
    light = 1.1 - 0.9 * _distance(size, rng.uniform(0.42, 0.58, 2)) ** 2 / eye.radius
    texture = sum(
        strength * _clouds(size, scale, rng)
        for strength, scale in ((0.05, 0.10), (0.03, 0.03), (0.02, 0.008))
    )
    image = (light * (1 + texture))[..., np.newaxis] * tint
    macula = np.exp(-((_distance(size, eye.macula) / 0.075) ** 2))
    image *= 1 - macula[..., np.newaxis] * np.array([0.22, 0.38, 0.35], np.float32)
    image *= 1 - _choroid(size, rng)[..., np.newaxis] * np.array([0.06, 0.13, 0.1], np.float32)
    for spots, colour in ((_exudates(size, rng), 1.5), (_bleedings(size, rng), 0.55)):
        image *= 1 + spots[..., np.newaxis] * (np.array([0.9, 1.0, 0.8], np.float32) * (colour - 1))
    rim = _distance(size, eye.disc) + 0.004 * _clouds(size, 0.03, rng)
    disc = 0.5 - 0.5 * np.tanh((rim - rng.uniform(0.050, 0.062)) / 0.007)
    cup = np.exp(-((_distance(size, eye.disc) / 0.025) ** 2))
    bright = np.array([0.98, 0.80, 0.52], np.float32)
    image += disc[..., np.newaxis] * (bright * (0.8 + 0.2 * cup[..., np.newaxis]) - image) * 0.85
    return np.asarray(image, dtype=np.float32)


def _choroid(size: int, rng: np.random.Generator) -> Floats:
    """Return blurred broad vessels of the layer below, which nobody marks."""
    vessels = []
    for _ in range(int(rng.integers(10, 22))):
        headings = rng.uniform(0, 6.28) + np.cumsum(rng.normal(0, 0.2, 15))
        path = rng.uniform(0.1, 0.9, 2) + np.cumsum(_moves(headings, 0.02), axis=0)
        vessels.append(_Vessel(path, np.full(15, rng.uniform(0.006, 0.014)), 1.0, is_artery=False))
    return _blurred(_drawn(vessels, size), 0.004 * size)


def _exudates(size: int, rng: np.random.Generator) -> Floats:
    """Return clusters of small bright deposits."""
    spots = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        centre = rng.uniform(0.2, 0.8, 2)
        for _ in range(int(rng.integers(4, 15))):
            place = (centre + rng.normal(0, 0.025, 2)) * size
            radius = max(1, round(size * rng.uniform(0.001, 0.005)))
            cv2.circle(
                spots, np.rint(place).astype(int).tolist(), radius, rng.uniform(0.4, 1.0), -1
            )
    return _blurred(spots, 0.002 * size)


def _bleedings(size: int, rng: np.random.Generator) -> Floats:
    """Return dark dots and short streaks, which look like pieces of vessels."""
    spots = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(2, 12))):
        place = np.rint(rng.uniform(0.15, 0.85, 2) * size).astype(int).tolist()
        width = size * rng.uniform(0.002, 0.005)
        axes = max(1, round(width * rng.uniform(1, 7))), max(1, round(width))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(spots, place, axes, angle, 0, 360, rng.uniform(0.3, 0.9), -1)
    return _blurred(spots, 0.002 * size)


def _photographed(colours: Floats, field: NDArray[np.bool_], rng: np.random.Generator) -> Bytes:
    """Return what a camera makes of the colours: blur, noise, a black surround."""
    size = len(field)
    seen = _blurred(field.astype(np.float32), 0.002 * size)[..., np.newaxis]
    sharp = _blurred(colours, rng.uniform(0.0008, 0.0016) * size)
    grain = rng.normal(0, 0.014, colours.shape) + 0.01 * _clouds(size, 0.003, rng)[..., np.newaxis]
    values = (sharp + grain) * seen + 0.01
    return np.asarray(np.rint(255 * np.clip(values, 0, 1)), dtype=np.uint8)


def _distance(size: int, centre: NDArray[np.float64]) -> Floats:
    """Return the distance of every pixel to a point, as shares of the edge."""
    places = (np.arange(size, dtype=np.float32) + 0.5) / size
    away = np.hypot(places[np.newaxis] - centre[0], places[:, np.newaxis] - centre[1])
    return np.asarray(away, dtype=np.float32)


def _clouds(size: int, scale: float, rng: np.random.Generator) -> Floats:
    """Return smooth noise of deviation 1."""
    noise = _blurred(rng.normal(size=(size, size)).astype(np.float32), scale * size)
    return np.asarray(noise / max(float(noise.std()), 1e-6), dtype=np.float32)


def _blurred(image: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)), dtype=np.float32)
