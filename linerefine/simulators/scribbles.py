"""A person who scribbles: one long line through what is most wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linerefine.geometry.centreline import centreline, longest_segment
from linerefine.geometry.strokes import sub_path
from linerefine.simulators.options import ScribblesOptions
from linerefine.simulators.regions import Region, RegionSimulator

__all__ = ["Scribbles", "ScribblesOptions"]


class Scribbles(RegionSimulator):
    """Draws along the middle of the largest error region, as far as it goes unbranched.

    Parameters
    ----------
    options : ScribblesOptions
        Length and width of scribbles, least size of regions, tolerance of erasing.

    Notes
    -----
    Which regions count says `RegionSimulator`. The path is the longest segment
    of the region's centreline, from end to end in drawing order; where it is
    longer than ``max_length``, a slice of that length around a random pixel. A
    region so small or so round that its centreline has no segment gets a dot
    where it is deepest.

    UI-Net refines lesions, which are areas; on line drawings the middle of the
    missing or superfluous piece is what a person would trace.

    References
    ----------
    M. Amrehn et al., "UI-Net: Interactive Artificial Neural Networks for
    Iterative Image Segmentation Based on a User Model", 2017. arXiv:1709.03450
    """

    def __init__(self, options: ScribblesOptions | None = None) -> None:
        options = options or ScribblesOptions()
        super().__init__(options)
        self._max_length = options.max_length

    def _path(self, region: Region, rng: np.random.Generator) -> NDArray[np.intp]:
        segment = longest_segment(centreline(region.mask))
        if segment is None:
            return region.deepest(rng)
        middle = int(rng.integers(len(segment)))
        return region.in_image(sub_path(segment, self._max_length, middle))
