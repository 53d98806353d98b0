"""Centrelines of masks, their unbranched segments, and how wide the lines are.

All functions take and give NumPy arrays; axes are (row, col). OpenCV and
scikit-image are imported where they are used, so that this module is cheap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.geometry._checks import require_mask
from linerefine.geometry._thinning import thin_pixels
from linerefine.types import Mask

__all__ = [
    "centreline",
    "half_widths",
    "longest_segment",
    "segment_pixels",
    "thin",
    "unbranched_segments",
]


def centreline(mask: Mask) -> Mask:
    """Return the one-pixel skeleton of a mask: where strokes go.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Line pixels.

    Returns
    -------
    centreline : ndarray of bool, shape (H, W)
        A new array, equal to scikit-image's ``skeletonize``.

    Raises
    ------
    ShapeError
        If `mask` is not a two-dimensional array of bool.

    References
    ----------
    T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning digital
    patterns", Comm. ACM 27 (3), 236-239, 1984. DOI 10.1145/357994.358023

    Examples
    --------
    >>> centreline(np.ones((3, 9), dtype=bool)).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0, 1, 0],
           [1, 1, 1, 1, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    """
    require_mask(mask, "mask")
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.bool_)
    from skimage.morphology import skeletonize

    # A copy: scikit-image refuses arrays that cannot be written, such as a session's views.
    skeleton: Mask = skeletonize(mask.copy())  # type: ignore[no-untyped-call]
    return skeleton


def thin(mask: Mask) -> Mask:
    """Return the thinned mask: what pseudo-recall counts.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Line pixels.

    Returns
    -------
    thinned : ndarray of bool, shape (H, W)
        A new array, equal to scikit-image's ``morphology.thin``. It differs
        from `centreline` on most masks.

    Raises
    ------
    ShapeError
        If `mask` is not a two-dimensional array of bool.

    References
    ----------
    Z. Guo and R. W. Hall, "Parallel thinning with two-subiteration algorithms",
    Comm. ACM 32 (3), 359-373, 1989. DOI 10.1145/62065.62074

    Examples
    --------
    >>> mask = np.zeros((5, 7), dtype=bool)
    >>> mask[1:4, 1:6] = True
    >>> np.argwhere(thin(mask)).tolist()
    [[2, 2], [2, 3], [2, 4]]
    """
    return thin_pixels(require_mask(mask, "mask"))


def segment_pixels(centreline: Mask) -> Mask:
    """Return the pixels of a centreline that are neither ends nor junctions.

    Parameters
    ----------
    centreline : ndarray of bool, shape (H, W)
        One-pixel lines, or any part of them.

    Returns
    -------
    pixels : ndarray of bool, shape (H, W)
        Set pixels with exactly two of their eight neighbours set. What lies
        outside the image counts as not set.

    Raises
    ------
    ShapeError
        If `centreline` is not a two-dimensional array of bool.

    Examples
    --------
    >>> np.flatnonzero(segment_pixels(np.ones((1, 4), dtype=bool))).tolist()
    [1, 2]
    """
    require_mask(centreline, "centreline")
    if centreline.size == 0:
        return np.zeros(centreline.shape, dtype=np.bool_)
    import cv2

    set_pixels = np.ascontiguousarray(centreline).view(np.uint8)
    of_nine = cv2.boxFilter(
        set_pixels, cv2.CV_8U, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    pixels: Mask = centreline & (of_nine == 3)
    return pixels


def unbranched_segments(centreline: Mask) -> list[NDArray[np.intp]]:
    """Return the unbranched segments of a centreline, each in path order.

    Parameters
    ----------
    centreline : ndarray of bool, shape (H, W)
        One-pixel lines, or any part of them.

    Returns
    -------
    segments : list of ndarray of intp, shape (K, 2)
        The 8-connected components of `segment_pixels`, as points ``(row, col)``
        of which each touches the next, in raster order of their first pixel.
        A segment begins at the end that comes first in raster order, a ring
        at the pixel that does.

    Raises
    ------
    ShapeError
        If `centreline` is not a two-dimensional array of bool.

    Notes
    -----
    A segment pixel has two set neighbours, so within its component it has at
    most two: every component is a simple path or a ring.

    Examples
    --------
    >>> line = np.eye(4, dtype=bool)
    >>> [segment.tolist() for segment in unbranched_segments(line)]
    [[[1, 1], [2, 2]]]
    """
    rows, cols = np.nonzero(segment_pixels(centreline))
    width = centreline.shape[1] + 2
    starts = _numbered(rows, cols, width)
    remaining = set(starts)
    return [
        _points(_take_segment(remaining, start, width), width)
        for start in starts
        if start in remaining
    ]


def longest_segment(centreline: Mask) -> NDArray[np.intp] | None:
    """Return the largest unbranched segment of a centreline in path order.

    Parameters
    ----------
    centreline : ndarray of bool, shape (H, W)
        One-pixel lines, or any part of them.

    Returns
    -------
    segment : ndarray of intp, shape (K, 2), or None
        The segment with most pixels, ordered as `unbranched_segments` does; of
        equals the one whose first pixel comes first in raster order. None if
        there is no segment.

    Raises
    ------
    ShapeError
        If `centreline` is not a two-dimensional array of bool.

    Examples
    --------
    >>> lines = np.zeros((3, 9), dtype=bool)
    >>> lines[0, 1:5] = lines[2, 1:8] = True
    >>> longest_segment(lines)[[0, -1]].tolist()
    [[2, 2], [2, 6]]
    """
    component = _largest_component(segment_pixels(centreline))
    if component is None:
        return None
    rows, cols = component
    width = centreline.shape[1] + 2
    numbers = _numbered(rows, cols, width)
    return _points(_take_segment(set(numbers), numbers[0], width), width)


def half_widths(mask: Mask, *, along: Mask | None = None) -> NDArray[np.float64]:
    """Return the half-width of every line pixel on the centreline.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Line pixels.
    along : ndarray of bool, shape (H, W), optional
        Where to measure, if the centreline is known already.

    Returns
    -------
    widths : ndarray of float64, shape (N,)
        Euclidean distance in pixels from each of the N centreline pixels, in
        row-major order, to the nearest background pixel centre. Empty if
        `mask` is, and if it has no background at all: nothing to measure.

    Raises
    ------
    ShapeError
        If an array is not a two-dimensional array of bool or the shapes differ.

    Notes
    -----
    A line three pixels wide has half-width 2, not 1.5: distances run to the
    *centre* of the first background pixel. Outside the image is no background.

    Examples
    --------
    >>> mask = np.zeros((7, 9), dtype=bool)
    >>> mask[2:5, 1:8] = True
    >>> float(half_widths(mask).max())
    2.0
    """
    along = centreline(mask) if along is None else require_mask(along, "along")
    if along.shape != require_mask(mask, "mask").shape:
        msg = f"along has shape {along.shape}, mask {mask.shape}; H and W must agree."
        raise ShapeError(msg)
    if mask.all():
        return np.zeros(0, dtype=np.float64)
    import cv2

    set_pixels = np.ascontiguousarray(mask).view(np.uint8)
    distances = cv2.distanceTransform(set_pixels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares are whole numbers: rounding them undoes OpenCV's single precision.
    squares = np.rint(np.square(distances[along], dtype=np.float64))
    return np.sqrt(squares)


def _largest_component(pixels: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return rows and cols of the largest component's pixels in raster order; None if empty."""
    places = np.flatnonzero(pixels)
    if len(places) == 0:
        return None
    import cv2

    # Without OpenCV's statistics: counting the few set pixels is eight times as fast.
    _, labels = cv2.connectedComponents(
        np.ascontiguousarray(pixels).view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    of_place = labels.ravel()[places]
    areas = np.bincount(of_place)
    largest = areas[of_place] == areas.max()
    # OpenCV promises no order of labels: of equals the one that comes first wins.
    winner = places[of_place == of_place[largest.argmax()]]
    rows, cols = np.divmod(winner, pixels.shape[1])
    return rows, cols


def _numbered(rows: NDArray[np.intp], cols: NDArray[np.intp], width: int) -> list[int]:
    """Return pixels as single numbers on a grid with an unused col at either side."""
    numbers: list[int] = (rows * width + cols + 1).tolist()
    return numbers


def _points(numbers: list[int], width: int) -> NDArray[np.intp]:
    """Return numbered pixels as an array of points, shape (K, 2)."""
    rows, cols = np.divmod(np.array(numbers, dtype=np.intp), width)
    return np.stack([rows, cols - 1], axis=1)


def _take_segment(remaining: set[int], first: int, width: int) -> list[int]:
    """Take the segment that holds `first`, its first pixel, out of `remaining`; in path order."""
    remaining.remove(first)
    onward = _walk(remaining, first, width)
    backward = _walk(remaining, first, width)
    path = [*reversed(backward), first, *onward]
    return path if path[0] <= path[-1] else path[::-1]


def _walk(remaining: set[int], here: int, width: int) -> list[int]:
    """Take neighbour after neighbour out of `remaining`; return them in order."""
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    path: list[int] = []
    while True:
        for step in steps:
            if here + step in remaining:
                break
        else:
            return path
        here += step
        remaining.remove(here)
        path.append(here)
