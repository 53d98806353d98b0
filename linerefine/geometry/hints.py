"""Hint maps: what strokes say about pixels, and how they bind a prediction."""

from __future__ import annotations

from typing import Final

import numpy as np

from linerefine.errors import ShapeError
from linerefine.geometry._checks import require_hints, require_mask
from linerefine.geometry.strokes import mark
from linerefine.types import HintMap, Logits, Mask, Operation, Stroke

__all__ = ["HINT_LOGIT", "apply_hints", "constrain", "merge_hints", "paint"]

HINT_LOGIT: Final = 20.0
"""Log-odds of a hinted pixel: certain, yet finite, so that networks can read it."""


def merge_hints(hints: HintMap, stroke: Stroke, *, overwrite: bool = True) -> HintMap:
    """Return the hint map with one more stroke.

    Parameters
    ----------
    hints : ndarray of int8, shape (H, W)
        Strokes so far; not changed.
    stroke : Stroke
        On the same grid; what lies outside the image has no effect.
    overwrite : bool
        Whose word holds where strokes overlap: the latest stroke's, or, if
        False, that of the stroke that came first.

    Returns
    -------
    merged : ndarray of int8, shape (H, W)
        A new array.

    Raises
    ------
    ShapeError
        If `hints` is not a two-dimensional array of int8, or the stroke cannot
        be drawn (see `linerefine.geometry.strokes.mark`).

    Examples
    --------
    >>> from linerefine.types import Operation
    >>> dot = Stroke([(1, 1)], half_width=1, operation=Operation.ADD)
    >>> merge_hints(np.zeros((2, 2), dtype=np.int8), dot).tolist()
    [[0, 0], [0, 1]]
    """
    merged = require_hints(hints).copy()
    tile, marked = mark(stroke, (merged.shape[0], merged.shape[1]))
    paint(merged[tile.index], marked, stroke.operation, overwrite=overwrite)
    return merged


def paint(window: HintMap, marked: Mask, operation: Operation, *, overwrite: bool = True) -> None:
    """Write what a stroke marks into a part of a hint map, in place.

    Parameters
    ----------
    window : ndarray of int8, shape (H, W)
        The part under the stroke; changed.
    marked : ndarray of bool, shape (H, W)
        Pixels the stroke marks, as `linerefine.geometry.strokes.mark` gives them.
    operation : Operation
        What the stroke does.
    overwrite : bool
        As for `merge_hints`.
    """
    if not overwrite:
        marked = marked & (window == 0)
    window[marked] = int(operation)


def apply_hints(logits: Logits, hints: HintMap) -> Logits:
    """Return logits that agree with every hint: the manual prediction.

    Parameters
    ----------
    logits : ndarray of float32, shape (H, W)
        Log-odds of a pixel being line; not changed.
    hints : ndarray of int8, shape (H, W)
        Strokes so far.

    Returns
    -------
    agreed : ndarray of float32, shape (H, W)
        `HINT_LOGIT` where a hint adds, ``-HINT_LOGIT`` where one erases, else
        `logits`. A new array.

    Raises
    ------
    ShapeError
        If `hints` is not a two-dimensional array of int8 or the shapes differ.

    Examples
    --------
    >>> logits = np.array([[0.5, 0.5, 0.5]], dtype=np.float32)
    >>> apply_hints(logits, np.array([[1, 0, -1]], dtype=np.int8)).tolist()
    [[20.0, 0.5, -20.0]]
    """
    _require_same_shape("logits", logits.shape, hints)
    agreed = logits.astype(np.float32, copy=True)
    agreed[hints > 0] = HINT_LOGIT
    agreed[hints < 0] = -HINT_LOGIT
    return agreed


def constrain(mask: Mask, hints: HintMap) -> Mask:
    """Return a mask that agrees with every hint.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Line pixels; not changed.
    hints : ndarray of int8, shape (H, W)
        Strokes so far.

    Returns
    -------
    agreed : ndarray of bool, shape (H, W)
        Set where a hint adds, clear where one erases, else as `mask`. A new
        array.

    Raises
    ------
    ShapeError
        If `mask` is not bool, `hints` not int8, or the shapes differ.

    Examples
    --------
    >>> hints = np.array([[1, 0, -1]], dtype=np.int8)
    >>> constrain(np.array([[False, True, True]]), hints).tolist()
    [[True, True, False]]
    """
    _require_same_shape("mask", require_mask(mask, "mask").shape, hints)
    return (mask | (hints > 0)) & (hints >= 0)


def _require_same_shape(name: str, shape: tuple[int, ...], hints: HintMap) -> None:
    if shape != require_hints(hints).shape:
        msg = f"{name} has shape {shape}, hints {hints.shape}; H and W must agree."
        raise ShapeError(msg)
