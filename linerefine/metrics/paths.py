"""Path similarity: whether ways along the lines are as long as they should be."""

from __future__ import annotations

from math import nan
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.interfaces import Metric
from linerefine.metrics.centrelines import centrelines
from linerefine.metrics.functional import harmonic_mean, numbers
from linerefine.metrics.graphs import PixelGraph
from linerefine.metrics.options import PathOptions
from linerefine.samples import Target
from linerefine.types import Mask

__all__ = ["PathSimilarity", "path_errors", "path_similarity"]

_MOST_VISITS = 4_000_000  # of pixels, by all searches of one direction: about half a second
_FEWEST_NODES = 4


def path_errors(
    prediction: Mask, target: Target, *, tolerance: float, nodes: int
) -> tuple[float, int, float, int]:
    """Compare the lengths of ways along both centrelines inside the ROI.

    Parameters
    ----------
    prediction : ndarray of bool, shape (H, W)
        Pixels predicted to be line.
    target : Target
        The reference on the same grid.
    tolerance : float
        How far in pixels, inclusive, a control node may lie from the other
        centreline, whose nearest pixel then stands for it there.
    nodes : int
        Control nodes spread along either centreline, at most, see
        `linerefine.metrics.graphs.PixelGraph.control_nodes`.

    Returns
    -------
    missed, expected, wrong, predicted : float and int
        Sum of errors and number of the ways between control nodes of the
        target, sought in the prediction; the same the other way about. The
        error of a way of length L is ``min(1, |L - L'| / L)``, L' its length on
        the other centreline; 1 if there is none.

    Raises
    ------
    ShapeError
        If `prediction` is not bool or its shape is not the target's.

    Notes
    -----
    Nodes are taken by rule, not by chance. Neighbouring pixels are linked as
    `linerefine.metrics.centrelines.neighbours` says; the way between two nodes
    is the shortest. Where both centrelines together have more ends and
    crossings than lines do, tens of thousands as in noise, fewer nodes are spread,
    at least four, so that the time is bounded: a coarser sample of the same ways.
    """
    ours, theirs = (PixelGraph.of(lines) for lines in centrelines(prediction, target))
    most = _MOST_VISITS // max(ours.knots + theirs.knots, 1)
    nodes = min(nodes, max(most, _FEWEST_NODES))
    return *_errors(theirs, ours, tolerance, nodes), *_errors(ours, theirs, tolerance, nodes)


def path_similarity(missed: float, expected: float, wrong: float, predicted: float) -> float:
    """Return the path similarity, one minus the mean error of ways, in both directions.

    Parameters
    ----------
    missed, expected, wrong, predicted : float
        As `path_errors` gives them, or sums of such numbers.

    Returns
    -------
    score : float
        In [0, 1], harmonic mean of both directions. nan if the target has no
        ways; 0 if it has and the prediction has none.

    References
    ----------
    A. Van Etten, D. Lindenbaum and T. M. Bacastow, "SpaceNet: a remote sensing
    dataset and challenge series", 2018. arXiv:1807.01232

    Examples
    --------
    >>> path_similarity(missed=1.0, expected=4, wrong=0.5, predicted=2)
    0.75
    """
    if expected == 0:
        return nan
    if predicted == 0:
        return 0.0
    return harmonic_mean(1 - missed / expected, 1 - wrong / predicted)


class PathSimilarity(Metric):
    """Path similarity; see `path_similarity`.

    Statistics are those of `path_errors`.

    Parameters
    ----------
    options : PathOptions, optional

    Examples
    --------
    >>> line = np.eye(9, dtype=bool)
    >>> PathSimilarity().score(line, Target(line, roi=np.ones_like(line)))
    1.0
    """

    is_additive: ClassVar[bool] = False

    def __init__(self, options: PathOptions | None = None) -> None:
        self._options = options or PathOptions()

    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return the four numbers as float64, shape (4,)."""
        tolerance, nodes = self._options.tolerance, self._options.nodes
        errors = path_errors(prediction, target, tolerance=tolerance, nodes=nodes)
        return np.array(errors, dtype=np.float64)

    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) such statistics; nan if the target has no ways."""
        return path_similarity(*numbers(statistics, 4))


def _errors(here: PixelGraph, there: PixelGraph, tolerance: float, count: int) -> tuple[float, int]:
    """Return sum of errors and number of the ways between control nodes of `here`."""
    nodes = here.control_nodes(count)
    first, second = np.triu_indices(len(nodes), k=1)
    lengths = here.distances(nodes)[first, second]
    is_way = np.isfinite(lengths)
    lengths = lengths[is_way]
    if len(lengths) == 0:
        return 0.0, 0
    found = np.array([there.nearest(place, tolerance) for place in here.pixels[nodes]])
    others = np.full((len(nodes), len(nodes)), np.inf)
    known = np.flatnonzero(found >= 0)
    others[np.ix_(known, known)] = there.distances(found[known])
    errors = np.minimum(1, np.abs(lengths - others[first, second][is_way]) / lengths)
    return float(errors.sum()), len(errors)
