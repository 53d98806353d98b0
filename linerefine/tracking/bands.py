"""Refiners side by side in one panel: the mean of their sessions with its 95 % band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from linerefine.tracking.style import (
    COLOURS,
    GREY,
    finish,
    in_percent,
    in_thousands,
    metric_title,
    new_figure,
    set_title,
)
from linerefine.tracking.traces import GRID, Loop, helping, interval, spread_out, steps_at

__all__ = ["Draws", "compared_bands", "gain_bands", "score_bands"]

Draws: TypeAlias = Literal["repeats", "images"]
"""What the band treats as drawn by chance: the strokes on these images, or the images."""

_BY_HAND = "#000000"
_LABELLED = 8  # most lines whose names fit beside the panel
_LONG = 28  # longest name that does
_SESSION = ["repeat", "image"]


def gain_bands(rounds: pd.DataFrame, *, over: Draws = "repeats", label: str = "") -> Figure:
    """Draw the relative gain of each refiner over interactions, mean over images and repeats.

    Parameters
    ----------
    rounds : DataFrame
        As `linerefine.report.RunResult.rounds`.
    over : {"repeats", "images"}
        Whether the band says how far chance moves the mean of these images, or
        how far other images would.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        A line per refiner that changes anything, named at its end. Sessions
        that stopped earlier carry their last value forward. No band where
        there is only one draw.
    """
    figure = new_figure(7.6, 4.2)
    axes = figure.subplots()
    lines = list(_lines(rounds, ["relative_gain"], "interactions", over))
    shown = [line for line in lines if line.is_helping]
    for line in shown:
        _draw(axes, line)
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    _dress(axes, "interactions", "relative gain, refined over manual")
    _name_lines(axes, shown)
    _explain(figure, rounds, over, shown)
    set_title(figure, "Relative gain after the same strokes", label)
    return figure


def score_bands(
    rounds: pd.DataFrame,
    *,
    metric: str = "pfm",
    loop: Loop = "shared",
    over: Draws = "repeats",
    label: str = "",
) -> Figure:
    """Draw a score over interactions and over effort, mean over images and repeats.

    Parameters
    ----------
    rounds : DataFrame
        As `linerefine.report.RunResult.rounds`.
    metric : str
        Which score.
    loop : {"shared", "independent"}
        If shared, a dashed line says what the same strokes achieve by hand. If
        independent, lines are what each person sees; a refiner that changes
        nothing is a person who works by hand.
    over : {"repeats", "images"}
        As in `gain_bands`.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        Two panels with the same score: interactions, and hinted pixels.
    """
    columns = [f"refined_{metric}", *([f"manual_{metric}"] if loop == "shared" else [])]
    figure = new_figure(11.5, 4.4)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, by in zip(panels, ("interactions", "hinted pixels"), strict=True):
        lines = list(_lines(rounds, columns, by, over))
        shown = [line for line in lines if line.is_helping or loop == "independent"]
        for line in shown:
            _draw(axes, line)
        _dress(axes, by, metric_title(metric) if by == "interactions" else "")
    panels[1].xaxis.set_major_formatter(in_thousands())
    named = [line for line in shown if not line.is_dashed]
    _name_lines(panels[1], named)
    _explain(figure, rounds, over, shown)
    what = "after the same strokes" if loop == "shared" else "each person sees"
    set_title(figure, f"{metric_title(metric)} {what}", label)
    return figure


def compared_bands(
    curves: pd.DataFrame, *, metric: str, over: Draws = "repeats", label: str = ""
) -> Figure:
    """Draw score and relative gain over interactions, refiners of several runs in one picture.

    Parameters
    ----------
    curves : DataFrame
        As `linerefine.comparison.numbers.curves` returns them.
    metric : str
        What the scores are, for the axis.
    over : {"repeats", "images"}
        As in `gain_bands`.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        Two panels. Left the score of what is displayed, dashed what the same
        strokes achieve by hand, black those who work by hand; right the gain
        of all who do not.
    """
    figure = new_figure(12.5, 4.6)
    left, right = figure.subplots(1, 2)
    scores = list(_lines(curves, ["refined", "by_hand"], "interactions", over))
    shown = [
        line
        for line in scores
        if not np.isnan(line.end) and (line.is_helping or not line.is_dashed)
    ]
    gains = list(_lines(curves, ["relative_gain"], "interactions", over))
    gains = [line for line in gains if line.is_helping and not np.isnan(line.end)]
    for axes, lines in ((left, shown), (right, gains)):
        for line in lines:
            _draw(axes, line)
    right.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    _dress(left, "interactions", metric_title(metric))
    _dress(right, "interactions", "relative gain over work by hand")
    _name_lines(left, [line for line in shown if not line.is_dashed])
    if gains:
        _name_lines(right, gains)
    _explain(figure, curves, over, shown)
    set_title(figure, f"{metric_title(metric)} and its gain over work by hand", label)
    return figure


@dataclass(frozen=True, eq=False)
class _Line:
    """One line of a panel: ``draws`` has shape (draws, points)."""

    name: str
    at: NDArray[np.float64]
    draws: NDArray[np.float64]
    colour: str
    is_helping: bool
    is_dashed: bool

    @property
    def end(self) -> float:
        """The mean at its last point."""
        return float(interval(self.draws)[0][-1])

    @property
    def has_band(self) -> bool:
        """Whether chance is seen in it; dashed lines only guide."""
        return not self.is_dashed and len(self.draws) > 1


def _lines(rounds: pd.DataFrame, columns: Sequence[str], by: str, over: Draws) -> Iterator[_Line]:
    """Yield the lines of a panel, refiner by refiner."""
    changing = helping(rounds)
    refiners = [str(name) for name in rounds["refiner"].unique()]
    colours = dict(zip(changing, COLOURS, strict=False))
    steps = np.arange(int(rounds["round"].max()) + 1, dtype=np.float64)
    grid = np.linspace(0, float(rounds["effort"].max()), GRID)
    for refiner in refiners:
        part = rounds[rounds["refiner"] == refiner].sort_values("round")
        for number, column in enumerate(columns):
            name = "round" if by == "interactions" else "effort"
            at = steps if by == "interactions" else grid
            yield _Line(
                refiner,
                at,
                _draws(part, name, column, at, over),
                colours.get(refiner, _BY_HAND),
                refiner in changing,
                number > 0,
            )


def _draws(
    part: pd.DataFrame, by: str, column: str, at: NDArray[np.float64], over: Draws
) -> NDArray[np.float64]:
    """Return the curves of a refiner, shape (draws, points): means over what is no chance."""
    curves = {
        key: steps_at(
            at, session[by].to_numpy(dtype=float), session[column].ffill().to_numpy(dtype=float)
        )
        for key, session in part.groupby(_SESSION)
    }
    sessions = pd.DataFrame.from_dict(curves, orient="index")
    sessions.index = pd.MultiIndex.from_tuples(curves, names=_SESSION)
    return sessions.groupby(level=over.removesuffix("s")).mean().to_numpy(dtype=float)


def _draw(axes: Axes, line: _Line) -> None:
    mean, half = interval(line.draws)
    if line.has_band:
        axes.fill_between(line.at, mean - half, mean + half, color=line.colour, alpha=0.18, lw=0)
    axes.plot(
        line.at,
        mean,
        color=line.colour,
        linestyle="--" if line.is_dashed else "-",
        linewidth=1.2 if line.is_dashed else 1.8,
        label=f"{line.name}, by hand" if line.is_dashed else line.name,
    )


def _dress(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.margins(x=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_formatter(in_percent())
    finish(axes)


def _name_lines(axes: Axes, lines: Sequence[_Line]) -> None:
    """Write the names of lines beside their ends; in a legend if there are too many."""
    known = [line for line in lines if not np.isnan(line.end)]
    if len(known) > _LABELLED or any(len(line.name) > _LONG for line in known):
        axes.legend(fontsize=8, frameon=False, ncols=2)
        return
    low, high = axes.get_ylim()
    heights = spread_out([line.end for line in known], 0.06 * (high - low))
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for line, height in zip(known, heights.tolist(), strict=True):
        axes.text(
            1.015, height, line.name, color=line.colour, transform=beside, fontsize=9, va="center"
        )


def _explain(figure: Figure, rounds: pd.DataFrame, over: Draws, lines: Sequence[_Line]) -> None:
    """Say under the panels what lines and bands are."""
    images, repeats = rounds["image"].nunique(), rounds["repeat"].nunique()
    drawn = f"mean of {images} image{'s' * (images != 1)}, {repeats} repeat{'s' * (repeats != 1)}"
    handles: list[Line2D | Patch] = [Line2D([], [], color=GREY, lw=1.8, label=drawn)]
    if any(line.is_dashed for line in lines):
        handles.append(Line2D([], [], color=GREY, ls="--", lw=1.2, label="same strokes, by hand"))
    if any(line.has_band for line in lines):
        handles.append(Patch(color=GREY, alpha=0.25, lw=0, label=f"95 % interval over {over}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
