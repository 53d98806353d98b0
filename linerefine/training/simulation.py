"""Strokes for training and for patch scores: one sample at a time, operations mixed."""

from __future__ import annotations

import math

import numpy as np

from linerefine.geometry.hints import constrain, merge_hints
from linerefine.interfaces import UserSimulator
from linerefine.samples import Target
from linerefine.types import HintMap, Logits, Mask, Operation, Stroke

__all__ = ["draw_corrections", "draw_hints", "draw_stroke", "logit"]


def logit(probability: float) -> float:
    """Return the log-odds of a probability in (0, 1)."""
    return math.log(probability / (1 - probability))


def draw_stroke(
    simulator: UserSimulator,
    prediction: Mask,
    target: Target,
    hints: HintMap,
    rng: np.random.Generator,
    *,
    even: bool = True,
) -> Stroke | None:
    """Return one stroke, or None if there is nothing to correct.

    Parameters
    ----------
    simulator : UserSimulator
        Draws.
    prediction : ndarray of bool, shape (H, W)
        What is corrected.
    target : Target
        Of the same patch.
    hints : ndarray of int8, shape (H, W)
        Strokes so far.
    rng : numpy.random.Generator
        The only source of chance.
    even : bool
        Whether add and erase have equal chance (paper, section 3.2.3); else
        the simulator decides, as in sessions.

    Notes
    -----
    Where there is nothing to erase, *this* patch gets an add stroke. The
    authors' code turns the whole batch into add then.
    """
    if not even:
        both = frozenset(Operation)
        return simulator.next_stroke(prediction, target, hints, operations=both, rng=rng)
    first = Operation.ADD if rng.random() < 0.5 else Operation.ERASE
    for operation in (first, Operation(-first)):
        stroke = simulator.next_stroke(
            prediction, target, hints, operations=frozenset({operation}), rng=rng
        )
        if stroke is not None:
            return stroke
    return None


def draw_hints(
    simulator: UserSimulator,
    initial: Logits,
    target: Target,
    rng: np.random.Generator,
    *,
    most: int = 1,
    overwrite: bool = True,
    threshold: float = 0.5,
) -> HintMap:
    """Return the hints of one to `most` strokes, each drawn on the manual mask so far.

    Parameters
    ----------
    simulator : UserSimulator
        Draws.
    initial : ndarray of float32, shape (H, W)
        Logits of the first prediction.
    target : Target
        Of the same patch.
    rng : numpy.random.Generator
        The only source of chance.
    most : int
        The number of strokes is drawn from 1 to this.
    overwrite : bool
        Whether later strokes hold where strokes overlap.
    threshold : float
        Probability above which a pixel is line.

    Returns
    -------
    hints : ndarray of int8, shape (H, W)
        Empty if there is nothing to correct.
    """
    return draw_corrections(
        simulator, initial > logit(threshold), target, rng, most=most, overwrite=overwrite
    )


def draw_corrections(
    simulator: UserSimulator,
    prediction: Mask,
    target: Target,
    rng: np.random.Generator,
    *,
    most: int = 1,
    overwrite: bool = True,
    even: bool = True,
    before: HintMap | None = None,
) -> HintMap:
    """Return what `draw_hints` does, from a mask of shape (H, W) and the hints so far."""
    hints: HintMap = np.zeros(prediction.shape, dtype=np.int8) if before is None else before
    for _ in range(1 if most == 1 else int(rng.integers(1, most + 1))):
        corrected = constrain(prediction, hints)
        stroke = draw_stroke(simulator, corrected, target, hints, rng, even=even)
        if stroke is None:
            break
        hints = merge_hints(hints, stroke, overwrite=overwrite)
    return hints
