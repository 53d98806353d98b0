"""Colour photographs of the retina, in folders; without a root, drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linerefine.loaders.folder import Folder
from linerefine.types import Mask, Progress
from linerefine_retina_demo.options import RetinaOptions

__all__ = ["Retina"]

DARK = 0.12
"""Outside the field of view red is darker than this share of what is bright inside."""


class Retina(Folder):
    """The folder loader, with three things that are particular to the eye.

    It reads the green channel, keeps both eyes of a child in one split, and
    estimates the field of view where ``fov/`` does not say it.

    Parameters
    ----------
    options : RetinaOptions
    """

    options: RetinaOptions

    @property
    def root(self) -> Path:
        """The data root, or a folder of drawn images if none was named."""
        return self._drawn(lambda *_: None) if self.options.root is None else super().root

    def prepare(self, progress: Progress) -> None:
        """Draw the sample if it is needed, and check all files."""
        if self.options.root is None:
            self._drawn(progress)
        super().prepare(progress)

    def notes(self) -> dict[str, str]:
        """Return whether the data are real or drawn, and how they were divided."""
        return super().notes() | {"data": "sample" if self.options.root is None else "real"}

    def estimate_roi(self, pixels: NDArray[np.float32]) -> Mask:
        """Return the round field of view: the largest part that is bright in red."""
        import cv2

        red = cv2.GaussianBlur(np.ascontiguousarray(pixels[..., 0]), (0, 0), 0.002 * len(pixels))
        bright = (red > DARK * np.percentile(red, 90)).astype(np.uint8)
        _, labels, measures, _ = cv2.connectedComponentsWithStats(bright)
        if len(measures) == 1:
            return np.ones(red.shape, dtype=np.bool_)
        largest = (labels == 1 + np.argmax(measures[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
        outlines, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros_like(largest), outlines, -1, 1, cv2.FILLED)
        return np.asarray(filled, dtype=np.bool_)

    def _drawn(self, progress: Progress) -> Path:
        from linerefine_retina_demo.sample import drawn_folder

        o = self.options
        return drawn_folder(o.sample_images, o.sample_size, o.sample_seed, progress)
