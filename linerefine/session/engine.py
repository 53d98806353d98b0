"""The interactive engine: a person, or code in their place, drives it stroke by stroke."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from linerefine.config import SessionConfig
from linerefine.errors import ShapeError
from linerefine.geometry.hints import constrain, paint
from linerefine.geometry.strokes import mark
from linerefine.geometry.tiles import crop, shown, taper
from linerefine.refiners.base import Refiner
from linerefine.session.consult import Consultation, Question
from linerefine.session.log import StrokeLog
from linerefine.session.placement import bounding, place
from linerefine.session.revision import revised
from linerefine.session.undo import UndoStore
from linerefine.types import HintMap, Logits, Mask, Progress, Stroke, Tile

__all__ = ["RefinementSession", "Update"]

PREVIEWS_KEPT = 128
"""Previews that are kept until something is drawn where they looked."""


@dataclass(frozen=True, eq=False)
class Update:
    """What one stroke changes: a rectangle of the image and its new content.

    Parameters
    ----------
    box : Tile
        The rectangle, inside the image.
    logits : ndarray of float32, shape of the box
        The refiner's answer, merged into what was there.
    hints : ndarray of int8, shape of the box
        All strokes in the box.
    mask : ndarray of bool, shape of the box
        The mask to report: logits over the threshold, strokes pasted as truth.
    manual : ndarray of bool, shape of the box
        The first prediction with the same strokes pasted: the baseline.
    marked : Tile
        The part of the box whose hints changed.
    pixels : ndarray of bool, shape of `marked`, or None
        What the stroke marks there; None where strokes were taken back.
    """

    box: Tile
    logits: Logits
    hints: HintMap
    mask: Mask
    manual: Mask
    marked: Tile
    pixels: Mask | None = None


class RefinementSession:
    """One image, a first prediction, a refiner and the strokes so far.

    Before the first stroke it shows the first prediction, or what the refiner
    makes of that (`linerefine.refiners.base.Refiner.revise`).

    Strokes are hard constraints in `mask`. One stroke costs one network call
    on one crop around it; the answer fades into what was there over
    ``config.margin`` pixels, but not towards the border of the image.

    The state is a function of the strokes that count: two sessions given the
    same strokes agree bit for bit, whatever was previewed, undone and redone
    between. The network is therefore called with one crop at a time, unless a
    preview asks for more: the size of a batch can change the last bits of an
    answer.

    Parameters
    ----------
    image : ndarray of float32, shape (C, H, W)
        Normalised channels; may be a memory map.
    initial : ndarray of float32, shape (H, W)
        Logits of the first prediction, finite; copied unless it cannot be
        written, as a file mapped for reading.
    refiner : Refiner
        Set to evaluation mode.
    config : SessionConfig
        Crop, margin, placement, threshold, and whose word holds on overlaps.
    device : torch.device or str
        Where the refiner is.
    progress : callable
        Told how much of the image the refiner has looked at before the first
        stroke, which takes a minute and more where it is large.

    Raises
    ------
    ShapeError
        If image and first prediction do not agree or hold values that are not finite.

    Examples
    --------
    >>> from linerefine import Operation, Stroke
    >>> from linerefine.refiners.manual import Manual
    >>> session = RefinementSession(
    ...     np.zeros((1, 64, 64), np.float32), np.full((64, 64), -1, np.float32), Manual()
    ... )
    >>> update = session.apply(Stroke(np.array([[20, 10], [20, 30]]), 2.0, Operation.ADD))
    >>> int(session.mask.sum())
    69
    >>> _ = session.undo()
    >>> int(session.mask.sum())
    0
    """

    def __init__(
        self,
        image: NDArray[np.float32],
        initial: Logits,
        refiner: Refiner,
        config: SessionConfig | None = None,
        *,
        device: torch.device | str = "cpu",
        progress: Progress = lambda _what, _done, _total: None,
    ) -> None:
        if image.ndim != 3 or initial.shape != image.shape[1:]:
            msg = (
                f"initial prediction has shape {initial.shape}, image {image.shape}; "
                f"expected (H, W) and (C, H, W) with the same H and W."
            )
            raise ShapeError(msg)
        # The extremes show what is not finite, and take no second array of the image's size.
        if initial.size == 0 or not np.isfinite([initial.min(), initial.max()]).all():
            msg = "initial prediction is empty or holds values that are not finite."
            raise ShapeError(msg)
        self.config = config or SessionConfig()
        self.shape: tuple[int, int] = (initial.shape[0], initial.shape[1])
        self._refiner = Consultation(image, refiner, torch.device(device))
        self._initial = _owned(initial)
        self._begun = revised(self._refiner, self._initial, self.config, progress)
        self._logits = np.array(self._begun)
        self._hints: HintMap = np.zeros(self.shape, dtype=np.int8)
        self.cut = math.log(self.config.threshold / (1 - self.config.threshold))
        """Log-odds above which a pixel is line."""
        self._mask: Mask = self._begun > self.cut
        self._manual: Mask = self._initial > self.cut
        self._log = StrokeLog()
        self._undo = UndoStore()
        self._previews: dict[Stroke, Update] = {}

    # What a caller may look at: views that follow the session and cannot be written.

    @property
    def mask(self) -> Mask:
        """Current mask, shape (H, W): strokes pasted as truth on the refined prediction."""
        return _read_only(self._mask)

    @property
    def logits(self) -> Logits:
        """Current refined prediction, shape (H, W), before strokes are pasted."""
        return _read_only(self._logits)

    @property
    def hints(self) -> HintMap:
        """All strokes so far, shape (H, W), in {-1, 0, +1}."""
        return _read_only(self._hints)

    @property
    def initial(self) -> Logits:
        """The first prediction, shape (H, W), as it was given; never changes."""
        return self._initial

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """The strokes that count, in drawing order."""
        return self._log.strokes

    @property
    def log(self) -> StrokeLog:
        """The record of strokes, to be saved."""
        return self._log

    @property
    def manual_mask(self) -> Mask:
        """First prediction, shape (H, W), with the same strokes pasted: the manual baseline."""
        return _read_only(self._manual)

    @property
    def seconds(self) -> float:
        """Wall time spent with the refiner so far."""
        return self._refiner.seconds

    @property
    def calls(self) -> int:
        """How often the refiner was called so far."""
        return self._refiner.calls

    def preview(self, strokes: Sequence[Stroke], *, batch: int = 1) -> list[Update]:
        """Return what each stroke would change, each on its own, and change nothing.

        Parameters
        ----------
        strokes : sequence of Stroke
        batch : int
            Most crops in one call of the refiner.

        Raises
        ------
        ShapeError
            If a stroke marks no pixel of the image.
        """
        new = [stroke for stroke in dict.fromkeys(strokes) if stroke not in self._previews]
        answered = zip(new, self._answers(new, batch), strict=True)
        updates = self._previews | dict(answered)
        self._previews = dict(list(updates.items())[-PREVIEWS_KEPT:])
        return [updates[stroke] for stroke in strokes]

    def apply(self, stroke: Stroke) -> Update:
        """Draw a stroke and return what it changed; reuses its preview.

        Raises
        ------
        ShapeError
            If the stroke marks no pixel of the image; the session is unchanged.
        """
        update = self._advance(stroke)
        self._log.draw(stroke)
        return update

    def undo(self) -> Update | None:
        """Take the last stroke back; None if there is none.

        The latest few hundred strokes are taken back at once; for one before
        them all strokes that are left are drawn anew, which takes as long as
        it took.
        """
        stroke = self._log.last
        if stroke is None:
            return None
        self._log.undo()
        if len(self._undo) == 0:
            return self._draw_anew(self._draft(stroke).box)
        box, logits, hints = self._undo.pop()
        return self._write(self._update(box, logits, hints, box))

    def redo(self) -> Update | None:
        """Draw the last undone stroke again; None if there is none."""
        stroke = self._log.next
        if stroke is None:
            return None
        update = self._advance(stroke)
        self._log.redo()
        return update

    def _draw_anew(self, box: Tile) -> Update:
        """Work out the state from the strokes that count; return it inside a rectangle."""
        self._logits[:], self._hints[:] = self._begun, 0
        self._mask[:], self._manual[:] = self._begun > self.cut, self._initial > self.cut
        self._previews.clear()
        for stroke in self._log.strokes:
            self._advance(stroke)
        return self._update(box, self._logits[box.index].copy(), self._hints[box.index].copy(), box)

    def _advance(self, stroke: Stroke) -> Update:
        (update,) = self.preview([stroke])
        self._undo.push(update.box, self._logits[update.box.index], self._hints[update.box.index])
        return self._write(update)

    def _write(self, update: Update) -> Update:
        index = update.box.index
        self._logits[index] = update.logits
        self._hints[index] = update.hints
        self._mask[index] = update.mask
        self._manual[index] = update.manual
        self._previews = {
            stroke: other
            for stroke, other in self._previews.items()
            if not other.box.overlaps(update.box)
        }
        return update

    def _update(
        self,
        box: Tile,
        logits: Logits,
        hints: HintMap,
        marked: Tile,
        pixels: Mask | None = None,
    ) -> Update:
        mask = constrain(logits > self.cut, hints)
        # Outside what is marked the manual mask stays what it is.
        manual = self._manual[box.index].copy()
        new = constrain(self._initial[marked.index] > self.cut, hints[marked.within(box).index])
        manual[marked.within(box).index] = new
        return Update(box, logits, hints, mask, manual, marked, pixels)

    def _answers(self, strokes: Sequence[Stroke], batch: int) -> list[Update]:
        drafts = [self._draft(stroke) for stroke in strokes]
        questions = [self._question(draft) for draft in drafts]
        answers = self._refiner.ask(questions, batch)
        return [self._finish(*pair) for pair in zip(drafts, answers, strict=True)]

    def _draft(self, stroke: Stroke) -> _Draft:
        """Return where a stroke's answer will go, and the hints with it drawn."""
        marked, pixels = mark(stroke, self.shape)
        if 0 in marked.shape:
            msg = (
                f"stroke from {tuple(stroke.path[0].tolist())} to "
                f"{tuple(stroke.path[-1].tolist())} marks no pixel of the image of shape "
                f"{self.shape}; coordinates are (row, col)."
            )
            raise ShapeError(msg)
        place_ = place(stroke, marked, self.shape, self.config)
        inner = place_.clipped(self.shape)
        frame = bounding(shown(place_, self.shape), marked)
        hints = self._hints[frame.index].copy()
        window = hints[marked.within(frame).index]
        paint(window, pixels, stroke.operation, overwrite=self.config.overlap == "latest")
        return _Draft(place_, inner, bounding(inner, marked), marked, pixels, frame, hints)

    def _question(self, draft: _Draft) -> Question:
        return Question(
            draft.place,
            initial=crop(self._initial, draft.place),
            previous=crop(self._logits, draft.place),
            hints=crop(draft.hints, draft.place.within(draft.frame)),
        )

    def _finish(self, draft: _Draft, answer: Logits) -> Update:
        inner, box = draft.inner, draft.box
        logits = self._logits[box.index].copy()
        seen = answer[inner.within(draft.place).index]
        logits[inner.within(box).index] = self._merge(inner, seen)
        hints = draft.hints[box.within(draft.frame).index]
        return self._update(box, logits, hints, draft.marked, draft.pixels)

    def _merge(self, inner: Tile, answer: Logits) -> Logits:
        """Fade an answer into what was there, except towards the image's border."""
        if self.config.placement == "grid":
            return answer
        fade = (
            inner.top > 0,
            inner.bottom < self.shape[0],
            inner.left > 0,
            inner.right < self.shape[1],
        )
        weight = taper(inner.shape, self.config.margin, fade=fade)
        # In this form a weight of 1 gives the answer and 0 the old value, to the bit.
        merged: Logits = weight * answer + (1 - weight) * self._logits[inner.index]
        return merged


@dataclass(frozen=True, eq=False)
class _Draft:
    """A stroke that waits for the refiner's answer.

    `place` is the crop, `inner` its part inside the image, `marked` what the
    stroke marks, all `pixels` of it or not; `box` holds both; `hints` are those of
    `frame`, which also holds what the crop mirrors at the image's border.
    """

    place: Tile
    inner: Tile
    box: Tile
    marked: Tile
    pixels: Mask
    frame: Tile
    hints: HintMap


def _owned(initial: Logits) -> Logits:
    """Return logits that nobody will change: those given, if nobody can, or a copy."""
    if initial.dtype == np.float32 and _is_fixed(initial):
        return np.asarray(initial)
    own = np.array(initial, dtype=np.float32)
    own.flags.writeable = False
    return own


def _is_fixed(array: NDArray[Any]) -> bool:
    """Say whether neither an array nor what it is a view of can be written."""
    base: object = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return True


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
