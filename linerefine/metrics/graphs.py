"""A centreline as a graph of pixels, and shortest ways along it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from linerefine.metrics.centrelines import neighbours
from linerefine.types import Mask

__all__ = ["PixelGraph"]

_AT_A_TIME = 32  # sources of one call of Dijkstra's algorithm: bounds its answer


@dataclass(frozen=True, eq=False)
class PixelGraph:
    """The pixels of a centreline and the links between neighbours.

    Parameters
    ----------
    numbers : ndarray of int32, shape (H, W)
        Number of each centreline pixel in raster order; -1 elsewhere.
    pixels : ndarray of intp, shape (N, 2)
        Row and col by number.
    links : ndarray of intp, shape (L, 2)
        Numbers of linked pixels, as `linerefine.metrics.centrelines.neighbours`
        pairs them.
    lengths : ndarray of float64, shape (L,)
        1 or the square root of 2.
    """

    numbers: NDArray[np.int32]
    pixels: NDArray[np.intp]
    links: NDArray[np.intp]
    lengths: NDArray[np.float64]

    @classmethod
    def of(cls, centreline: Mask) -> PixelGraph:
        """Return the graph of a centreline, shape (H, W)."""
        numbers = np.full(centreline.shape, -1, dtype=np.int32)
        pixels = np.argwhere(centreline)
        numbers[centreline] = np.arange(len(pixels))
        links, lengths = [], []
        for first, second, pairs, is_diagonal in neighbours(centreline):
            links.append(np.column_stack([numbers[first][pairs], numbers[second][pairs]]))
            lengths.append(np.full(len(links[-1]), sqrt(2) if is_diagonal else 1.0))
        return cls(numbers, pixels, np.concatenate(links).astype(np.intp), np.concatenate(lengths))

    @property
    def knots(self) -> int:
        """How many pixels are no mere part of a line: ends, and where lines meet.

        That many a search for shortest ways visits, at most.
        """
        return int((self._degrees() != 2).sum())

    def _degrees(self) -> NDArray[np.intp]:
        """Return how many links each pixel has, shape (N,)."""
        return np.bincount(self.links.ravel(), minlength=len(self.pixels))

    def control_nodes(self, count: int) -> NDArray[np.intp]:
        """Return the numbers of pixels between which ways are measured.

        Parameters
        ----------
        count : int
            How many are spread evenly along the lines, at most.

        Returns
        -------
        nodes : ndarray of intp, shape (K,)
            Sorted, at most three times `count`: of every line that holds one
            of those spread the first and the last pixel in raster order are
            nodes too. Pixels without a link are none.
        """
        linked = np.flatnonzero(self._degrees())
        if len(linked) == 0:
            return linked
        labels = _labels(self.links, len(self.pixels))[linked]
        order = np.argsort(labels, kind="stable")  # line by line, each in raster order
        labels = labels[order]
        spread = np.rint(np.linspace(0, len(order) - 1, min(count, len(order)))).astype(np.intp)
        ends = [np.searchsorted(labels, labels[spread], side=side) for side in ("left", "right")]
        return np.unique(linked[order[np.concatenate([spread, ends[0], ends[1] - 1])]])

    def nearest(self, place: NDArray[np.intp], tolerance: float) -> int:
        """Return the number of the pixel nearest to a place, shape (2,).

        Returns
        -------
        number : int
            Of equally near pixels the first in raster order; -1 if none is
            within the tolerance, inclusive.
        """
        row, col = (int(value) for value in place)
        reach = ceil(tolerance)
        top, left = max(row - reach, 0), max(col - reach, 0)
        around = self.numbers[top : row + reach + 1, left : col + reach + 1]
        rows, cols = np.nonzero(around >= 0)
        if len(rows) == 0:
            return -1
        squares = (rows + top - row) ** 2 + (cols + left - col) ** 2
        best = int(squares.argmin())
        return int(around[rows[best], cols[best]]) if sqrt(squares[best]) <= tolerance else -1

    def distances(self, nodes: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the lengths of the shortest ways between pixels along the links.

        Parameters
        ----------
        nodes : ndarray of intp, shape (K,)
            Numbers of pixels.

        Returns
        -------
        lengths : ndarray of float64, shape (K, K)
            inf where no way leads.
        """
        if len(nodes) == 0 or len(self.links) == 0:
            return np.where(nodes[:, None] == nodes, 0.0, inf)
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        is_kept, links, lengths = self._condensed(nodes)
        number = np.cumsum(is_kept) - 1
        size = int(number[-1]) + 1
        graph = csr_array((lengths, (number[links[:, 0]], number[links[:, 1]])), (size, size))
        wanted = number[nodes]
        parts = [
            dijkstra(graph, directed=False, indices=wanted[at : at + _AT_A_TIME])[:, wanted]
            for at in range(0, len(wanted), _AT_A_TIME)
        ]
        return np.concatenate(parts)

    def _condensed(
        self, nodes: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.float64]]:
        """Return which pixels are kept, and the links between them.

        Pixels with two links that are no nodes are left out; each row of them
        becomes one link. Most pixels of a line are such.
        """
        is_kept = self._degrees() != 2
        is_kept[nodes] = True
        kept = is_kept[self.links]
        within = ~kept.any(axis=1)
        labels = _labels(self.links[within], len(self.pixels))
        passing = ~kept.all(axis=1)
        passed = np.where(kept[:, 0], self.links[:, 1], self.links[:, 0])
        totals = np.bincount(
            labels[passed[passing]], self.lengths[passing], minlength=len(self.pixels)
        )
        # Both ends of each row, one after the other; a ring without any kept pixel has none.
        border = np.flatnonzero(kept[:, 0] != kept[:, 1])
        border = border[np.argsort(labels[passed[border]], kind="stable")]
        end = np.where(kept[border, 0], self.links[border, 0], self.links[border, 1])
        rows = labels[passed[border[::2]]]
        links = np.concatenate([self.links[~passing], end.reshape(-1, 2)])
        lengths = np.concatenate([self.lengths[~passing], totals[rows]])
        return is_kept, *_shortest(links, lengths)


def _labels(links: NDArray[np.intp], size: int) -> NDArray[np.int32]:
    """Return the number of the component that each pixel belongs to."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(links), dtype=np.int8)
    graph = csr_array((ones, (links[:, 0], links[:, 1])), (size, size))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def _shortest(
    links: NDArray[np.intp], lengths: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return one link for each pair of pixels, the shortest; none from a pixel to itself."""
    links = np.sort(links, axis=1)
    order = np.lexsort([lengths, links[:, 1], links[:, 0]])
    links, lengths = links[order], lengths[order]
    is_new = np.append(True, (links[1:] != links[:-1]).any(axis=1))[: len(links)]
    is_new &= links[:, 0] != links[:, 1]
    return links[is_new], lengths[is_new]
