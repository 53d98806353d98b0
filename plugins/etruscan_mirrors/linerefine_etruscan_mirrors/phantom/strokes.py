"""Turns the lines of an engraving into grooves, and into what an annotator makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine_etruscan_mirrors.phantom.curves import arc_length, resampled, smooth_noise
from linerefine_etruscan_mirrors.phantom.placement import Placement
from linerefine_etruscan_mirrors.phantom.relief import Cut
from linerefine_etruscan_mirrors.phantom.sheet import Line

__all__ = ["FULL_PIXELS_PER_MM", "Wear", "WidthModel", "grooves"]

FULL_PIXELS_PER_MM = 39.5
"""Resolution of the scans on which the width statistics were taken."""

SLOPE = 0.5
"""Depth of a fresh groove over its half-width."""

MEASURED_EXCESS = 0.1
"""Half-widths are measured to the first background pixel's centre, so much beyond the edge."""


@dataclass(frozen=True)
class WidthModel:
    """Gamma distribution of half-widths in pixels of a full-size scan.

    The defaults are the authors' fit to all their drawings (their stroke
    statistics; mean 6.19, standard deviation 1.49).
    """

    shape: float = 49.12885
    loc: float = -4.27884
    scale: float = 0.213167

    def quantile(self, normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return half-widths for standard normal values, by Wilson and Hilferty's cube."""
        cube = 1 - 1 / (9 * self.shape) + normal / (3 * np.sqrt(self.shape))
        return np.asarray(self.loc + self.scale * self.shape * np.maximum(cube, 0.0) ** 3)


@dataclass(frozen=True, eq=False)
class Wear:
    """How much of each groove is left.

    Parameters
    ----------
    field : ndarray of float32, shape (h, w)
        Share worn off, in [0, 1], on a coarse grid over the whole image.
    cell : float
        Pixels of the image to a cell of the grid.
    gaps : float
        Share of each line that has almost vanished.
    """

    field: NDArray[np.float32]
    cell: float
    gaps: float

    def left(self, path: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share left at points (row, col) of the image."""
        at = (path / self.cell).astype(np.float32)
        worn = cv2.remap(
            self.field, at[None, :, 1], at[None, :, 0], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.asarray(1.0 - worn[0].astype(np.float64))


def grooves(
    lines: Sequence[Line],
    placement: Placement,
    widths: WidthModel,
    wear: Wear,
    rng: np.random.Generator,
) -> Iterator[tuple[Cut, Cut]]:
    """Yield for each line the groove that is left of it, and its tracing.

    Parameters
    ----------
    lines : sequence of Line
        In millimetres on the mirror.
    placement : Placement
        Where the mirror lies in the image.
    widths : WidthModel
        Distribution of the tracing's half-widths.
    wear : Wear
        How much of the grooves is left.
    rng : numpy.random.Generator
        Where pressure and the annotator's hand come from.

    Yields
    ------
    groove, tracing : Cut
        In pixels. Tracings go on where the groove is worn away.
    """
    total = sum(arc_length(line.points)[-1] for line in lines)
    mean = sum(line.width * arc_length(line.points)[-1] for line in lines) / max(total, 1e-9)
    for line in lines:
        yield _stroke(line, line.width / mean, placement, widths, wear, rng)


def _stroke(
    line: Line,
    width: float,
    placement: Placement,
    widths: WidthModel,
    wear: Wear,
    rng: np.random.Generator,
) -> tuple[Cut, Cut]:
    path = resampled(placement.to_pixels(line.points), 1.0)
    along = arc_length(path) / placement.pixels_per_mm
    normal = np.sqrt(0.6) * rng.normal() + np.sqrt(0.4) * smooth_noise(along, 6.0, rng)
    traced = widths.quantile(normal) * width * placement.pixels_per_mm / FULL_PIXELS_PER_MM
    edge = np.maximum(traced - MEASURED_EXCESS, 0.8)
    left = wear.left(path) * _visible(along, wear.gaps, rng)
    pressure = np.exp(0.3 * rng.normal() + 0.2 * smooth_noise(along, 3.0, rng))
    depth = SLOPE * edge * line.depth * pressure * left * _tapered(along)
    hand = 0.018 * placement.pixels_per_mm
    shift = np.stack([smooth_noise(along, 4.0, rng) for _ in range(2)], axis=1)
    tracing = Cut(path + hand * shift, edge, depth)
    return Cut(path, edge * (0.7 + 0.3 * left), depth), tracing


def _visible(
    along: NDArray[np.float64], gaps: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return 1 along most of a line, and little where it has a gap."""
    level = _normal_quantile(gaps)
    fading = np.clip((smooth_noise(along, 5.0, rng) - level) / 0.35 + 0.5, 0.0, 1.0)
    return np.asarray(0.08 + 0.92 * fading)


def _normal_quantile(share: float) -> float:
    """Return the standard normal quantile, within 0.01 (Tukey's lambda)."""
    share = min(max(share, 1e-4), 1 - 1e-4)
    return float((share**0.135 - (1 - share) ** 0.135) / 0.1975)


def _tapered(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a factor that falls off over the last fractions of a millimetre."""
    to_end = np.minimum(along, along[-1] - along)
    return np.asarray(np.clip(0.55 + to_end / 0.5, 0.0, 1.0))
