"""What a ridge filter makes of a mirror: the yardstick below which nothing learnt should fall."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.types import Mask

__all__ = ["SCALE_SETS", "RidgeScore", "best_ridge_pfm"]

Field = NDArray[np.float32]
Filter = Literal["sato", "frangi"]

SCALE_SETS: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (1.5,),
    (2.0,),
    (3.0,),
    (4.0,),
    (1.0, 2.0),
    (1.5, 3.0),
    (2.0, 4.0),
    (1.0, 2.0, 3.0),
    (1.0, 1.5, 2.0, 3.0, 4.0),
)
"""Sets of standard deviations in pixels that are tried."""

LEVELS = 400
"""Thresholds tried for each response, at equal steps of its rank."""


@dataclass(frozen=True)
class RidgeScore:
    """The best that a ridge filter reaches on one image.

    Parameters
    ----------
    pfm : float
        Pseudo-F-measure in [0, 1]; nan without target lines in the ROI.
    precision, pseudo_recall : float
        What it is the harmonic mean of.
    filter : {"sato", "frangi"}
    sigmas : tuple of float
        Scales of the filter in pixels.
    threshold : float
        Responses above it are line.
    """

    pfm: float
    precision: float
    pseudo_recall: float
    filter: Filter
    sigmas: tuple[float, ...]
    threshold: float


def best_ridge_pfm(
    high_passed_depth: Field,
    target: Mask,
    roi: Mask,
    *,
    filters: Sequence[Filter] = ("sato", "frangi"),
    scale_sets: Sequence[tuple[float, ...]] = SCALE_SETS,
) -> RidgeScore:
    """Return the best score over filters, scales and thresholds, chosen with the target in hand.

    Parameters
    ----------
    high_passed_depth : ndarray of float32, shape (H, W)
        Height towards the camera; lines are valleys.
    target, roi : ndarray of bool, shape (H, W)
        Line pixels; pixels that count.
    filters : sequence of {"sato", "frangi"}
        Filters to try, as scikit-image defines them.
    scale_sets : sequence of tuple of float
        Scales to try, in pixels.

    Raises
    ------
    ShapeError
        If the arrays' shapes differ.

    Notes
    -----
    No honest user could choose so well: filter, scale and threshold are picked
    on the very image that is scored. Depth is clipped to three standard
    deviations about its mean in the ROI first, as for the networks.
    """
    if not high_passed_depth.shape == target.shape == roi.shape:
        msg = (
            f"depth has shape {high_passed_depth.shape}, target {target.shape}, roi {roi.shape}; "
            "all must agree."
        )
        raise ShapeError(msg)
    from skimage.morphology import thin  # half a second to import

    image = _clipped(high_passed_depth, roi)
    hits, spine = target[roi], thin(target)[roi]
    best = RidgeScore(float("nan"), float("nan"), float("nan"), filters[0], scale_sets[0], 0.0)
    for name, sigmas, response in _responses(image, filters, scale_sets):
        score = _best_threshold(response[roi], hits, spine, name, sigmas)
        if not best.pfm >= score.pfm:
            best = score
    return best


def _clipped(depth: Field, roi: Mask) -> Field:
    mean, sd = float(depth[roi].mean()), float(depth[roi].std())
    clipped = np.clip(depth, mean - 3 * sd, mean + 3 * sd)
    return np.asarray((clipped - mean) / max(sd, 1e-12), dtype=np.float32)


def _responses(
    image: Field, filters: Sequence[Filter], scale_sets: Sequence[tuple[float, ...]]
) -> Iterator[tuple[Filter, tuple[float, ...], Field]]:
    """Yield the response to each set of scales: the largest of those to each scale."""
    from skimage.filters import frangi, sato

    functions: dict[Filter, Callable[..., Field]] = {"sato": sato, "frangi": frangi}
    for name in filters:
        single = {
            sigma: functions[name](image, sigmas=[sigma], black_ridges=True)
            for sigma in sorted({sigma for sigmas in scale_sets for sigma in sigmas})
        }
        for sigmas in scale_sets:
            yield name, sigmas, np.maximum.reduce([single[sigma] for sigma in sigmas])


def _best_threshold(
    response: Field, hits: Mask, spine: Mask, name: Filter, sigmas: tuple[float, ...]
) -> RidgeScore:
    """Return the score at the best of `LEVELS` thresholds."""
    if not hits.any():
        return RidgeScore(float("nan"), float("nan"), float("nan"), name, sigmas, 0.0)
    order = np.argsort(-response, kind="stable")
    at = np.linspace(0, len(order) - 1, LEVELS).astype(np.intp)
    true = np.cumsum(hits[order])[at]
    found = np.cumsum(spine[order])[at]
    precision, recall = true / (at + 1), found / max(int(spine.sum()), 1)
    total = precision + recall
    pfm = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    top = int(pfm.argmax())
    return RidgeScore(
        float(pfm[top]),
        float(precision[top]),
        float(recall[top]),
        name,
        sigmas,
        float(response[order[at[top]]]),
    )
