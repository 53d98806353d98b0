"""A person who clicks: one dot, deep inside what is most wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linerefine.simulators.options import ClicksOptions
from linerefine.simulators.regions import Region, RegionSimulator

__all__ = ["Clicks", "ClicksOptions"]


class Clicks(RegionSimulator):
    """Puts a dot where the largest error region is deepest.

    Parameters
    ----------
    options : ClicksOptions
        Width of the dot, least size of regions, tolerance of erasing.

    Notes
    -----
    Which regions count says `RegionSimulator`. The dot lies on the pixel that
    is farthest from the region's border; the image's border counts as one. All
    along a thin line that distance is the same, and the first such pixel in
    raster order, which RITM's evaluation takes, would always be at an end; here
    one is drawn at random among the deepest.

    References
    ----------
    N. Xu, B. Price, S. Cohen, J. Yang, T. Huang, "Deep Interactive Object
    Selection", CVPR 2016. DOI 10.1109/CVPR.2016.47

    S. Mahadevan, P. Voigtlaender, B. Leibe, "Iteratively Trained Interactive
    Segmentation", BMVC 2018. arXiv:1805.04398

    K. Sofiiuk, I. A. Petrov, A. Konushin, "Reviving Iterative Training with
    Mask Guidance for Interactive Segmentation", ICIP 2022. arXiv:2102.06583
    """

    def __init__(self, options: ClicksOptions | None = None) -> None:
        super().__init__(options or ClicksOptions())

    def _path(self, region: Region, rng: np.random.Generator) -> NDArray[np.intp]:
        return region.deepest(rng)
