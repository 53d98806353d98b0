"""Pictures of a run, each drawn from data alone; whoever calls saves them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

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
from linerefine.tracking.traces import (
    GRID,
    GammaFit,
    crossing,
    gamma_density,
    gamma_words,
    helping,
    mean_steps,
)

__all__ = ["MOST_LINES", "gain_curve", "training_curve", "width_histogram", "workload"]

MOST_PANELS = 12
"""Panels of a picture that has one per refiner and image; more could not be read."""

MOST_LINES = 12
"""Images that have a colour and a name each in `gain_curve`."""


def gain_curve(rounds: pd.DataFrame, *, label: str = "") -> Figure:
    """Draw the relative gain over interactions (paper, Figure 5).

    Parameters
    ----------
    rounds : DataFrame
        As `linerefine.report.RunResult.rounds`.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        A panel per refiner, without those that never change anything; a line
        per image, the mean over repeats; a band of one standard deviation.
        Sessions that stopped earlier carry their last value forward. Of more
        than a dozen images the mean is drawn, with a band of one standard
        deviation over images, and each image as a thin grey line.
    """
    refiners = helping(rounds)
    is_crowded = rounds["image"].nunique() > MOST_LINES
    figure = new_figure(1.2 + 4.6 * len(refiners), 3.8)
    panels = figure.subplots(1, len(refiners), sharey=True, squeeze=False)[0]
    for axes, refiner in zip(panels, refiners, strict=True):
        part = rounds[rounds["refiner"] == refiner]
        if is_crowded:
            _gain_crowd(axes, part)
        else:
            for colour, (image, sessions) in zip(COLOURS, part.groupby("image"), strict=False):
                _gain_line(axes, sessions, str(image), colour)
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        axes.set_xlabel("interactions")
        axes.set_title(refiner, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        finish(axes)
    panels[0].set_ylabel("relative gain, refined over manual")
    panels[0].yaxis.set_major_formatter(in_percent())
    if is_crowded:
        panels[0].legend(fontsize=8, frameon=False)
    else:
        panels[0].legend(fontsize=8, frameon=False, title=_repeats(rounds), title_fontsize=8)
    set_title(figure, "Relative gain after the same strokes", label)
    return figure


def workload(rounds: pd.DataFrame, *, metric: str = "pfm", label: str = "") -> Figure:
    """Draw the score over the effort spent, by hand and refined (paper, Figure 6).

    Parameters
    ----------
    rounds : DataFrame
        As `linerefine.report.RunResult.rounds`.
    metric : str
        Which score.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
        A panel per refiner and image, the first twelve: thin lines are sessions, thick ones
        their mean; the arrow leads from the effort at which the manual score
        is best to the one at which the refined score gets there.
    """
    chosen = rounds[rounds["refiner"].isin(helping(rounds))]
    sessions = [(key, part) for key, part in chosen.groupby(["refiner", "image"])]
    panels = sessions[:MOST_PANELS]
    columns = min(3, max(len(panels), 1))
    rows = max(math.ceil(len(panels) / columns), 1)
    figure = new_figure(0.8 + 3.6 * columns, 0.9 + 2.9 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, ((refiner, image), part) in zip(grid.flat, panels, strict=False):
        _effort_panel(axes, part, metric)
        axes.set_title(f"{image}, {refiner}", fontsize=9)
        finish(axes)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(metric_title(metric))
        axes.yaxis.set_major_formatter(in_percent())
    for axes in grid.flat[max(len(panels) - columns, 0) : len(panels)]:
        axes.set_xlabel("hinted pixels")
    if panels:
        grid[0, 0].legend(fontsize=8, frameon=False, loc="lower right")
    rest = f", {len(panels)} of {len(sessions)}" if len(panels) < len(sessions) else ""
    set_title(figure, f"Effort to the best manual score{rest}", label)
    return figure


def width_histogram(
    widths: NDArray[np.float64], statistics: GammaFit, *, label: str = ""
) -> Figure:
    """Draw the half-widths of lines and the gamma distribution fitted to them (Figure 3).

    Parameters
    ----------
    widths : ndarray of float64, shape (N,)
        Half-widths in pixels of the working grid, not empty.
    statistics : WidthStatistics
        Of these widths.
    label : str
        What the data are, such as ``phantoms``; part of the title.

    Returns
    -------
    figure : Figure
    """
    figure = new_figure(5.4, 4.0)
    axes = figure.subplots()
    high = max(float(np.quantile(widths, 0.999)), statistics.mean + 3 * statistics.sd)
    # Distances between pixel centres are few different numbers; finer bins would look like a comb.
    bins = np.arange(0, high + 0.5, 0.5).tolist()
    share = np.full(len(widths), 1 / (statistics.kept * 0.5))  # a density, as the fit is
    axes.hist(widths, bins, weights=share, color="0.8", label=f"{statistics.count:,} line pixels")
    grid = np.linspace(0, high, GRID)
    density = gamma_density(grid, statistics)
    if density is not None:
        axes.plot(
            grid, density, color=REFINED, linewidth=2, label=f"gamma, {gamma_words(statistics)}"
        )
    low = statistics.kept_mean - 2 * statistics.kept_sd
    for mode, value, style in (("mean", statistics.kept_mean, "-"), ("mean - 2 sd", low, "--")):
        axes.axvline(value, color=MANUAL, ls=style, lw=1.2, label=f"{mode} = {value:.2f} px")
    axes.set_xlabel("half-width (pixels of the working grid)")
    axes.set_ylabel("density")
    axes.set_xlim(0, high)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    finish(axes)
    set_title(figure, "How wide lines are drawn", label)
    return figure


def training_curve(history: Sequence[Mapping[str, float]], *, kept: int, title: str = "") -> Figure:
    """Draw a training: the loss, and what was measured on the validation patches.

    Parameters
    ----------
    history : sequence of mapping of str to float
        An entry per epoch: ``epoch``, losses (names that end in ``loss``), and
        scores (names that begin with ``val/``), in [0, 1].
    kept : int
        The epoch whose weights were kept, which is marked; 0: none.
    title : str
        Name of the network.

    Returns
    -------
    figure : Figure
    """
    table = pd.DataFrame([dict(entry) for entry in history])
    epochs = table.get("epoch", pd.Series(np.arange(1, len(table) + 1)))
    losses = [name for name in table.columns if name.endswith("loss")]
    scores = [name for name in table.columns if name.startswith("val/") and name not in losses]
    gains = [name for name in scores if name.endswith("gain")]
    parts = {
        "loss": losses,
        "score on validation patches": [name for name in scores if name not in gains],
        "relative gain on validation patches": gains,
    }
    drawn = {ylabel: names for ylabel, names in parts.items() if names}
    figure = new_figure(0.6 + 3.8 * max(len(drawn), 1), 3.5)
    for axes, (ylabel, names) in zip(
        figure.subplots(1, max(len(drawn), 1), squeeze=False)[0], drawn.items(), strict=False
    ):
        for colour, name in zip(COLOURS, names, strict=False):
            words = name.removeprefix("val/").replace("/", " ").replace("_", " ")
            dot = "o" if len(table) < 3 else ""
            axes.plot(epochs, table[name], color=colour, marker=dot, label=words)
        if kept:
            axes.axvline(
                kept, color=GREY, linestyle=":", linewidth=1.2, label=f"kept: epoch {kept}"
            )
        if ylabel != "loss":
            axes.yaxis.set_major_formatter(in_percent())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlabel("epoch")
        axes.set_ylabel(ylabel, fontsize=9)
        axes.legend(fontsize=8, frameon=False)
        finish(axes)
    set_title(figure, f"Training {title}".strip(), "")
    return figure


def _gain_line(axes: Axes, sessions: pd.DataFrame, image: str, colour: str) -> None:
    """Draw the mean over repeats of one image, and how far they scatter."""
    wide = _carried_forward(sessions)
    steps = wide.index.to_numpy()
    mean = wide.mean(axis=1).to_numpy()
    if wide.shape[1] > 1:
        spread = wide.std(axis=1, ddof=0).to_numpy()
        axes.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.18, lw=0)
    axes.plot(steps, mean, color=colour, linewidth=1.6, label=image)


def _gain_crowd(axes: Axes, sessions: pd.DataFrame) -> None:
    """Draw the mean over many images, how far they scatter, and each as a thin line."""
    whole = _carried_forward(sessions)
    images = whole.T.groupby(level="image").mean().T
    steps, mean = images.index.to_numpy(), images.mean(axis=1).to_numpy()
    spread = images.std(axis=1, ddof=0).to_numpy()
    repeats = sessions["repeat"].nunique()
    each = f"one image, mean of {repeats} repeats" if repeats > 1 else "one image"
    thin = axes.plot(steps, images.to_numpy(), color="0.6", linewidth=0.5, alpha=0.7, zorder=1.5)
    thin[0].set_label(each)
    band = axes.fill_between(steps, mean - spread, mean + spread, color=COLOURS[0], alpha=0.18)
    band.set(linewidth=0, label="1 sd over images")
    (line,) = axes.plot(steps, mean, color=COLOURS[0], linewidth=1.8)
    line.set_label(f"mean of {images.shape[1]} images")


def _carried_forward(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return gains, a row per interaction and a column per session, that stay where they ended."""
    wide = sessions.pivot_table(
        index="round", columns=["image", "repeat"], values="relative_gain", observed=True
    )
    return wide.ffill()


