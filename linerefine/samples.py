"""One annotated image: what a loader delivers and what simulators and metrics read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.types import Mask, Tile

__all__ = ["Sample", "Target"]


@dataclass(frozen=True, eq=False)
class Target:
    """Human reference of one image or tile.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Line pixels.
    roi : ndarray of bool, shape (H, W)
        Pixels where drawing and scoring are allowed.

    Notes
    -----
    Skeletons are computed once per target and then kept. The skeleton of a
    crop is not the crop of the skeleton: `crop` makes a new target that
    skeletonises its own mask, `window` one that slices this target's.
    """

    mask: Mask
    roi: Mask

    def __post_init__(self) -> None:
        """Check that both arrays fit."""
        if self.mask.shape != self.roi.shape or self.mask.ndim != 2:
            msg = f"target mask has shape {self.mask.shape}, roi {self.roi.shape}; both (H, W)."
            raise ShapeError(msg)
        if self.mask.dtype != np.bool_ or self.roi.dtype != np.bool_:
            msg = f"target mask is {self.mask.dtype}, roi {self.roi.dtype}; both must be bool."
            raise ShapeError(msg)

    @cached_property
    def centreline(self) -> Mask:
        """Skeleton of the mask: where strokes go (scikit-image's ``skeletonize``)."""
        from linerefine.geometry.centreline import centreline  # scikit-image only where used

        return centreline(self.mask)

    @cached_property
    def thinned(self) -> Mask:
        """Thinned mask: what pseudo-recall counts (scikit-image's ``morphology.thin``)."""
        from linerefine.geometry.centreline import thin  # scikit-image only where used

        return thin(self.mask)

    @cached_property
    def inner_centreline(self) -> Mask:
        """Skeleton of the mask cut to the ROI: what predicted centrelines are compared with.

        A part of a target has one of its own.
        """
        from linerefine.geometry.centreline import centreline  # scikit-image only where used

        return centreline(self.mask & self.roi)

    def crop(self, tile: Tile) -> Target:
        """Return the target of a tile alone, with skeletons of its own.

        The same tile gives the same object: sessions on one image share the
        skeletons of its tiles.
        """
        if tile not in self._crops:
            self._crops[tile] = Target(self.mask[tile.index], self.roi[tile.index])
        return self._crops[tile]

    @cached_property
    def _crops(self) -> dict[Tile, Target]:
        return {}

    def window(self, tile: Tile) -> Target:
        """Return a view on a tile that keeps this target's skeletons, sliced."""
        return _Part(self.mask[tile.index], self.roi[tile.index], self, tile.index)

    def pixels(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Target:
        """Return some pixels laid side by side, with what this target's skeletons hold there.

        Parameters
        ----------
        rows, cols : ndarray of int, shape (N,)

        Returns
        -------
        target : Target
            Of shape (1, N); its pixels are no neighbours, so only what is
            counted pixel by pixel has a meaning there.
        """
        index = rows[None], cols[None]
        return _Part(self.mask[index], self.roi[index], self, index)


@dataclass(frozen=True, eq=False)
class _Part(Target):
    """A part of a target whose skeletons are parts of the whole's."""

    whole: Target
    index: tuple[Any, Any]

    @cached_property
    def centreline(self) -> Mask:
        part: Mask = self.whole.centreline[self.index]
        return part

    @cached_property
    def thinned(self) -> Mask:
        part: Mask = self.whole.thinned[self.index]
        return part


@dataclass(frozen=True, eq=False)
class Sample:
    """One image as a loader delivers it.

    Parameters
    ----------
    name : str
        Unique within its loader.
    image : ndarray of float32, shape (C, H, W)
        Normalised channels; may be a memory map.
    roi : ndarray of bool, shape (H, W)
        Pixels that count.
    lines : ndarray of bool, shape (H, W), or None
        Line pixels as a person traced them; None if nobody did.
    pixel_size_mm : float or None
        Edge of one pixel of this grid on the object; None if unknown.
    other_lines : tuple of ndarray of bool, shape (H, W)
        What further annotators traced on their own; first predictions are
        scored against each of them too.
    source_shape : tuple of int or None
        Height and width of the file the image was read from, where the
        working grid is coarser; predictions for people are written in it.
    """

    name: str
    image: NDArray[np.float32]
    roi: Mask
    lines: Mask | None = None
    pixel_size_mm: float | None = None
    other_lines: tuple[Mask, ...] = ()
    source_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check that all arrays agree."""
        if self.image.ndim != 3 or self.image.dtype != np.float32:
            msg = (
                f"sample '{self.name}': image has shape {self.image.shape} and type "
                f"{self.image.dtype}, expected (C, H, W) and float32."
            )
            raise ShapeError(msg)
        masks = [("roi", self.roi), ("lines", self.lines)]
        masks += [(f"other_lines[{i}]", other) for i, other in enumerate(self.other_lines)]
        for label, array in masks:
            if array is not None and array.shape != self.shape:
                msg = (
                    f"sample '{self.name}': {label} has shape {array.shape}, "
                    f"image {self.image.shape}; H and W must agree."
                )
                raise ShapeError(msg)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[1], self.image.shape[2]

    @cached_property
    def target(self) -> Target | None:
        """The reference, or None if nobody traced this image."""
        return None if self.lines is None else Target(self.lines, self.roi)
