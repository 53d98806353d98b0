"""Images to measure on, drawn in memory: lines as thin and as sparse as engravings or vessels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.samples import Sample, Target

__all__ = ["SHAPES", "Case", "Row", "drawn", "first_logits", "peak_mib", "status_kib"]

Row: TypeAlias = dict[str, Any]
"""One line of a table, value by title."""

SHAPES = {
    1: (960, 1024),
    2: (1792, 1344),
    15: (3358, 4482),
    60: (6716, 8964),
}
"""Height and width by megapixels; 15 and 60 are a mirror's working grid and its scan."""


def drawn(megapixels: int, channels: int = 1, seed: int = 0) -> Sample:
    """Return an annotated sample with an elliptic ROI, lines on about 3 % of it.

    Parameters
    ----------
    megapixels : int
        A key of `SHAPES`.
    channels : int
        Channels of the image.
    seed : int
        Same seed, same sample.
    """
    height, width = SHAPES[megapixels]
    rng = np.random.default_rng(seed)
    lines = np.zeros((height, width), np.uint8)
    for _ in range(height * width // 30_000):
        turns = np.cumsum(rng.normal(0, 0.35, 12)) + rng.uniform(0, 2 * np.pi)
        steps = 18 * np.column_stack([np.cos(turns), np.sin(turns)]).cumsum(axis=0)
        points = np.rint(steps + rng.uniform(0, (width, height))).astype(np.int32)
        cv2.polylines(lines, [points], isClosed=False, color=1, thickness=int(rng.integers(3, 8)))
    roi = np.zeros((height, width), np.uint8)
    middle, axes = (width // 2, height // 2), (int(0.48 * width), int(0.48 * height))
    cv2.ellipse(roi, middle, axes, 0, 0, 360, 1, cv2.FILLED)
    image = rng.standard_normal((channels, height, width), dtype=np.float32)
    image += lines
    return Sample(f"drawn-{megapixels}", image, roi.view(bool), (lines & roi).view(bool))


def first_logits(lines: NDArray[np.bool_], seed: int = 0) -> NDArray[np.float32]:
    """Return what a fair first network might answer: lines with gaps, and some that are not there.

    Parameters
    ----------
    lines : ndarray of bool, shape (H, W)
    seed : int
        Same seed, same gaps.
    """
    height, width = lines.shape
    rng = np.random.default_rng(seed)
    blocks = rng.random((-(-height // 24), -(-width // 24))) < 0.3
    gaps = np.repeat(np.repeat(blocks, 24, axis=0), 24, axis=1)[:height, :width]
    wrong = np.roll(lines, (height // 3, width // 3), axis=(0, 1)) & gaps
    return np.where((lines & ~gaps) | wrong, np.float32(2), np.float32(-2))


def peak_mib() -> float:
    """Return the most memory that this process has held, in MiB; nan if the system does not say.

    Not ``ru_maxrss``: on Linux a child's begins with its parent's.
    """
    return status_kib("VmHWM") / 1024


def status_kib(field: str) -> float:
    """Return a size that Linux keeps of this process, in KiB; nan elsewhere."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return float(line.split()[1])
    return float("nan")


@dataclass(frozen=True, eq=False)
class Case:
    """An image of shape (1, H, W), a first prediction of shape (H, W), and its target."""

    image: NDArray[np.float32]
    initial: NDArray[np.float32]
    target: Target

    @classmethod
    def of(cls, megapixels: int) -> Case:
        """Return a drawn sample whose first prediction has gaps, false lines and frayed borders."""
        sample = drawn(megapixels)
        assert sample.target is not None
        frayed = np.random.default_rng(1).standard_normal(sample.shape, dtype=np.float32)
        cv2.GaussianBlur(frayed, (0, 0), 2, dst=frayed)
        return cls(sample.image, first_logits(sample.target.mask) + 4 * frayed, sample.target)