def _effort_panel(axes: Axes, part: pd.DataFrame, metric: str) -> None:
    """Draw manual and refined score over hinted pixels, and where they are level."""
    sessions = [session.sort_values("round") for _, session in part.groupby("repeat")]
    marks = []
    for colour, side in ((MANUAL, "manual"), (REFINED, "refined")):
        curves = []
        for session in sessions:
            effort = session["effort"].to_numpy(dtype=float)
            score = session[f"{side}_{metric}"].to_numpy(dtype=float)
            curves.append((effort, score))
            if len(sessions) > 1:
                axes.step(effort, score, where="post", color=colour, linewidth=0.6, alpha=0.35)
        effort, score = mean_steps(curves)
        axes.plot(effort, score, color=colour, linewidth=1.8, label=side)
    for session in sessions:
        effort = session["effort"].to_numpy(dtype=float)
        manual, refined = (
            session[f"{s}_{metric}"].to_numpy(dtype=float) for s in ("manual", "refined")
        )
        marks.append(crossing(effort, manual, refined))
    _mark_crossing(axes, np.array(marks))
    axes.xaxis.set_major_formatter(in_thousands())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))


def _mark_crossing(axes: Axes, marks: NDArray[np.float64]) -> None:
    """Draw the arrow of saved effort; the number is the mean over repeats."""
    crossed = marks[~np.isnan(marks).any(axis=1) & (marks[:, 1] > 0)]
    if len(crossed) == 0:
        note, where = "best manual score\nnot reached", axes.transAxes
        axes.text(0.03, 0.95, note, transform=where, fontsize=8, va="top")
        return
    level, by_hand, refined = crossed.mean(axis=0)
    saved = float((1 - crossed[:, 2] / crossed[:, 1]).mean())
    axes.annotate(
        "", xy=(refined, level), xytext=(by_hand, level), arrowprops={"arrowstyle": "->", "lw": 1.2}
    )
    axes.plot([by_hand, refined], [level, level], "k|", markersize=8, markeredgewidth=1.2)
    share = f" ({len(crossed)} of {len(marks)})" if len(crossed) < len(marks) else ""
    axes.annotate(
        f"{-100 * saved:+.0f} %{share}",
        ((by_hand + refined) / 2, level),
        xytext=(0, -5),  # below the arrow, where no curve runs
        textcoords="offset points",
        fontsize=9,
        ha="center",
        va="top",
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
    )


def _repeats(rounds: pd.DataFrame) -> str:
    count = rounds["repeat"].nunique()
    return f"mean of {count} repeats, band: 1 sd" if count > 1 else "one repeat"
