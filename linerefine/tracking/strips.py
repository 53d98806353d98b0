"""A tile's story, stroke by stroke: side by side as a strip, or moving (paper, Figure 4)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from linerefine.cache import atomic_write
from linerefine.errors import DataError
from linerefine.tracking.overlays import CLASSES, painted, shares
from linerefine.types import HintMap, Mask, Operation, Stroke, Tile

__all__ = ["GIF_BYTES", "STROKES", "Story", "StoryState", "animation", "save_gif", "strip"]

STROKES = {Operation.ADD: "#009E73", Operation.ERASE: "#CC79A7"}
"""Colours of strokes that add and that erase."""

GIF_BYTES = 2_000_000
"""Largest animation that is written; larger ones are scaled down."""

_EDGE = 256  # of a panel in a strip, pixels
_FRAME = 560  # of a moving picture
_GAP = 8
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_SHRINK = 0.85


@dataclass(frozen=True, eq=False)
class StoryState:
    """A tile after a stroke, or before any.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        What the person sees.
    hints : ndarray of int8, shape (H, W)
        All strokes so far.
    stroke : Stroke or None
        The latest one, in coordinates of the tile; None before any.
    """

    mask: Mask
    hints: HintMap
    stroke: Stroke | None = None


@dataclass(frozen=True, eq=False)
class Story:
    """What happened in a tile.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        One channel of the tile.
    target : ndarray of bool, shape (H, W), or None
        The reference.
    states : tuple of StoryState
        The first prediction, then the tile after each stroke.
    roi : ndarray of bool, shape (H, W), optional
        Pixels that count; the rest is darkened.
    """

    image: NDArray[np.float32]
    target: Mask | None
    states: tuple[StoryState, ...]
    roi: Mask | None = None


def strip(story: Story, *, columns: int = 7) -> Image.Image:
    """Draw the image, the first prediction, and the mask after each stroke, side by side.

    Parameters
    ----------
    story : Story
        With at least the first prediction.
    columns : int
        Most panels in a row; rows are filled evenly.

    Returns
    -------
    picture : PIL.Image.Image
        Found, missed and false pixels in the colours of
        `linerefine.tracking.overlays.CLASSES`, the latest stroke in those of
        `STROKES` with a ring where it begins, earlier ones thinner.
    """
    panels = _panels(story, _EDGE)
    rows = math.ceil(len(panels) / columns)
    across = math.ceil(len(panels) / rows)
    width, height = panels[0].size
    legend = _legend(across * (width + _GAP) - _GAP, story.target is not None)
    size = (legend.width, rows * (height + _GAP) + legend.height)
    sheet = Image.new("RGB", size, _PAPER)
    for number, panel in enumerate(panels):
        row, column = divmod(number, across)
        sheet.paste(panel, (column * (width + _GAP), row * (height + _GAP)))
    sheet.paste(legend, (0, rows * (height + _GAP)))
    return sheet


def animation(story: Story) -> list[Image.Image]:
    """Draw the frames of a tile's story: first prediction, then a frame per stroke."""
    frames = _panels(story, _FRAME)[1:]
    legend = _legend(frames[0].width, story.target is not None)
    sheets = []
    for frame in frames:
        sheet = Image.new("RGB", (frame.width, frame.height + _GAP + legend.height), _PAPER)
        sheet.paste(frame, (0, 0))
        sheet.paste(legend, (0, frame.height + _GAP))
        sheets.append(sheet)
    return sheets


def save_gif(
    frames: Sequence[Image.Image], path: Path, *, seconds: float = 1.0, limit: int = GIF_BYTES
) -> Path:
    """Write frames as a GIF that loops, whole or not at all, and return the path.

    Parameters
    ----------
    frames : sequence of PIL.Image.Image
        Of one size, at least one.
    path : Path
        The file.
    seconds : float
        How long each is shown; the last one three times as long.
    limit : int
        Bytes; frames are scaled down until the file is not larger.

    Raises
    ------
    DataError
        If the disk is full, the folder cannot be written, or frames of a few
        pixels are still too large.
    """
    scale = 1.0
    while len(content := _encoded(frames, scale, seconds)) > limit:
        scale *= _SHRINK
        if scale * min(frames[0].size) < 16:
            msg = f"{path} would take {len(content)} bytes, expected at most {limit}. Raise it."
            raise DataError(msg)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


# ------------------------------------------------------------------ panels


def _panels(story: Story, edge: int) -> list[Image.Image]:
    """Return the image alone and every state, each with a line of text above."""
    empty = np.zeros(story.image.shape, dtype=np.bool_)
    panels = [_panel(story, StoryState(empty, empty.astype(np.int8)), edge, "image", plain=True)]
    for number, state in enumerate(story.states):
        name = "first prediction"
        if state.stroke is not None:
            name = f"{number}: {state.stroke.operation.name.lower()}"
        panels.append(_panel(story, state, edge, name))
    return panels


