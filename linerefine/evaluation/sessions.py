"""From the table of rounds to one row per session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from linerefine.config import MANUAL, ExperimentConfig, RefinerConfig
from linerefine.evaluation.numbers import GAIN_STROKES, Loop, session_numbers
from linerefine.evaluation.seconds import MouseOptions

__all__ = ["KEYS", "by_hand", "image_gains", "session_summary", "sessions_of"]

KEYS: Final = ["refiner", "image", "repeat"]
"""What tells a session from another."""


def by_hand(refiners: Iterable[RefinerConfig]) -> str:
    """Return the key of the refiner that stands for a person without help, `MANUAL` if none does.

    Parameters
    ----------
    refiners : iterable of RefinerConfig
        Of a run; the first `linerefine.refiners.manual` is taken.
    """
    return next((part.key for part in refiners if part.name == MANUAL), MANUAL)


def session_summary(
    rounds: pd.DataFrame,
    metric: str,
    *,
    loop: Loop,
    budget: int,
    manual: str = MANUAL,
    gain_strokes: int = GAIN_STROKES,
    mouse: MouseOptions | None = None,
) -> pd.DataFrame:
    """Return one row per session: what it achieved, and what it cost.

    Parameters
    ----------
    rounds : DataFrame
        The table of rounds (see `linerefine.report.RunResult`).
    metric : str
        The steering metric; higher is better.
    loop : {"shared", "independent"}
        By which the rounds were made (``evaluation.loop``).
    budget : int
        Most interactions of a session (``evaluation.budget``).
    manual : str
        Key of the refiner whose sessions are the manual person of the independent loop.
    gain_strokes : int
        Over so many strokes the gain of an independent session is looked at.
    mouse : MouseOptions, optional
        How seconds are simulated.

    Returns
    -------
    sessions : DataFrame
        Sorted by ``refiner``, ``image`` and ``repeat``, one row each, with

        - ``initial``: score of the first prediction; ``revised``: of what is shown before the
          first stroke, the same unless the refiner revises it;
        - ``refined_best``, ``refined_last``: scores of what is shown;
        - ``rounds``, ``stroke_length`` (pixels), ``hinted_pixels``,
          ``simulated_seconds`` (`linerefine.evaluation.seconds`): spent in all;
        - ``regret``, ``repaired`` (pixels), ``compliance``: mean per stroke, as
          `linerefine.types.Round` counts them; what was done before the first stroke counts;
        - ``worse_share``: share of strokes after which the score of the whole
          image, as shown, is lower than before;
        - ``manual_best``: the mark. The best score of the manual curve; in the
          independent loop of the manual person's session on the same image and repeat;
        - ``max_gain``, ``mean_gain``, ``positive_share``: of the relative gain.
          Shared: of the refined over the manual curve, over all strokes.
          Independent: over the manual person after as many interactions, curves
          carried forward, over the first `gain_strokes` or the budget if less;
        - ``interactions_to_best``, ``pixels_to_best``: effort at the first round at or
          above the mark; never reached: as for the reductions;
        - ``reduction_interactions``, ``reduction_length``,
          ``workload_reduction`` (hinted pixels), ``reduction_seconds``: one
          minus what was spent at the first round at or above the mark, over
          what the manual curve or person had spent there. Never reached:
          shared nan; independent the full budget, at the session's own mean
          per interaction;
        - ``reached``: 1 if the mark was reached, else 0.

        nan where undefined: in the independent loop all comparisons where the
        manual person's session lacks. A manual person is compared with
        themselves. Empty if there are no rounds.

    Examples
    --------
    >>> rounds = pd.DataFrame({"refiner": "unet", "image": "a", "repeat": 0, "round": range(3),
    ...     "effort": [0, 10, 20], "manual_iou": [0.4, 0.5, 0.6], "refined_iou": [0.4, 0.7, 0.6],
    ...     "relative_gain": [0.0, 0.4, 0.0]})
    >>> sessions = session_summary(rounds, "iou", loop="shared", budget=3000)
    >>> sessions[["worse_share", "max_gain", "workload_reduction"]].iloc[0].tolist()
    [0.5, 0.4, 0.5]
    """
    if rounds.empty:
        return pd.DataFrame(columns=KEYS)
    curves: dict[Any, pd.DataFrame] = {
        key: curve.sort_values("round") for key, curve in rounds.groupby(KEYS, sort=True)
    }
    return pd.DataFrame(
        [
            dict(zip(KEYS, key, strict=True))
            | session_numbers(
                curve,
                metric,
                loop=loop,
                budget=budget,
                manual=curves.get((manual, *key[1:])),
                gain_strokes=gain_strokes,
                mouse=mouse,
            )
            for key, curve in curves.items()
        ]
    )


def sessions_of(
    rounds: pd.DataFrame, config: ExperimentConfig, metric: str | None = None
) -> pd.DataFrame:
    """Return one row per session of a run, by the run's own rules.

    Parameters
    ----------
    rounds : DataFrame
        The run's table of rounds.
    config : ExperimentConfig
        Of the run.
    metric : str, optional
        None: its steering metric.

    Returns
    -------
    sessions : DataFrame
        As `session_summary` returns them.
    """
    return session_summary(
        rounds,
        metric or config.metrics[0].name,
        loop=config.evaluation.loop,
        budget=config.evaluation.budget,
        manual=by_hand(config.refiners),
    )


def image_gains(sessions: pd.DataFrame, refiner: str) -> dict[str, float]:
    """Return a refiner's mean gain per image, largest first.

    Parameters
    ----------
    sessions : DataFrame
        As `session_summary` returns them.
    refiner : str
        Its key.

    Returns
    -------
    gains : dict of str to float
        ``mean_gain``, means over repeats; images where it is nowhere defined are left out.
    """
    if sessions.empty:
        return {}
    own = sessions[sessions["refiner"] == refiner]
    images = own.groupby("image")["mean_gain"].mean().dropna()
    ordered = images.sort_values(ascending=False, kind="stable")
    return {str(image): float(gain) for image, gain in ordered.items()}
