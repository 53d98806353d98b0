"""What each refiner of each run achieved, with intervals; curves to lay over each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from linerefine.comparison.runs import FinishedRun
from linerefine.errors import ConfigError
from linerefine.evaluation.sessions import KEYS, sessions_of
from linerefine.evaluation.statistics import Estimate, estimate
from linerefine.gain import relative_gain

__all__ = ["NUMBERS", "Row", "common_metric", "curves", "rows_of"]

NUMBERS: Final = (
    "initial",
    "revised",
    "refined_best",
    "max_gain",
    "mean_gain",
    "interactions_to_best",
    "pixels_to_best",
    "workload_reduction",
    "regret",
    "worse_share",
    "network_seconds",
)
"""What is compared: columns of `linerefine.evaluation.sessions.session_summary`, and
``network_seconds``, the median over a session's interactions."""


@dataclass(frozen=True, eq=False)
class Row:
    """One refiner of one run.

    Parameters
    ----------
    run : FinishedRun
    refiner : str
        Its key.
    name : str
        Of its curve: the refiner's, with the run's where several runs have that refiner.
    numbers : mapping of str to Estimate
        By the names of `NUMBERS`; mean and 95 % interval over images and repeats.
    sessions, reached : int
        How many there are, and how many reached the manual best.
    """

    run: FinishedRun
    refiner: str
    name: str
    numbers: Mapping[str, Estimate]
    sessions: int
    reached: int

    @property
    def revises(self) -> bool:
        """Whether it changes the first prediction before there is a stroke."""
        return abs(self.numbers["revised"].mean - self.numbers["initial"].mean) > 0

    @property
    def is_by_hand(self) -> bool:
        """Whether this is the person without help: no network answers them."""
        return self.refiner == self.run.manual


def common_metric(runs: Sequence[FinishedRun], asked: str | None) -> str:
    """Return the metric by which runs are compared: the one asked for, or that which steered all.

    Raises
    ------
    ConfigError
        If a run does not hold it, or nothing was asked for and the runs were steered by several.
    """
    common = [name for name in runs[0].scored if all(name in run.scored for run in runs)]
    held = ", ".join(common) or "none"
    if asked is not None:
        lacking = [run.name for run in runs if asked not in run.scored]
        if lacking:
            msg = f"metric '{asked}' was not measured in {', '.join(lacking)}. In all runs: {held}."
            raise ConfigError(msg)
        return asked
    steering = {run.name: run.steering for run in runs}
    if len(set(steering.values())) > 1:
        said = "; ".join(f"{name}: {metric}" for name, metric in steering.items())
        msg = f"the runs were steered by several metrics ({said}). Pass --metric; all hold: {held}."
        raise ConfigError(msg)
    return runs[0].steering


def rows_of(runs: Sequence[FinishedRun], metric: str, refiners: Collection[str] = ()) -> list[Row]:
    """Return a row per run and refiner.

    Parameters
    ----------
    runs : sequence of FinishedRun
    metric : str
        Scores and gains are this one's; higher is better.
    refiners : collection of str
        Keys of those to show; empty for all.

    Raises
    ------
    ConfigError
        If no run has a refiner that was asked for.
    """
    known = {key for run in runs for key in run.refiners}
    for asked in refiners:
        if asked not in known:
            msg = f"no run has a refiner '{asked}'. They have: {', '.join(sorted(known))}."
            raise ConfigError(msg)
    chosen = [(run, key) for run in runs for key in run.refiners if not refiners or key in refiners]
    times = Counter(key for _, key in chosen)
    sessions = {run.folder: _sessions(run, metric) for run in runs}
    return [
        _row(run, key, key if times[key] == 1 else f"{key}, {run.name}", sessions[run.folder])
        for run, key in chosen
    ]


def curves(rows: Sequence[Row], metric: str) -> pd.DataFrame:
    """Return the rounds of all rows, as `linerefine.tracking.bands.compared_bands` draws them.

    Returns
    -------
    curves : DataFrame
        ``refiner`` (the row's name), ``image``, ``repeat``, ``round``,
        ``effort``, ``refined`` and ``by_hand``, the metric, and
        ``relative_gain``. Shared loop: over the same strokes by hand.
        Independent loop: over the manual person's session after as many
        interactions, curves carried forward; nobody does the same strokes by
        hand, so ``by_hand`` is nan.
    """
    return pd.concat([_curve(row, metric) for row in rows], ignore_index=True)


def _sessions(run: FinishedRun, metric: str) -> pd.DataFrame:
    """Return one row per session of a run, with the seconds that its network took."""
    sessions = sessions_of(_by(run, metric), run.config, metric).set_index(KEYS)
    strokes = run.rounds[run.rounds["round"] > 0]
    if "seconds_network" in strokes:
        sessions["network_seconds"] = strokes.groupby(KEYS)["seconds_network"].median()
    else:
        sessions["network_seconds"] = np.nan
    return sessions.reset_index()


def _by(run: FinishedRun, metric: str) -> pd.DataFrame:
    """Return the rounds of a run with the relative gain of a metric."""
    if metric == run.steering:
        return run.rounds
    pairs = zip(run.rounds[f"refined_{metric}"], run.rounds[f"manual_{metric}"], strict=True)
    return run.rounds.assign(relative_gain=[relative_gain(*pair) for pair in pairs])


def _row(run: FinishedRun, refiner: str, name: str, sessions: pd.DataFrame) -> Row:
    part = sessions[sessions["refiner"] == refiner]
    return Row(
        run,
        refiner,
        name,
        {
            number: estimate({str(i): own[number].tolist() for i, own in part.groupby("image")})
            for number in NUMBERS
        },
        sessions=len(part),
        reached=int(part["reached"].sum()),
    )


def _curve(row: Row, metric: str) -> pd.DataFrame:
    table = _by(row.run, metric)
    own = table[table["refiner"] == row.refiner]
    is_shared = row.run.config.evaluation.loop == "shared"
    gain = own["relative_gain"] if is_shared else _over_person(row, table, metric)
    return pd.DataFrame(
        {
            **{name: own[name] for name in ("image", "repeat", "round", "effort")},
            "refined": own[f"refined_{metric}"],
            "by_hand": own[f"manual_{metric}"] if is_shared else np.nan,
            "relative_gain": gain,
            "refiner": row.name,
        }
    )


def _over_person(row: Row, table: pd.DataFrame, metric: str) -> pd.Series:
    """Return the gain of an assisted person over the manual one after as many interactions."""
    score = f"refined_{metric}"
    people = {
        key: session.sort_values("round")[score].to_numpy(dtype=float)
        for key, session in table[table["refiner"] == row.run.manual].groupby(["image", "repeat"])
    }
    own = table[table["refiner"] == row.refiner]
    gains = [
        relative_gain(refined, person[min(step, len(person) - 1)])
        if (person := people.get((image, repeat))) is not None
        else np.nan
        for image, repeat, step, refined in zip(
            own["image"], own["repeat"], own["round"], own[score], strict=True
        )
    ]
    return pd.Series(gains, index=own.index, dtype=float)
