"""What the array functions of this package ask of their arguments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ShapeError
from linerefine.types import HintMap, Mask

__all__ = ["as_path", "require_hints", "require_mask"]


def require_mask(mask: NDArray[np.bool_], name: str) -> Mask:
    """Return `mask` itself if it is an array of bool, shape (H, W); else raise ShapeError."""
    _require(mask, name, np.bool_)
    return mask


def require_hints(hints: NDArray[np.int8]) -> HintMap:
    """Return `hints` itself if it is an array of int8, shape (H, W); else raise ShapeError."""
    _require(hints, "hints", np.int8)
    return hints


def as_path(path: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return `path` itself if its shape is (K, 2) with K >= 1; else raise ShapeError."""
    if path.ndim != 2 or path.shape[1] != 2 or len(path) == 0:
        msg = f"path has shape {path.shape}, expected (K, 2) with K >= 1."
        raise ShapeError(msg)
    return path


def _require(array: NDArray[np.generic], name: str, dtype: type[np.generic]) -> None:
    if array.ndim != 2 or array.dtype != dtype:
        expected = np.dtype(dtype).name
        msg = (
            f"{name} has shape {array.shape} and type {array.dtype}, "
            f"expected (H, W) and {expected}."
        )
        raise ShapeError(msg)
