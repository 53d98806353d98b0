"""Hints as networks see them: as they are, as distances, or as bells around them.

Distances are computed by OpenCV on the host, for tensors on a GPU too: exact,
under a millisecond for a crop of 256 pixels. No tracer can follow there, so what
is traced must take encoded hints, or be refused.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linerefine.errors import RunError
from linerefine.refiners.options import Encoding, PromptOptions

__all__ = ["channels_of", "encode_hints", "hint_distances"]


class _UntraceableError(RunError, RuntimeError):
    """Also a RuntimeError, as tracers raise: who tries several formats goes on with the next."""


def channels_of(encoding: Encoding) -> int:
    """Return how many channels encoded hints have."""
    return 1 if encoding == "map" else 2


def encode_hints(hints: Tensor, options: PromptOptions) -> Tensor:
    """Return hints the way a network is to see them.

    Parameters
    ----------
    hints : Tensor, shape (B, 1, H, W)
        In {-1, 0, +1}, float; on any device.
    options : PromptOptions
        Names the encoding and its length in pixels.

    Returns
    -------
    encoded : Tensor, shape (B, 1, H, W) or (B, 2, H, W)
        On the same device, of the same type. ``map``: the hints themselves.
        ``distance``: ``min(d, truncation) / truncation`` for add, then for
        erase, d as `hint_distances` gives it; 1 everywhere without a hint of
        that operation. ``gaussian``: ``exp(-d**2 / (2 * sigma**2))``; 0
        everywhere without one.

    Raises
    ------
    RunError
        If distances are asked for while the network is traced for export.

    Notes
    -----
    The authors of both encodings mark clicks, whose hints are single pixels;
    a stroke's are all pixels that it marks.

    References
    ----------
    N. Xu, B. Price, S. Cohen, J. Yang, T. Huang, "Deep Interactive Object
    Selection", CVPR 2016. DOI 10.1109/CVPR.2016.47 (distance)

    S. Mahadevan, P. Voigtlaender, B. Leibe, "Iteratively Trained Interactive
    Segmentation", BMVC 2018. arXiv:1805.04398 (gaussian)
    """
    if options.encoding == "map":
        return hints
    distances = hint_distances(hints)
    if options.encoding == "distance":
        return distances.clamp(max=options.truncation) / options.truncation
    return torch.exp(-distances.square() / (2 * options.sigma**2))


def hint_distances(hints: Tensor) -> Tensor:
    """Return how far each pixel is from the nearest hint of either operation.

    Parameters
    ----------
    hints : Tensor, shape (B, 1, H, W)
        In {-1, 0, +1}, float; on any device.

    Returns
    -------
    distances : Tensor, shape (B, 2, H, W)
        Euclidean, in pixels between centres: to the nearest add hint, to the
        nearest erase hint; infinite where there is none. On the same device,
        of the same type.

    Raises
    ------
    RunError
        If the network is being traced for export.
    """
    is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    if is_traced or torch.compiler.is_compiling():
        msg = (
            "a refiner that sees hints as distances cannot be exported: they are computed outside "
            "torch. Train it with encoding 'map' to export it."
        )
        raise _UntraceableError(msg)
    signs = hints.detach()[:, 0].sign().to(torch.int8).cpu().numpy()
    found = np.stack([_nearest(signs == operation) for operation in (1, -1)], axis=1)
    return torch.from_numpy(found).to(hints.device, hints.dtype)


def _nearest(marked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the distance to the nearest set pixel of each image, shape (B, H, W)."""
    distances = np.full(marked.shape, np.inf, dtype=np.float32)
    for image, into in zip(marked, distances, strict=True):
        if image.any():
            unmarked = (~image).view(np.uint8)
            into[:] = cv2.distanceTransform(unmarked, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares are whole numbers: rounding them undoes OpenCV's single precision.
    return np.sqrt(np.rint(np.square(distances, dtype=np.float64))).astype(np.float32)
