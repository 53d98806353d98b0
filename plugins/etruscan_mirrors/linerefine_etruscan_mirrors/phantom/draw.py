"""Draws one mirror and scans it: depth, normals and albedo that belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ConfigError
from linerefine.types import Mask
from linerefine_etruscan_mirrors.phantom.damage import Condition, corrode, marks, wear
from linerefine_etruscan_mirrors.phantom.noise import blurred, bumps, fractal, white
from linerefine_etruscan_mirrors.phantom.placement import Placement, place, silhouette
from linerefine_etruscan_mirrors.phantom.relief import carve, groove, trace
from linerefine_etruscan_mirrors.phantom.scene import Engraving, engrave
from linerefine_etruscan_mirrors.phantom.strokes import WidthModel, grooves
from linerefine_etruscan_mirrors.phantom.surroundings import bending, body, mark_ruler, table

__all__ = ["LARGEST", "Phantom", "draw_mirror"]

Field = NDArray[np.float32]

LARGEST = (6716, 8964)
"""Rows and columns of a full-size scan."""

GRAIN_MM = (0.05, 0.1, 0.2, 0.4)
GRAIN_HEIGHT_MM = (0.002, 0.005, 0.006, 0.006)
"""Sizes and heights of the bumps that bronze is covered with, corroded or not."""

DEPTH_STEP = 1 / 128
STEP = 1 / 2048
"""What depth in pixels, normals and albedo are rounded to, far below their noise: files pack."""

SMALLEST = 256
"""Least rows and columns that a mirror is drawn on."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn mirror as a scanner would deliver it, and its drawing.

    Parameters
    ----------
    depth : ndarray of float32, shape (H, W)
        Height towards the camera in pixels, bent as integrated depth is.
    normals : ndarray of float32, shape (3, H, W)
        Unit normals: right, up, towards the camera.
    albedo : ndarray of float32, shape (H, W)
        In [0, 1].
    lines : ndarray of bool, shape (H, W)
        What an annotator traced.
    mask : ndarray of bool, shape (H, W)
        Pixels of the mirror.
    pixels_per_mm : float
        Resolution.
    """

    depth: Field
    normals: Field
    albedo: Field
    lines: Mask
    mask: Mask
    pixels_per_mm: float


def draw_mirror(
    seed: int,
    shape: tuple[int, int],
    pixels_per_mm: float,
    *,
    engraving: Engraving | None = None,
    condition: Condition | None = None,
    widths: WidthModel | None = None,
) -> Phantom:
    """Draw a mirror.

    Parameters
    ----------
    seed : int
        Decides everything that the other parameters leave open.
    shape : pair of int
        Rows and columns, up to 6716 and 8964.
    pixels_per_mm : float
        Resolution; widths of lines are scaled with it.
    engraving, condition, widths : optional
        What is engraved, how it was preserved and how wide lines are traced;
        ordinary ones if not given.

    Raises
    ------
    ConfigError
        If the size or the resolution is out of range.

    Notes
    -----
    Each stage draws from a random stream of its own, so a change to one leaves
    the others as they were. Takes under 3 GB and about a minute at full size.
    """
    _check(shape, pixels_per_mm)
    condition = condition or Condition()
    streams = np.random.default_rng(seed).spawn(8)
    placement = place(shape, pixels_per_mm, streams[0])
    mask = silhouette(placement, condition.chips, streams[0])
    relief, lines = _engraved(
        placement, mask, engraving or Engraving(), condition, widths or WidthModel(), streams[1:4]
    )
    surface, corroded = _surface(placement, mask, condition, streams[4])
    albedo = _albedo(placement, mask, relief, corroded, streams[5])
    del corroded
    mark_ruler(relief, albedo, placement)
    surface -= relief
    del relief
    surface = blurred(surface, max(0.018 * pixels_per_mm, 0.3))
    normals = _normals(surface, albedo, condition.noise, streams[6])
    surface += bending(placement, streams[7])
    surface += _sensor_noise(placement, condition.noise, streams[7])
    for channel, step in ((surface, DEPTH_STEP), (normals, STEP), (albedo, STEP)):
        _round(channel, step)
    return Phantom(surface, normals, albedo, lines, mask, pixels_per_mm)


def _check(shape: tuple[int, int], pixels_per_mm: float) -> None:
    too_small, too_large = min(shape) < SMALLEST, shape[0] > LARGEST[0] or shape[1] > LARGEST[1]
    if too_small or too_large:
        msg = (
            f"drawn mirror has shape {shape}, expected {SMALLEST} pixels or more, up to {LARGEST}."
        )
        raise ConfigError(msg)
    if not 4 <= pixels_per_mm <= 100:
        msg = f"drawn mirror has {pixels_per_mm} pixels per mm, expected 4 to 100."
        raise ConfigError(msg)


def _engraved(
    placement: Placement,
    mask: Mask,
    engraving: Engraving,
    condition: Condition,
    widths: WidthModel,
    streams: list[np.random.Generator],
) -> tuple[Field, Mask]:
    """Return the depth of all that is cut into the mirror, and the tracing of what was meant."""
    relief = np.zeros(placement.shape, dtype=np.float32)
    lines = np.zeros(placement.shape, dtype=np.bool_)
    design = engrave(placement.radius, engraving, streams[0])
    worn = wear(condition, placement, streams[1])
    for cut, tracing in grooves(design, placement, widths, worn, streams[1]):
        carve(relief, cut, groove)
        trace(lines, tracing)
    for cut, profile in marks(condition, placement, streams[2]):
        carve(relief, cut, profile)
    relief *= mask
    lines &= mask
    return relief, lines


def _surface(
    placement: Placement, mask: Mask, condition: Condition, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Return the height of everything but what is cut in, and how corroded each pixel is."""
    scale = placement.pixels_per_mm
    surface = np.zeros(placement.shape, dtype=np.float32)
    corroded = corrode(surface, condition, placement, rng)
    surface += fractal(
        placement.shape,
        [size * scale for size in GRAIN_MM],
        [condition.grain * height * scale for height in GRAIN_HEIGHT_MM],
        rng,
    )
    surface *= mask
    corroded *= mask
    nap = table(placement.shape, scale, rng)
    nap *= ~mask
    surface += nap
    del nap
    surface += body(mask, placement, rng)
    return surface, corroded


