"""What simulators share that look for errors and spare what is nearly right."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from linerefine.errors import ShapeError
from linerefine.geometry.strokes import dilate
from linerefine.interfaces import UserSimulator
from linerefine.samples import Target
from linerefine.types import HintMap, Mask, Tip

__all__ = ["ErrorSimulator"]


class ErrorSimulator(UserSimulator):
    """Compares prediction and target; erases only beyond a tolerance.

    Parameters
    ----------
    tolerance : float
        Pixels from the target's centreline up to which nothing is erased.
    tolerance_tip : {"disc", "cross"}
        Euclidean or city-block distance.

    Notes
    -----
    What erasing needs of a target is kept with it.
    """

    def __init__(self, tolerance: float, tolerance_tip: Tip) -> None:
        self._tolerance = tolerance, tolerance_tip
        self._near: WeakKeyDictionary[Target, Mask] = WeakKeyDictionary()

    def _spared(self, target: Target) -> Mask:
        """Return the pixels within the tolerance of the target's centreline."""
        near = self._near.get(target)
        if near is None:
            tolerance, tip = self._tolerance
            # `dilate` stops short of its half-width, and computes in single precision.
            beyond = float(np.nextafter(np.float32(tolerance), np.float32(np.inf)))
            near = dilate(target.centreline, beyond, tip)
            self._near[target] = near
        return near

    @staticmethod
    def _require_shape(prediction: Mask, target: Target, hints: HintMap) -> None:
        for name, array in (("prediction", prediction), ("hints", hints)):
            if array.shape != target.mask.shape:
                msg = f"{name} has shape {array.shape}, target {target.mask.shape}; must agree."
                raise ShapeError(msg)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is kept per target: weak references cannot be pickled."""
        return {key: value for key, value in self.__dict__.items() if key != "_near"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin with nothing kept."""
        self.__dict__.update(state)
        self._near = WeakKeyDictionary()
