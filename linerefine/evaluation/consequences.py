"""What a stroke did beside what it said: harm, help, and whether the refiner agreed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from linerefine.evaluation.options import Option
from linerefine.samples import Target
from linerefine.session import RefinementSession
from linerefine.types import Operation

__all__ = ["Consequences", "revision"]


@dataclass(frozen=True)
class Consequences:
    """What came of one stroke, as `linerefine.types.Round` holds it.

    Parameters
    ----------
    regret : int
        Pixels that the person never touched and that became wrong.
    repaired : int
        Pixels that the person never touched and that became right.
    compliance : float
        Share of the stroke's pixels in which the refiner agrees by itself.
    """

    regret: int
    repaired: int
    compliance: float

    @classmethod
    def of(cls, option: Option, session: RefinementSession, target: Target) -> Consequences:
        """Return what a stroke that is about to be drawn will do, from its box alone.

        Parameters
        ----------
        option : Option
            The stroke and its update; not drawn yet.
        session : RefinementSession
            Whose threshold counts.
        target : Target
            Of the whole image.
        """
        flips, box = option.refined, option.update.box
        counts = target.roi[flips.rows, flips.cols] & (
            option.update.hints[flips.rows - box.top, flips.cols - box.left] == 0
        )
        is_right = flips.after == target.mask[flips.rows, flips.cols]
        return cls(
            regret=int(np.count_nonzero(counts & ~is_right)),
            repaired=int(np.count_nonzero(counts & is_right)),
            compliance=_compliance(option, session, target),
        )


def revision(session: RefinementSession, target: Target) -> tuple[int | None, int | None]:
    """Return how many pixels a refiner made wrong and right before there was a stroke.

    Parameters
    ----------
    session : RefinementSession
        Fresh.
    target : Target
        Of the whole image.

    Returns
    -------
    regret, repaired : int or None
        None if it left the first prediction as it was.
    """
    is_changed = session.mask != session.manual_mask
    if not is_changed.any():
        return None, None
    counts = is_changed & target.roi
    is_right = session.mask == target.mask
    return int(np.count_nonzero(counts & ~is_right)), int(np.count_nonzero(counts & is_right))


def _compliance(option: Option, session: RefinementSession, target: Target) -> float:
    update = option.update
    assert update.pixels is not None  # a stroke that is about to be drawn marks pixels
    counts = update.pixels & target.roi[update.marked.index]
    total = int(np.count_nonzero(counts))
    if total == 0:
        return math.nan
    says_line = update.logits[update.marked.within(update.box).index] > session.cut
    agrees = says_line == (option.stroke.operation is Operation.ADD)
    return int(np.count_nonzero(counts & agrees)) / total
