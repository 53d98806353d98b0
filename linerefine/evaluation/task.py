"""What a simulated person is given: an image, eyes that know the target, means and limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linerefine.config import EvaluationConfig
from linerefine.interfaces import Metric, UserSimulator
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Operation

__all__ = ["Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """One image to be worked on.

    Parameters
    ----------
    session : RefinementSession
        Fresh.
    target : Target
        Of the whole image.
    simulator : UserSimulator
        Prepared.
    operations : frozenset of Operation
        What the person may do.
    config : EvaluationConfig
    metric : Metric
        Steers.
    rng : numpy.random.Generator
        The only source of chance.
    lockstep : int
        Tiles that are worked on together, where the loop allows it.
    """

    session: RefinementSession
    target: Target
    simulator: UserSimulator
    operations: frozenset[Operation]
    config: EvaluationConfig
    metric: Metric
    rng: np.random.Generator
    lockstep: int = 1
