"""How every picture looks: size, fonts, colours, axes; and how it is saved."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, PercentFormatter

from linerefine.cache import atomic_write

__all__ = [
    "COLOURS",
    "GREY",
    "MANUAL",
    "REFINED",
    "finish",
    "in_percent",
    "in_thousands",
    "metric_title",
    "new_figure",
    "save_png",
    "set_title",
]

# Okabe and Ito's colours, told apart by colour-blind readers; yellow is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000") * 20
"""Colours of lines, in the order they are given out."""

MANUAL, REFINED = "#D55E00", "#0072B2"
"""Colours of what was done by hand and of what a refiner made of it."""

GREY = "0.35"
"""Of lines that only guide the eye."""

_NAMES = {"pfm": "pFM", "iou": "IoU", "dice": "Dice", "f_measure": "F-measure"}

_LETTERS = 10.5
"""Of a title, to the inch."""


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all, and return the path.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written.
    """
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, so many inches wide and high, that pyplot knows nothing of."""
    layout = ConstrainedLayoutEngine(h_pad=0.08)  # inches; keeps titles apart
    figure = Figure(figsize=(width, height), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def set_title(figure: Figure, text: str, label: str) -> None:
    """Write a figure's title, and in brackets what the data are; broken where it would be cut."""
    whole = f"{text} ({label})" if label else text
    across = max(int(figure.get_figwidth() * _LETTERS), 20)
    figure.suptitle(textwrap.fill(whole, across), fontsize=11)


def finish(axes: Axes) -> None:
    """Give a panel its light grid and small ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def in_percent() -> PercentFormatter:
    """Return a formatter of shares as percent."""
    return PercentFormatter(1.0, symbol=" %")


def in_thousands() -> FuncFormatter:
    """Return a formatter that writes 12000 as ``12k``."""
    return FuncFormatter(_thousands)


def metric_title(name: str) -> str:
    """Return what an axis calls a metric."""
    return _NAMES.get(name, name)


def _thousands(value: float, _: object = None) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
