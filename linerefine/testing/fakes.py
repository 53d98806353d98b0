"""Stand-ins for a loader and a simulator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linerefine.errors import DataError
from linerefine.geometry.strokes import mark
from linerefine.interfaces import ModalityLoader, UserSimulator
from linerefine.samples import Sample, Target
from linerefine.testing.drawing import KINDS, drawn_sample
from linerefine.types import HintMap, Mask, Operation, Split, Stroke

__all__ = ["DrawnLoader", "FixedSimulator"]


class DrawnLoader(ModalityLoader):
    """Delivers drawn samples: a few of each kind to train, one of each in val and test.

    Parameters
    ----------
    size : int
        Edge of the images, pixels.
    channels : int
        Channels of the images.
    per_kind : int
        Training samples of each kind.
    """

    def __init__(self, size: int = 64, channels: int = 1, per_kind: int = 2) -> None:
        self.channels = tuple(f"drawn{number}" for number in range(channels))
        self._size = size
        counts = {"train": per_kind, "val": 1, "test": 1}
        self._kinds = {
            f"{split}_{kind}_{number}": kind
            for split, count in counts.items()
            for kind in KINDS
            for number in range(count)
        }

    def names(self, split: Split) -> Sequence[str]:
        """Return the names of a split, which all begin with it."""
        return sorted(name for name in self._kinds if name.startswith(f"{split}_"))

    def load(self, name: str) -> Sample:
        """Draw one sample."""
        if name not in self._kinds:
            msg = f"no drawn sample named '{name}'. Available: {', '.join(self._kinds)}."
            raise DataError(msg)
        rng = np.random.default_rng(sorted(self._kinds).index(name))
        drawn = drawn_sample(self._kinds[name], self._size, len(self.channels), rng)
        return Sample(name, drawn.image, drawn.roi, drawn.lines)

    def notes(self) -> dict[str, str]:
        """Say that the data are drawn."""
        return {"data": "sample"}


class FixedSimulator(UserSimulator):
    """Draws given strokes in their order, whatever the prediction.

    Parameters
    ----------
    strokes : sequence of Stroke
        On the grid of the targets it will be asked about.

    Notes
    -----
    It keeps no count: the hints tell how far the list has been drawn. Next is
    what follows the last stroke whose pixels all bear its hint, so a stroke
    that others cover must not come last among those drawn so far. Asked for an
    operation that is not the next stroke's, it returns None.
    """

    def __init__(self, strokes: Sequence[Stroke]) -> None:
        self.strokes = tuple(strokes)

    def next_stroke(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        *,
        operations: frozenset[Operation],
        rng: np.random.Generator,
    ) -> Stroke | None:
        """Return the first stroke not drawn yet, if its operation is allowed."""
        done = [number for number, stroke in enumerate(self.strokes) if _is_drawn(stroke, hints)]
        upcoming = self.strokes[done[-1] + 1 if done else 0 :]
        return upcoming[0] if upcoming and upcoming[0].operation in operations else None


def _is_drawn(stroke: Stroke, hints: HintMap) -> bool:
    box, marked = mark(stroke, (hints.shape[0], hints.shape[1]))
    return bool((hints[box.index][marked] == stroke.operation).all())
