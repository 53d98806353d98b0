"""Both centrelines that a score compares, their distances and their lengths.

Only line pixels inside the ROI have a centreline here: both masks are cut to
the ROI first and skeletonised then, so that nothing outside has a say.
"""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from linerefine.geometry import centreline
from linerefine.metrics.functional import inside
from linerefine.samples import Target
from linerefine.types import Mask

__all__ = ["centreline_distances", "centreline_length", "centrelines"]


def centrelines(prediction: Mask, target: Target) -> tuple[Mask, Mask]:
    """Return the centrelines of what is predicted and of the target, both inside the ROI.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.

    Returns
    -------
    predicted, expected : ndarray of bool, shape (H, W)
        Skeletons of both masks cut to the ROI; equal where the masks are.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.
    """
    return centreline(inside(prediction, target)), target.inner_centreline


def centreline_distances(
    predicted: Mask, expected: Mask
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far each pixel of either centreline is from the other centreline.

    Parameters
    ----------
    predicted, expected : ndarray of bool, shape (H, W)
        As `centrelines` gives them.

    Returns
    -------
    of_predicted, of_expected : ndarray of float64, shape (N,) and (M,)
        Euclidean distances in pixels, in raster order. To a centreline that is
        empty every pixel is as far as the image's diagonal: farther than it
        could be from any pixel, and finite, so that means stay numbers.

    Examples
    --------
    >>> line = np.zeros((3, 5), dtype=bool)
    >>> line[0] = True
    >>> [far.tolist() for far in centreline_distances(line[:, :3], line[::-1, :3])]
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    return _distances(predicted, expected), _distances(expected, predicted)


def centreline_length(centreline: Mask) -> float:
    """Return how long a centreline is, in pixels.

    Parameters
    ----------
    centreline : ndarray of bool, shape (H, W)
        One-pixel lines.

    Returns
    -------
    length : float
        1 for each pair of neighbours in a row or column, the square root of 2
        for each diagonal pair without a common neighbour. A single pixel has
        no length.

    Examples
    --------
    >>> centreline_length(np.eye(3, dtype=bool)) == 2 * 2**0.5
    True
    """
    straight, diagonal = 0, 0
    for _, _, pairs, is_diagonal in neighbours(centreline):
        count = int(np.count_nonzero(pairs))
        straight, diagonal = straight + count * (not is_diagonal), diagonal + count * is_diagonal
    return straight + diagonal * sqrt(2)


def neighbours(
    lines: Mask,
) -> list[tuple[tuple[slice, slice], tuple[slice, slice], Mask, bool]]:
    """Return the pairs of linked pixels by direction.

    Returns
    -------
    links : list of (first, second, pairs, is_diagonal)
        Slices that cut the first and the second pixel of each pair from an
        array of shape (H, W), where both are set, and whether the step is
        diagonal. Diagonal pairs with a common neighbour that is set are left
        out: the way there leads through that neighbour.
    """
    low, high, every = slice(None, -1), slice(1, None), slice(None)
    right = (every, low), (every, high)
    down = (low, every), (high, every)
    falling = (low, low), (high, high)
    rising = (low, high), (high, low)
    links = [(a, b, lines[a] & lines[b], False) for a, b in (right, down)]
    for (a, b), (c, d) in ((falling, rising), (rising, falling)):
        links.append((a, b, lines[a] & lines[b] & ~lines[c] & ~lines[d], True))
    return links


def _distances(here: Mask, there: Mask) -> NDArray[np.float64]:
    if not there.any():
        return np.full(np.count_nonzero(here), hypot(*here.shape))
    import cv2

    others = np.ascontiguousarray(~there).view(np.uint8)
    distances = cv2.distanceTransform(others, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares are whole numbers: rounding them undoes OpenCV's single precision.
    return np.sqrt(np.rint(np.square(distances[here], dtype=np.float64)))
