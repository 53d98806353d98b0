"""The one number that training, evaluation and tracking share."""

from __future__ import annotations

import math

__all__ = ["relative_gain"]


def relative_gain(refined: float, manual: float) -> float:
    """Return refined over manual score, minus one (paper, eq. 3).

    Parameters
    ----------
    refined, manual : float
        Scores after the same strokes, >= 0.

    Returns
    -------
    gain : float
        nan where either is undefined or the manual score is 0.

    Examples
    --------
    >>> relative_gain(0.75, 0.5)
    0.5
    """
    if math.isnan(refined) or math.isnan(manual) or manual == 0:
        return math.nan
    return refined / manual - 1.0