def _panel(
    story: Story, state: StoryState, edge: int, name: str, *, plain: bool = False
) -> Image.Image:
    height, width = story.image.shape
    whole = Tile(0, 0, height, width)
    target = None if plain else story.target
    picture = Image.fromarray(painted(story.image, target, state.mask, story.roi, whole))
    scale = edge / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    # Enlarged pixels stay squares; a reduced picture would lose lines.
    picture = picture.resize(size, _nearest_or_area(scale))
    draw = ImageDraw.Draw(picture)
    _draw_older(picture, state, scale)
    if state.stroke is not None:
        _draw_stroke(draw, state.stroke, scale, max(edge // 160, 2))
    return _captioned(picture, edge, name, _said(story, state) if not plain else "")


def _nearest_or_area(scale: float) -> Image.Resampling:
    return Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX


def _said(story: Story, state: StoryState) -> str:
    if story.target is None:
        return ""
    missed, wrong = shares(story.target, state.mask, story.roi)
    return f"{100 * missed:.0f} % missed, {100 * wrong:.0f} % false"


def _captioned(picture: Image.Image, edge: int, name: str, said: str) -> Image.Image:
    size = max(edge // 19, 11)
    font = ImageFont.load_default(size)
    is_small = edge < _FRAME
    above = 2 * (size + 3) if is_small else size + 8
    panel = Image.new("RGB", (picture.width, picture.height + above), _PAPER)
    draw = ImageDraw.Draw(panel)
    draw.text((2, 1), name, _INK, font)
    if is_small:
        draw.text((2, size + 3), said, _INK, font)
    else:
        draw.text((picture.width - 2, 1), said, _INK, font, anchor="ra")
    panel.paste(picture, (0, above))
    return panel


def _draw_older(picture: Image.Image, state: StoryState, scale: float) -> None:
    """Tint the border of everything hinted, so that earlier strokes are seen."""
    if not state.hints.any():
        return
    rows = np.minimum((np.arange(picture.height) / scale).astype(int), state.hints.shape[0] - 1)
    cols = np.minimum((np.arange(picture.width) / scale).astype(int), state.hints.shape[1] - 1)
    large = state.hints[np.ix_(rows, cols)]
    pixels = np.array(picture)
    for operation, colour in STROKES.items():
        pixels[_border(large == int(operation))] = _rgb(colour)
    picture.paste(Image.fromarray(pixels))


def _border(mask: Mask) -> Mask:
    """Return the pixels of a mask that touch its outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _draw_stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, scale: float, thick: int) -> None:
    """Draw the path of the latest stroke on a light halo, a ring at its beginning."""
    points = [((col + 0.5) * scale, (row + 0.5) * scale) for row, col in stroke.path.tolist()]
    colour = _rgb(STROKES[stroke.operation])
    for ink, width in ((_PAPER, 3 * thick), (colour, thick)):
        if len(points) > 1:
            draw.line(points, ink, width, joint="curve")
        radius = thick + width / 2
        (x, y) = points[0]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _legend(width: int, has_target: bool) -> Image.Image:
    """Return a line that says what the colours are."""
    font = ImageFont.load_default(14)
    names = {f"line {name}" if name == "found" else name: c for name, c in CLASSES.items()}
    if not has_target:
        names = {"drawn": CLASSES["found"]}
    names |= {
        f"stroke that {operation.name.lower()}s": colour for operation, colour in STROKES.items()
    }
    widths = [26 + font.getlength(name) + 18 for name in names]
    rows: list[list[tuple[str, float]]] = [[]]
    room = 0.0
    for name, wide in zip(names, widths, strict=True):
        if room + wide > width and rows[-1]:
            rows.append([])
            room = 0.0
        rows[-1].append((name, room))
        room += wide
    legend = Image.new("RGB", (width, 24 * len(rows)), _PAPER)
    draw = ImageDraw.Draw(legend)
    for number, row in enumerate(rows):
        for name, left in row:
            top = 24 * number + 5
            draw.rectangle((left + 2, top, left + 18, top + 14), fill=_rgb(names[name]))
            draw.text((left + 24, top - 1), name, _INK, font)
    return legend


def _encoded(frames: Sequence[Image.Image], scale: float, seconds: float) -> bytes:
    """Return a looping GIF; one palette for all frames, so that nothing flickers."""
    width, height = frames[0].size
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    sized = [
        frame if scale == 1 else frame.resize(size, Image.Resampling.LANCZOS) for frame in frames
    ]
    palette = _palette()
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in sized]
    shown = round(1000 * seconds)
    file = io.BytesIO()
    drawn[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=drawn[1:],
        duration=[*[shown] * (len(drawn) - 1), 3 * shown],
        loop=0,
    )
    return file.getvalue()


def _palette() -> Image.Image:
    """Return greys and the colours of masks and strokes, each also half light."""
    greys = [(level, level, level) for level in np.linspace(0, 255, 96).astype(int).tolist()]
    pure = [_rgb(colour) for colour in (*CLASSES.values(), *STROKES.values())]
    mixed = [
        tuple(round(share * part + (1 - share) * ground) for part in colour)
        for colour in pure
        for share in (0.75, 0.5, 0.25)
        for ground in (0, 128, 255)
    ]
    flat = [part for colour in [*greys, *pure, *mixed] for part in colour]
    palette = Image.new("P", (1, 1))
    palette.putpalette(flat + flat[:3] * (256 - len(flat) // 3))
    return palette


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
