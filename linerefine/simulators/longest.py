"""The simulated annotator of the paper: the longest error first, a few pixels of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linerefine.geometry.centreline import centreline, half_widths, longest_segment
from linerefine.geometry.strokes import sub_path
from linerefine.samples import Target
from linerefine.simulators.base import ErrorSimulator
from linerefine.simulators.options import LongestOptions
from linerefine.types import HintMap, Mask, Operation, Stroke

__all__ = ["Longest", "LongestOptions"]

WIDEST = 64
"""Largest half-width of a pen that fits its line, pixels."""


class Longest(ErrorSimulator):
    """Draws along the longest unbranched piece of line that is missing or superfluous.

    Parameters
    ----------
    options : LongestOptions
        Length and width of strokes, tolerance of erasing.

    Notes
    -----
    Missing (add) is the target's centreline where the prediction is empty.
    Superfluous (erase) is the prediction's centreline farther than
    ``tolerance`` from the target's. Both count only inside the ROI, and only
    where no hint of the same operation lies already: a stroke that did not
    help is not drawn again. Of each, the longest piece is taken whose pixels
    have two neighbours each, in path order; pieces of one or two pixels have
    no such pixel and are left alone.

    If several operations are allowed the longer piece wins, add if equal
    (paper, section 3.2.3: at random, which training does by allowing one
    operation at a time). From a piece longer than ``max_length`` a slice of
    that length around a random pixel is drawn.

    With ``half_width = "line"`` the pen fits: an add stroke is as wide as the
    target's line, its median along the stroke, an erase stroke as the widest
    part of what it erases.

    The path lies inside the ROI; the pixels that its width marks may spill over
    the ROI's border, where nothing is scored.

    Add and erase share no work, so asking for one after the other costs what
    asking for both does. What erasing needs of the target is kept with it.

    References
    ----------
    Sterzinger, Stippel, Sablatnig: Fusing Forces. ICPR 2024, section 3.2.
    """

    def __init__(self, options: LongestOptions | None = None) -> None:
        self.options = options or LongestOptions()
        super().__init__(self.options.tolerance, self.options.tolerance_tip)

    def next_stroke(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        *,
        operations: frozenset[Operation],
        rng: np.random.Generator,
    ) -> Stroke | None:
        """Return a stroke on the longest error, or None if no error is left.

        Raises
        ------
        ShapeError
            If `prediction` or `hints` do not have the target's shape.
        """
        errors = self.longest_errors(prediction, target, hints, operations)
        if not errors:
            return None
        operation = max(errors, key=lambda candidate: len(errors[candidate]))
        lines = target.mask if operation is Operation.ADD else prediction
        return self._stroke(errors[operation], lines, operation, rng)

    def longest_errors(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        operations: frozenset[Operation] = frozenset(Operation),
    ) -> Mapping[Operation, NDArray[np.intp]]:
        """Return the longest missing and the longest superfluous piece of line.

        Parameters
        ----------
        prediction : ndarray of bool, shape (H, W)
        target : Target
        hints : ndarray of int8, shape (H, W)
        operations : frozenset of Operation
            Which to look for.

        Returns
        -------
        errors : mapping of Operation to ndarray of int, shape (K, 2)
            Pixels ``(row, col)`` from end to end; add before erase, those left
            out of which nothing is.

        Raises
        ------
        ShapeError
            If `prediction` or `hints` do not have the target's shape.
        """
        self._require_shape(prediction, target, hints)
        errors = {}
        for operation in Operation:
            if operation not in operations:
                continue
            wrong = self._missing if operation is Operation.ADD else self._superfluous
            open_ = wrong(prediction, target) & target.roi & (hints != operation)
            segment = longest_segment(open_)
            if segment is not None:
                errors[operation] = segment
        return errors

    def _missing(self, prediction: Mask, target: Target) -> Mask:
        return target.centreline & ~prediction

    def _superfluous(self, prediction: Mask, target: Target) -> Mask:
        return centreline(prediction) & ~self._spared(target)

    def _stroke(
        self,
        segment: NDArray[np.intp],
        lines: Mask,
        operation: Operation,
        rng: np.random.Generator,
    ) -> Stroke:
        centre = int(rng.integers(len(segment)))
        path = sub_path(segment, self.options.max_length, centre)
        width = self.options.half_width
        half_width = _fitting(path, lines, operation) if width == "line" else self._half_width(rng)
        return Stroke(path, half_width, operation, self.options.tip)

    def _half_width(self, rng: np.random.Generator) -> float:
        """Return the half-width of the next stroke; for subclasses to draw at random."""
        return float(self.options.half_width)


def _fitting(path: NDArray[np.intp], lines: Mask, operation: Operation) -> float:
    """Return the half-width of a line along a path: the median, or the largest if it is to go."""
    top, left = np.maximum(path.min(axis=0) - WIDEST, 0)
    bottom, right = path.max(axis=0) + WIDEST + 1
    on_path = np.zeros_like(near := lines[top:bottom, left:right])
    on_path[tuple((path - (top, left)).T)] = True
    widths = half_widths(near, along=on_path)
    if not widths.size:  # line as far as one looks
        return WIDEST
    half_width = np.median(widths) if operation is Operation.ADD else widths.max()
    return float(np.clip(half_width, 1.0, WIDEST))
