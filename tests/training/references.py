"""Formulas written out pixel by pixel, to compare the fast ones with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CROSS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
SQUARE = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1))


def plain_soft_skeleton(chance: NDArray, roi: NDArray, iterations: int) -> NDArray[np.float64]:
    """Return the soft skeleton of one patch, shape (H, W): algorithm 1 of the clDice paper."""
    image = chance.astype(np.float64)
    skeleton = _rest(image, roi)
    for _ in range(iterations):
        image = _over(image, roi, CROSS, min)
        skeleton = skeleton + (1 - skeleton) * _rest(image, roi)
    return skeleton


def _rest(image: NDArray, roi: NDArray) -> NDArray[np.float64]:
    opened = _over(_over(image, roi, CROSS, min), roi, SQUARE, max)
    return np.where(roi, np.maximum(image - opened, 0), 0)


def _over(image, roi, shape, choose) -> NDArray[np.float64]:
    result = np.zeros(image.shape)
    for place in zip(*np.nonzero(roi), strict=True):
        result[place] = choose(_values(image, roi, place, shape))
    return result


def _values(image, roi, place, shape) -> Iterator[float]:
    for step in shape:
        row, col = place[0] + step[0], place[1] + step[1]
        if 0 <= row < image.shape[0] and 0 <= col < image.shape[1] and roi[row, col]:
            yield image[row, col]
