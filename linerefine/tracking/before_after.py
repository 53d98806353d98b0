"""Pictures of masks before and after the strokes; whoever calls saves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from linerefine.tracking.overlays import CLASSES, busiest, painted, shares
from linerefine.tracking.style import new_figure, set_title
from linerefine.types import Mask, Tile

__all__ = ["Shown", "extremes", "overlay"]


@dataclass(frozen=True, eq=False)
class Shown:
    """An image before and after the strokes.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        One channel.
    target : ndarray of bool, shape (H, W), or None
        The reference.
    initial, manual, refined : ndarray of bool, shape (H, W)
        First prediction, the same with the strokes pasted in, the refiner's.
    roi : ndarray of bool, shape (H, W), optional
        Pixels that count.
    title : str
        Which image, and what is to be said of it.
    """

    image: NDArray[np.float32]
    target: Mask | None
    initial: Mask
    manual: Mask
    refined: Mask
    roi: Mask | None = None
    title: str = ""


def overlay(
    image: NDArray[np.float32],
    target: Mask | None,
    initial: Mask,
    manual: Mask,
    refined: Mask,
    *,
    roi: Mask | None = None,
    title: str = "",
) -> Figure:
    """Draw what was found, missed and made up, before and after the strokes.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        One channel; shown from its 1st to its 99th percentile.
    target : ndarray of bool, shape (H, W), or None
        The reference; without one the lines have a single colour.
    initial, manual, refined : ndarray of bool, shape (H, W)
        First prediction, the same with the strokes pasted in, the refiner's.
    roi : ndarray of bool, shape (H, W), optional
        Pixels that count; the rest is darkened.
    title : str
        Which image and refiner.

    Returns
    -------
    figure : Figure
        Above the whole image, scaled down if it is large; below, at full
        resolution, the part in which strokes and refiner changed most.
    """
    masks = {"first prediction": initial, "strokes pasted": manual, "refined": refined}
    window = busiest(initial, refined)
    height, width = image.shape
    rows = [Tile(0, 0, height, width), *([window] if window.shape != image.shape else [])]
    tall = [min(max(4.1 * row.shape[0] / row.shape[1], 2.0), 7.0) for row in rows]
    figure = new_figure(13.0, sum(tall) + 1.1)
    grid = figure.subplots(len(rows), 3, squeeze=False, height_ratios=tall)
    for panels, tile in zip(grid, rows, strict=True):
        for axes, (name, mask) in zip(panels, masks.items(), strict=True):
            _paint(axes, image, target, mask, roi, tile)
            if tile is rows[0]:
                axes.set_title(_titled(name, target, mask, roi), fontsize=10)
    for axes in grid[0] if len(rows) > 1 else ():
        corner, size = (window.left, window.top), window.shape[::-1]
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor="white", lw=1.2))
    if target is not None:
        _name_colours(figure)
    set_title(figure, title, "")
    return figure


def extremes(images: Sequence[Shown], *, title: str = "") -> Figure:
    """Draw several images below one another, where strokes and refiner changed most.

    Parameters
    ----------
    images : sequence of Shown
        Such as the one with the largest gain and the one with the smallest.
    title : str
        Which refiner.

    Returns
    -------
    figure : Figure
        A row per image: first prediction, strokes pasted, refined, each with
        what is missed and false on the whole image.
    """
    windows = [busiest(shown.initial, shown.refined) for shown in images]
    tall = [min(max(3.5 * w.shape[0] / w.shape[1], 2.0), 5.0) for w in windows]
    figure = new_figure(10.6, sum(tall) + 0.75 * len(images) + 0.8)
    parts = figure.subfigures(len(images), 1, squeeze=False, height_ratios=tall)[:, 0]
    for part, shown, window in zip(parts, images, windows, strict=True):
        part.suptitle(shown.title, fontsize=10, fontweight="bold")
        masks = {
            "first prediction": shown.initial,
            "strokes pasted": shown.manual,
            "refined": shown.refined,
        }
        for axes, (name, mask) in zip(part.subplots(1, 3), masks.items(), strict=True):
            _paint(axes, shown.image, shown.target, mask, shown.roi, window)
            axes.set_title(_titled(name, shown.target, mask, shown.roi), fontsize=9)
    if any(shown.target is not None for shown in images):
        _name_colours(figure)
    set_title(figure, title, "")
    return figure


def _paint(
    axes: Axes,
    image: NDArray[np.float32],
    target: Mask | None,
    mask: Mask,
    roi: Mask | None,
    tile: Tile,
) -> None:
    axes.imshow(
        painted(image, target, mask, roi, tile),
        interpolation="nearest",
        extent=(tile.left, tile.right, tile.bottom, tile.top),
    )
    axes.set_axis_off()


def _titled(name: str, target: Mask | None, mask: Mask, roi: Mask | None) -> str:
    """Return the name of a mask and, on the whole image, what is missed and false."""
    if target is None:
        return name
    missed, wrong = shares(target, mask, roi)
    return f"{name}\n{100 * missed:.0f} % missed, {100 * wrong:.0f} % of the drawn false"


def _name_colours(figure: Figure) -> None:
    patches = [Patch(color=colour, label=name) for name, colour in CLASSES.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
