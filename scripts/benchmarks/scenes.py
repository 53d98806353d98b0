"""Large drawn images with lines that a first prediction half finds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linerefine.samples import Target

PIXELS_PER_CURVE = 12_000


@dataclass(frozen=True, eq=False)
class Case:
    """A dark image of shape (1, H, W), a first prediction of shape (H, W), and its target."""

    image: NDArray[np.float32]
    initial: NDArray[np.float32]
    target: Target

    @classmethod
    def of(cls, shape: tuple[int, int]) -> Case:
        """Return the case of a `scene`; every pixel counts."""
        lines, initial = scene(shape)
        image = np.zeros((1, *shape), dtype=np.float32)
        return cls(image, initial, Target(lines, np.ones(shape, dtype=np.bool_)))


def scene(shape: tuple[int, int], seed: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return line pixels and the logits of a first prediction of them.

    A quarter of the curves that are predicted are false, the middle of every
    true one is missing, and noise frays all borders.

    Parameters
    ----------
    shape : tuple of int
        Height and width.
    seed : int
        Same seed, same scene.

    Returns
    -------
    lines : ndarray of bool, shape (H, W)
    initial : ndarray of float32, shape (H, W)
    """
    rng = np.random.default_rng(seed)
    lines, found = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for _ in range(max(shape[0] * shape[1] // PIXELS_PER_CURVE, 4)):
        path, width = _curve(shape, rng), int(rng.integers(3, 8))
        if rng.random() < 0.25:
            _draw(found, path, width)
            continue
        begin = int(rng.integers(2, len(path) // 2))
        end = begin + int(rng.integers(2, len(path) // 2))
        _draw(lines, path, width)
        _draw(found, path[:begin], width)
        _draw(found, path[end:], width)
    noise = rng.standard_normal(shape, dtype=np.float32)
    cv2.GaussianBlur(noise, (0, 0), 2, dst=noise)
    noise *= 4
    noise += np.where(found > 0, np.float32(2), np.float32(-2))
    return lines.astype(np.bool_), noise


def _curve(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int32]:
    """Return points (x, y) four pixels apart on a line that bends slowly."""
    count = int(rng.integers(20, 80))
    bend = rng.normal(0, 0.03) + rng.normal(0, 0.02, count)
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(bend)
    steps = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    start = rng.uniform((0, 0), (shape[1], shape[0]))
    return np.rint(start + np.cumsum(steps, axis=0)).astype(np.int32)


def _draw(canvas: NDArray[np.uint8], path: NDArray[np.int32], width: int) -> None:
    if len(path) > 1:
        cv2.polylines(canvas, [path], isClosed=False, color=1, thickness=width)