def _albedo(
    placement: Placement, mask: Mask, relief: Field, corroded: Field, rng: np.random.Generator
) -> Field:
    """Return how light each pixel is: patinated bronze, dirt in some grooves, a dark table."""
    scale, shape = placement.pixels_per_mm, placement.shape
    albedo = fractal(shape, (6.0 * scale, 0.8 * scale, 0.1 * scale), (0.07, 0.03, 0.015), rng)
    dirt = bumps(shape, 5.0 * scale, rng)
    dirt *= np.float32(0.3)
    dirt += np.float32(0.35)
    np.clip(dirt, 0, 0.7, out=dirt)
    dirt *= np.clip(relief, 0, None) / np.float32(0.06 * scale)
    albedo += np.float32(0.42)
    albedo -= np.float32(0.25) * np.minimum(dirt, 1)
    del dirt
    albedo += np.float32(0.12) * corroded
    albedo[~mask] *= np.float32(0.3)
    albedo += np.float32(0.008) * white(shape, rng)
    return np.clip(albedo, 0.02, 1, out=albedo)


def _normals(surface: Field, albedo: Field, noise: float, rng: np.random.Generator) -> Field:
    """Return unit normals of the surface, noisier where it is dark, in bands of rows."""
    rows, cols = surface.shape
    normals = np.empty((3, rows, cols), dtype=np.float32)
    for top in range(0, rows, 256):
        bottom = min(top + 256, rows)
        low, high = max(top - 1, 0), min(bottom + 1, rows)
        down, right = (np.asarray(slope) for slope in np.gradient(surface[low:high]))
        inner = slice(top - low, bottom - low)
        band = normals[:, top:bottom]
        band[0], band[1], band[2] = -right[inner], down[inner], 1.0
        band /= np.sqrt(np.square(band).sum(axis=0))
        grain = np.float32(0.012 * noise) / np.sqrt(albedo[top:bottom])
        band[:2] += grain * rng.standard_normal(band[:2].shape, dtype=np.float32)
        band /= np.sqrt(np.square(band).sum(axis=0))
    return normals


def _round(channel: Field, step: float) -> None:
    """Round to multiples of a power of two, in place."""
    channel *= np.float32(1 / step)
    np.rint(channel, out=channel)
    channel *= np.float32(step)


def _sensor_noise(placement: Placement, noise: float, rng: np.random.Generator) -> Field:
    """Return noise of the integrated depth in pixels: mostly correlated, some white."""
    scale = placement.pixels_per_mm
    field = fractal(
        placement.shape,
        (1.0, 0.08 * scale, 0.25 * scale, 0.8 * scale),
        (0.0015 * scale, 0.0025 * scale, 0.004 * scale, 0.01 * scale),
        rng,
    )
    field += np.float32(0.001 * scale) * white(placement.shape, rng)
    field *= np.float32(noise)
    return field
