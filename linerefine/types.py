"""The words of the framework: strokes, tiles and what one interaction leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError

__all__ = [
    "HintMap",
    "Logits",
    "Mask",
    "Operation",
    "Progress",
    "Round",
    "Split",
    "Stroke",
    "Tile",
    "Tip",
]

Mask: TypeAlias = NDArray[np.bool_]
"""Array of bool, shape (H, W)."""

HintMap: TypeAlias = NDArray[np.int8]
"""Array of int8, shape (H, W): +1 add, -1 erase, 0 none."""

Logits: TypeAlias = NDArray[np.float32]
"""Array of float32, shape (H, W): log-odds of a pixel being line."""

Split: TypeAlias = Literal["train", "val", "test"]

Tip: TypeAlias = Literal["disc", "cross"]
"""Shape of a stroke's tip: Euclidean disc, or city-block diamond as the paper's code draws."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""``progress(what, done, total)``, called as slow work advances."""


class Operation(IntEnum):
    """What a stroke does: add a missing line or erase a superfluous one."""

    ADD = 1
    ERASE = -1


@dataclass(frozen=True, eq=False)
class Stroke:
    """One mark of the annotator.

    Parameters
    ----------
    path : array_like of int, shape (K, 2)
        Points ``(row, col)`` in drawing order, K >= 1. Consecutive points are
        joined by straight lines. One point is a dot.
    half_width : float
        Pixels of the grid the path lives on; pixels *closer* to the path than
        this are marked, so a stroke is about ``2 * half_width - 1`` wide.
    operation : Operation
        Add or erase.
    tip : {"disc", "cross"}
        Metric of "closer": Euclidean, or city-block as the paper's code.

    Raises
    ------
    ShapeError
        If the path is empty or not of shape (K, 2), a coordinate is not
        finite, or the half-width is not a positive finite number.
    """

    path: NDArray[np.intp]
    half_width: float
    operation: Operation
    tip: Tip = "disc"

    def __post_init__(self) -> None:
        """Check the path and own a read-only copy of it."""
        given = np.asarray(self.path)
        if given.ndim != 2 or given.shape[1:] != (2,) or len(given) == 0:
            msg = f"stroke path has shape {given.shape}, expected (K, 2) with K >= 1."
            raise ShapeError(msg)
        if not np.all(np.isfinite(given)):
            msg = "stroke path holds a coordinate that is not finite."
            raise ShapeError(msg)
        if not (np.isfinite(self.half_width) and self.half_width > 0):
            msg = f"stroke half_width is {self.half_width}, expected a finite number > 0."
            raise ShapeError(msg)
        path = np.rint(given).astype(np.intp)
        path.flags.writeable = False
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "half_width", float(self.half_width))
        object.__setattr__(self, "operation", Operation(self.operation))

    @property
    def length(self) -> float:
        """Length of the path in pixels; 0 for a dot."""
        return float(np.hypot(*np.diff(self.path, axis=0).T).sum())

    def shifted(self, rows: int, cols: int) -> Stroke:
        """Return the same stroke moved by whole pixels."""
        return Stroke(self.path + (rows, cols), self.half_width, self.operation, self.tip)

    def to_dict(self) -> dict[str, Any]:
        """Return the stroke as plain numbers and strings, for JSON."""
        return {
            "path": self.path.tolist(),
            "half_width": self.half_width,
            "operation": self.operation.name.lower(),
            "tip": self.tip,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Stroke:
        """Return the stroke that `to_dict` wrote."""
        operation = Operation[str(record["operation"]).upper()]
        return cls(np.asarray(record["path"]), record["half_width"], operation, record["tip"])


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image, rows ``top`` to ``bottom - 1``, cols ``left`` to ``right - 1``.

    A tile may reach past the image; `geometry.tiles.crop` pads there.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def index(self) -> tuple[slice, slice]:
        """Slices that cut the tile from an array of shape (H, W)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def clipped(self, shape: tuple[int, int]) -> Tile:
        """Return the part of the tile inside an image of shape (H, W)."""
        height, width = shape
        top, left = min(max(self.top, 0), height), min(max(self.left, 0), width)
        bottom, right = min(max(self.bottom, top), height), min(max(self.right, left), width)
        return Tile(top, left, bottom, right)

    def within(self, frame: Tile) -> Tile:
        """Return the tile in the coordinates of a frame."""
        rows, cols = frame.top, frame.left
        return Tile(self.top - rows, self.left - cols, self.bottom - rows, self.right - cols)

    def overlaps(self, other: Tile) -> bool:
        """Say whether the two rectangles share a pixel."""
        return (
            self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )


@dataclass(frozen=True)
class Round:
    """One interaction: a stroke and the scores of the whole image after it.

    Parameters
    ----------
    index : int
        Number of the interaction, from 1; 0 stands for the state before any.
    tile : Tile or None
        Where the simulator was asked to work; None for round 0.
    stroke : Stroke or None
        What was drawn; None for round 0.
    effort : int
        Hinted pixels so far.
    stroke_length : float
        Length of all strokes so far, in pixels.
    manual, refined : mapping of str to float
        Metric name to score, for the manual and the refined prediction.
    seconds : mapping of str to float
        Wall time of the parts of this round: ``simulate`` (finding strokes),
        ``network`` (the refiner), ``merge`` (its answer into the image),
        ``score``, and ``log`` (keeping the stroke, and the observers of the
        round before). Tiles asked together are booked where they were asked.
    regret : int or None
        Pixels inside the ROI that were right in the refined mask before,
        carry no hint, this stroke's included, and are wrong after. In round 0
        those of the first prediction that the refiner spoilt before there was
        a stroke, None if it changed nothing. None, too, in tables from before
        this was counted.
    repaired : int or None
        The reverse: pixels without a hint that were wrong and are right.
    compliance : float
        Share of the stroke's pixels inside the ROI in which the refiner's
        merged answer, before strokes are pasted, agrees with the stroke; nan
        if it marks none there, or nobody counted.
    """

    index: int
    tile: Tile | None
    stroke: Stroke | None
    effort: int
    stroke_length: float
    manual: Mapping[str, float]
    refined: Mapping[str, float]
    seconds: Mapping[str, float]
    regret: int | None = None
    repaired: int | None = None
    compliance: float = math.nan
