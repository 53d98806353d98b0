"""Effort as bars, and variants compared by a mean with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from linerefine.errors import RunError
from linerefine.tracking.style import (
    COLOURS,
    GREY,
    MANUAL,
    REFINED,
    finish,
    in_percent,
    in_thousands,
    metric_title,
    new_figure,
    set_title,
)
from linerefine.tracking.traces import Loop, crossing, helping, interval

__all__ = ["Estimate", "comparison", "effort_bars"]

_WIDTH = 0.38  # of a bar; a pair takes twice that of the distance to the next


def effort_bars(
    rounds: pd.DataFrame,
    *,
    metric: str = "pfm",
    loop: Loop = "shared",
    by_hand: str = "manual",
    label: str = "",
) -> Figure:
    """Draw the effort to the best manual score, by hand and refined, per image (paper, Figure 6).

    Parameters
    ----------
    rounds : DataFrame
        As `linerefine.report.RunResult.rounds`.
    metric : str
        Which score.
    loop : {"shared", "independent"}
        If independent, the manual curve is what the refiner `by_hand` shows in
        its own session of the same repeat.
    by_hand : str
        Which refiner that is.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        A panel per refiner, a pair of bars per image: means over the repeats
        that got there, their 95 % intervals, and how much was saved.

    Raises
    ------
    RunError
        If the loop is independent and nobody worked by hand.
    """
    refiners = helping(rounds)
    if loop == "independent":
        names = [str(name) for name in rounds["refiner"].unique()]
        refiners = [name for name in names if name != by_hand] or names
        if by_hand not in names:
            msg = f"no sessions of refiner '{by_hand}' to compare with; run with it too."
            raise RunError(msg)
    images = [str(name) for name in rounds["image"].unique()]
    wide = max(1.1 * len(images), 2.6)
    figure = new_figure(1.0 + wide * len(refiners), 4.1)
    panels = figure.subplots(1, len(refiners), sharey=True, squeeze=False)[0]
    for axes, refiner in zip(panels, refiners, strict=True):
        manual = by_hand if loop == "independent" else refiner
        for place, image in enumerate(images):
            _pair(axes, place, _marks(rounds, refiner, manual, image, metric))
        axes.set_xticks(range(len(images)), images)
        axes.set_xlim(-0.6, len(images) - 0.4)
        axes.margins(y=0.12)
        axes.set_title(refiner, fontsize=10)
        finish(axes)
        axes.grid(visible=False, axis="x")
        if max(map(len, images)) > 9:
            axes.tick_params("x", labelrotation=30)
    panels[0].set_ylabel("hinted pixels")
    panels[0].yaxis.set_major_formatter(in_thousands())
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles[:2], labels[:2], loc="outside lower center", ncols=2, fontsize=8, frameon=False
    )
    set_title(figure, f"Effort to the best manual {metric_title(metric)}", label)
    return figure


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval.

    Parameters
    ----------
    variant : str
        What is compared: a row of a table.
    group : str
        Under which condition or score; each has a panel.
    mean, low, high : float
        The estimate and the ends of its interval; nan where unknown.
    """

    variant: str
    group: str
    mean: float
    low: float = math.nan
    high: float = math.nan


def comparison(
    estimates: Sequence[Estimate], *, title: str = "", is_share: bool = True, label: str = ""
) -> Figure:
    """Draw variants below one another: a point for the mean, a line for its interval.

    Parameters
    ----------
    estimates : sequence of Estimate
        Variants and groups come in order of first appearance.
    title : str
        What is compared.
    is_share : bool
        Whether numbers are shown as percent.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        A panel per group, a row per variant.
    """
    variants = list(dict.fromkeys(estimate.variant for estimate in estimates))
    groups = list(dict.fromkeys(estimate.group for estimate in estimates))
    figure = new_figure(1.6 + 3.0 * max(len(groups), 1), 1.4 + 0.36 * max(len(variants), 1))
    panels = figure.subplots(1, max(len(groups), 1), sharey=True, squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=False):
        for estimate in estimates:
            if estimate.group == group:
                _point(axes, variants.index(estimate.variant), estimate)
        axes.set_xlabel(group)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        if is_share:
            axes.xaxis.set_major_formatter(in_percent())
        finish(axes)
    panels[0].set_yticks(range(len(variants)), variants)
    panels[0].set_ylim(max(len(variants), 1) - 0.5, -0.5)
    set_title(figure, title, label)
    return figure


def _marks(
    rounds: pd.DataFrame, refiner: str, manual: str, image: str, metric: str
) -> NDArray[np.float64]:
    """Return the effort by hand and refined of each repeat, shape (repeats, 2)."""
    return np.array(
        [
            crossing(*hand, refined, effort)[1:]
            for hand, (effort, refined) in _curves(rounds, refiner, manual, image, metric)
        ]
    ).reshape(-1, 2)


_Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def _curves(
    rounds: pd.DataFrame, refiner: str, manual: str, image: str, metric: str
) -> Iterator[tuple[_Curve, _Curve]]:
    """Yield effort and score of the manual and the refined curve of each repeat."""
    here = rounds[rounds["image"] == image].sort_values("round")
    for repeat, session in here[here["refiner"] == refiner].groupby("repeat"):
        hand, side = session, "manual"
        if manual != refiner:
            hand, side = here[(here["refiner"] == manual) & (here["repeat"] == repeat)], "refined"
        if len(hand):
            yield (
                _columns(hand, f"{side}_{metric}"),
                _columns(session, f"refined_{metric}"),
            )


def _columns(session: pd.DataFrame, score: str) -> _Curve:
    return session["effort"].to_numpy(dtype=float), session[score].to_numpy(dtype=float)


def _pair(axes: Axes, place: int, marks: NDArray[np.float64]) -> None:
    """Draw the two bars of an image, and what was saved."""
    reached = marks[~np.isnan(marks).any(axis=1) & (marks[:, 0] > 0)]
    # Where nobody got there with the refiner, what it takes by hand is still known.
    hand = reached[:, 0] if len(reached) else marks[~np.isnan(marks[:, 0]), 0]
    _bar(axes, place - _WIDTH / 2, hand, MANUAL, "by hand")
    top = _bar(axes, place + _WIDTH / 2, reached[:, 1], REFINED, "refined")
    said = "not\nreached"
    if len(reached):
        said = f"{-100 * float((1 - reached[:, 1] / reached[:, 0]).mean()):+.0f} %"
        said += f"\n{len(reached)} of {len(marks)}" if len(reached) < len(marks) else ""
    axes.annotate(
        said,
        (place + _WIDTH / 2, top),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
    )


def _bar(axes: Axes, at: float, values: NDArray[np.float64], colour: str, label: str) -> float:
    """Draw one bar with its interval; return where it ends."""
    mean, half = (float(number) for number in interval(values)) if len(values) else (0.0, math.nan)
    axes.bar(at, mean, _WIDTH, color=colour, label=label)
    if math.isnan(half):
        return mean
    below = min(half, mean)  # effort is never negative
    axes.errorbar(at, mean, [[below], [half]], color=GREY, capsize=3, lw=1.2)
    return mean + half


def _point(axes: Axes, row: int, estimate: Estimate) -> None:
    colour = COLOURS[row % len(COLOURS)]
    if not math.isnan(estimate.low) and not math.isnan(estimate.high):
        axes.hlines(row, estimate.low, estimate.high, color=colour, linewidth=2, alpha=0.6)
    axes.plot(estimate.mean, row, "o", color=colour, markersize=6)
