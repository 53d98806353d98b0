"""What a prompt asks of a refiner that keeps its last answer: what is new, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["CLOSE", "HELD", "Asked", "halves", "middles", "near"]

HELD = 8.0
"""Logits of a pixel that a stroke has settled, +HELD or -HELD."""

CLOSE = 0.5
"""Logits that are nearer to HELD count as settled: blending of crops loses a little.

What the network itself changes stays farther away, so that nobody takes it for a stroke.
"""

ALONG = 32
"""How far along a line an erase stroke means it, in steps of two pixels."""

RIM = 2
"""Pixels on either side over which lines are smoothed before their middles are looked for."""

MEANT_WITHIN = 40
"""Pixels from an erase stroke, along either axis, within which it means the line it lies on."""

BRIDGED = 3
"""Pixels by which middles of lines grow, to shrink by all but one: so gaps at crossings close."""

RIDGE = 3
"""Pixels on either side of the middle of a line that are compared with it."""

TIE = 1e-5
"""What differs by less is equal, for sums of the same numbers differ by rounding."""

BLANK = 100
"""Pixels of line that count as right beyond those seen: a crop without lines is not a poor one."""

BEST = 0.999
"""Largest F-measure that is expected of any answer."""

CELL = 4
"""Pixels of the squares that the window around new strokes is made of."""


@dataclass(frozen=True)
class Asked:
    """What a prompt says, taken apart once.

    Parameters
    ----------
    initial, hints, before : Tensor, shape (B, 1, H, W)
        First prediction, all strokes, the answer that the next one starts from.
    """

    initial: Tensor
    hints: Tensor
    before: Tensor

    @cached_property
    def new(self) -> Tensor:
        """Add and erase strokes that the answer before does not hold yet, 0 or 1; (B, 2, H, W)."""
        is_held = self.hints * self.before > HELD - CLOSE
        return torch.cat(halves(self.hints * ~is_held), dim=1)

    @property
    def is_new(self) -> Tensor:
        """Whether there is a new stroke, bool of shape (B, 1, 1, 1); else nothing may change."""
        return self.new.amax(dim=(1, 2, 3), keepdim=True) > 0

    @property
    def erases(self) -> Tensor:
        """Whether the new stroke erases, bool of shape (B, 1, 1, 1).

        Where several are new, in training, whether most of their pixels do.
        """
        pixels = self.new.sum(dim=(2, 3), keepdim=True)
        return pixels[:, 1:] > pixels[:, :1]

    @property
    def adds(self) -> Tensor:
        """Whether there is a new stroke and it adds, bool of shape (B, 1, 1, 1)."""
        return ~self.erases & self.is_new

    def without_new(self) -> Asked:
        """Return the same question before the new stroke was drawn.

        Where the new stroke lies on one of the other operation, that one is
        missing, too, though the answer before holds it.
        """
        is_new = self.new.amax(dim=1, keepdim=True) > 0
        return Asked(self.initial, self.hints.masked_fill(is_new, 0), self.before)

    @property
    def is_line(self) -> Tensor:
        """Whether the answer before says line, bool of shape (B, 1, H, W)."""
        return self.before > 0

    @property
    def opposite(self) -> Tensor:
        """Sign of what the answer before is not; shape (B, 1, H, W)."""
        return 1 - 2 * self.is_line.to(self.before.dtype)

    def excess(self, belief: Tensor) -> Tensor:
        """Return by how much a belief contradicts the answer before; negative if it does not."""
        return self.opposite * belief

    def expected_f(self, belief: Tensor) -> Tensor:
        """Return the F-measure that a belief expects of the answer before, shape (B, 1, 1, 1)."""
        likely, lines = belief.sigmoid(), self.is_line.to(belief.dtype)
        right, both = (
            each.sum(dim=(1, 2, 3), keepdim=True) for each in (likely * lines, likely + lines)
        )
        return ((2 * right + BLANK) / (both + BLANK)).clamp(max=BEST)

    def spines(self) -> Tensor:
        """Return the middles of lines that no erase stroke means, bool of shape (B, 1, H, W).

        Three pixels wide, wider where lines are as wide as a pen or cross. A
        stroke means the line it lies on, as far as ALONG and MEANT_WITHIN say.
        """
        smooth = functional.avg_pool2d(self.before.sigmoid(), 2 * RIM + 1, stride=1, padding=RIM)
        middle = _is_ridge(smooth).to(smooth.dtype)
        for _ in range(BRIDGED):
            middle = _grown(middle)
        for _ in range(BRIDGED - 1):
            middle = -_grown(-middle)
        erased = self.new[:, 1:]
        is_meant = _meant(erased, self.is_line.to(erased.dtype)) & near(erased > 0, MEANT_WITHIN)
        return self.is_line & (middle > 0) & ~is_meant


def halves(hints: Tensor) -> tuple[Tensor, Tensor]:
    """Return where hints add and where they erase, each 0 or 1."""
    return hints.clamp(min=0), (-hints).clamp(min=0)


def middles(belief: Tensor) -> Tensor:
    """Return where a belief has a ridge: the middle of what may be a line.

    A pixel or two wide; where a belief is flat, for it is as sure as can be, all of it.

    Parameters
    ----------
    belief : Tensor, shape (B, 1, H, W)
        Log-odds that a pixel is line.

    Returns
    -------
    middles : Tensor of bool, shape (B, 1, H, W)
        However unlikely a line is there; that is for a margin to say.
    """
    # Single pixels of noise make no line.
    sure = belief.clamp(-HELD, HELD)
    return _is_ridge(functional.avg_pool2d(sure, 3, stride=1, padding=1, count_include_pad=False))


def near(marked: Tensor, reach: int) -> Tensor:
    """Return what lies within `reach` pixels of a marked one along both axes.

    Made of squares of CELL pixels, so that it costs nothing; never farther than `reach`.

    Parameters
    ----------
    marked : Tensor, shape (B, 1, H, W)
        What is marked, bool or 0 and 1; H and W are multiples of CELL.
    reach : int
        Pixels, two squares or more.

    Returns
    -------
    near : Tensor of bool, shape (B, 1, H, W)
        The marked pixels and those around them.
    """
    cells = reach // CELL - 1
    found = functional.max_pool2d(marked.float(), CELL)
    found = functional.max_pool2d(found, 2 * cells + 1, stride=1, padding=cells)
    return functional.interpolate(found, scale_factor=CELL, mode="nearest") > 0


@torch.no_grad()
def _meant(erased: Tensor, lines: Tensor) -> Tensor:
    """Return what an erase stroke means too: the lines it lies on.

    Parameters
    ----------
    erased : Tensor, shape (B, 1, H, W)
        New erase strokes, 0 or 1.
    lines : Tensor, shape (B, 1, H, W)
        What is line, 0 or 1.

    Returns
    -------
    meant : Tensor of bool, shape (B, 1, H, W)
        What is joined to a stroke, as squares of two by two pixels are, ALONG of them far.
    """
    passes, meant = _halved(torch.maximum(lines, erased)), _halved(erased)
    for _ in range(ALONG):
        meant = torch.minimum(passes, _grown(meant))
    return (functional.interpolate(meant, scale_factor=2.0, mode="nearest") > 0) & (lines > 0)


def _halved(values: Tensor) -> Tensor:
    """Return the largest of each square of two by two pixels."""
    columns = torch.maximum(values[..., ::2], values[..., 1::2])
    return torch.maximum(columns[..., ::2, :], columns[..., 1::2, :])


def _grown(values: Tensor) -> Tensor:
    """Return the largest of each pixel and its eight neighbours.

    On a CPU slices take a twentieth of the time of ``max_pool2d``.
    """
    wide = functional.pad(values, (1, 1, 1, 1), value=-HELD)
    rows = torch.maximum(torch.maximum(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    return torch.maximum(torch.maximum(rows[..., :-2, :], rows[..., 1:-1, :]), rows[..., 2:, :])


def _is_ridge(values: Tensor) -> Tensor:
    """Return where a pixel is the largest along two of row, column and diagonals.

    Within RIDGE pixels each way. The middle of a line is, along all but the
    line itself; what lies beside it may be along the line alone.
    """
    height, width = values.shape[-2:]
    wide = functional.pad(values, (RIDGE,) * 4, mode="replicate")
    ways = torch.zeros_like(values)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        largest = values
        for step in (*range(-RIDGE, 0), *range(1, RIDGE + 1)):
            top, left = RIDGE + step * down, RIDGE + step * right
            largest = torch.maximum(largest, wide[..., top : top + height, left : left + width])
        ways += values >= largest - TIE
    return ways >= 2
