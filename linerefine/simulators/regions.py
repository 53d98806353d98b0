"""Whole regions of error: where predicted and true lines differ, pixel by pixel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.samples import Target
from linerefine.simulators.base import ErrorSimulator
from linerefine.simulators.options import RegionOptions
from linerefine.types import HintMap, Mask, Operation, Stroke

__all__ = ["Region", "RegionSimulator"]


@dataclass(frozen=True, eq=False)
class Region:
    """One connected piece of error.

    Parameters
    ----------
    top, left : int
        Row and col of its bounding box.
    mask : ndarray of bool, shape (H, W)
        Which pixels of the box belong to it.
    """

    top: int
    left: int
    mask: Mask

    @property
    def size(self) -> int:
        """Number of its pixels."""
        return int(np.count_nonzero(self.mask))

    def deepest(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the pixel farthest from the border, shape (1, 2); of equals one at random.

        The border of the image is a border of the region too.
        """
        padded = np.pad(self.mask, 1).view(np.uint8)
        distances = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Squares are whole numbers: rounding them undoes OpenCV's single precision.
        squares = np.rint(np.square(distances[1:-1, 1:-1]))
        places = np.flatnonzero(squares == squares.max())
        place = int(places[rng.integers(len(places))])
        return self.in_image(np.array([divmod(place, self.mask.shape[1])], dtype=np.intp))

    def in_image(self, points: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return points of the box, shape (K, 2), as points of the image."""
        return points + np.array([self.top, self.left], dtype=np.intp)


class RegionSimulator(ErrorSimulator):
    """Marks the largest region of error; `_path` says how.

    Parameters
    ----------
    options : RegionOptions
        Width of marks, least size of regions, tolerance of erasing.

    Notes
    -----
    Missing (add) are the target's pixels that are not predicted, superfluous
    (erase) the predicted pixels off the target and farther than ``tolerance``
    from its centreline. Both count only inside the ROI, and only where no hint
    of the same operation lies already. Of each the largest 8-connected region
    is taken, of equals the first in raster order; regions of less than
    ``least_pixels`` are left alone. If several operations are allowed the
    larger region wins, add if equal.

    The literature marks objects, which are thick. A line that is predicted a
    pixel too thin or too thick leaves a rim all along it, larger than any gap:
    a missing region therefore counts only where it holds a piece of the
    target's centreline, as a superfluous one counts only beyond the tolerance.
    """

    def __init__(self, options: RegionOptions) -> None:
        self.options = options
        super().__init__(options.tolerance, options.tolerance_tip)

    def next_stroke(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        *,
        operations: frozenset[Operation],
        rng: np.random.Generator,
    ) -> Stroke | None:
        """Return a mark on the largest region, or None if none is left.

        Raises
        ------
        ShapeError
            If `prediction` or `hints` do not have the target's shape.
        """
        regions = self.largest_regions(prediction, target, hints, operations)
        if not regions:
            return None
        operation = max(regions, key=lambda candidate: regions[candidate].size)
        path = self._path(regions[operation], rng)
        return Stroke(path, self.options.half_width, operation, self.options.tip)

    def largest_regions(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        operations: frozenset[Operation] = frozenset(Operation),
    ) -> Mapping[Operation, Region]:
        """Return the largest missing and the largest superfluous region.

        Parameters
        ----------
        prediction : ndarray of bool, shape (H, W)
        target : Target
        hints : ndarray of int8, shape (H, W)
        operations : frozenset of Operation
            Which to look for.

        Returns
        -------
        regions : mapping of Operation to Region
            Add before erase, those left out of which nothing is.

        Raises
        ------
        ShapeError
            If `prediction` or `hints` do not have the target's shape.
        """
        self._require_shape(prediction, target, hints)
        found = {}
        for operation in Operation:
            if operation not in operations:
                continue
            is_open = target.roi & (hints != operation)
            if operation is Operation.ADD:
                wrong, counted = target.mask & ~prediction & is_open, target.centreline
            else:
                wrong = prediction & ~target.mask & ~self._spared(target) & is_open
                counted = wrong
            region = _largest(wrong, counted, self.options.least_pixels)
            if region is not None:
                found[operation] = region
        return found

    @abstractmethod
    def _path(self, region: Region, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return what is drawn in a region, in the image's coordinates, shape (K, 2)."""


def _largest(wrong: Mask, counted: Mask, least: int) -> Region | None:
    """Return the largest connected region that holds a `counted` pixel; None if all are small."""
    places = np.flatnonzero(wrong)
    if len(places) < least:
        return None
    _, labels = cv2.connectedComponents(
        np.ascontiguousarray(wrong).view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    of_place = labels.ravel()[places]
    areas = np.bincount(of_place)
    areas[np.bincount(of_place[counted.ravel()[places]], minlength=len(areas)) == 0] = 0
    if areas.max() < least:
        return None
    # OpenCV promises no order of labels: of equals the one that comes first wins.
    is_largest = areas[of_place] == areas.max()
    winner = places[of_place == of_place[is_largest.argmax()]]
    rows, cols = np.divmod(winner, wrong.shape[1])
    top, left = int(rows[0]), int(cols.min())
    mask = np.zeros((int(rows[-1]) + 1 - top, int(cols.max()) + 1 - left), dtype=np.bool_)
    mask[rows - top, cols - left] = True
    return Region(top, left, mask)
