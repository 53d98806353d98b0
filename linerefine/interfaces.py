"""What a plugin implements: loaders, user simulators and metrics.

The fourth interface, `Refiner`, is a torch module and lives in
`linerefine.refiners.base`, so that this module stays quick to import.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from linerefine.samples import Sample, Target
from linerefine.types import HintMap, Mask, Operation, Progress, Split, Stroke

__all__ = ["Metric", "ModalityLoader", "UserSimulator"]


class ModalityLoader(ABC):
    """Reads one kind of image from disk.

    Attributes
    ----------
    channels : tuple of str
        Names of the image's channels, in order.
    """

    channels: tuple[str, ...]

    def prepare(self, progress: Progress) -> None:
        """Do slow work once, before the first `load`: check files, fill caches.

        Called by every command that loads samples. Must be safe to call twice,
        by two processes at a time, and after being killed half-way.
        """

    @abstractmethod
    def names(self, split: Split) -> Sequence[str]:
        """Return the names of a split's samples, sorted; stable between runs."""

    @abstractmethod
    def load(self, name: str) -> Sample:
        """Return one sample.

        Raises
        ------
        DataError
            If its files are missing, damaged or do not fit; names the file.
        """

    def patch_names(self) -> Sequence[str]:
        """Return the samples on which patch scores are reported (the test split)."""
        return self.names("test")

    def open(self, source: str) -> Sample:
        """Return a sample that belongs to no split, normally without lines.

        Parameters
        ----------
        source : str
            A path to an image, or whatever this loader calls a scan.

        Raises
        ------
        DataError
            If the source cannot be read.
        """
        from linerefine.errors import DataError

        msg = f"{type(self).__name__} cannot open '{source}': it reads its own splits only."
        raise DataError(msg)

    def notes(self) -> dict[str, str]:
        """Return facts to keep with a run, such as ``{"data": "phantom"}``."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what `prepare` learnt from the data and `open` needs, for JSON.

        Saved with the run, so that later images are normalised as the training
        images were. By default nothing is learnt.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned in an earlier run, in place of learning it.

        Parameters
        ----------
        state : mapping
            As it came back from JSON.

        Raises
        ------
        DataError
            If it does not fit this loader's options.
        """


class UserSimulator(ABC):
    """Stands in the annotator's place; may read the target."""

    def prepare(self, targets: Iterable[Target]) -> None:
        """Look once at the training targets, for example to measure line widths."""

    @abstractmethod
    def next_stroke(
        self,
        prediction: Mask,
        target: Target,
        hints: HintMap,
        *,
        operations: frozenset[Operation],
        rng: np.random.Generator,
    ) -> Stroke | None:
        """Return what the annotator draws next, or None if nothing is left.

        Parameters
        ----------
        prediction : ndarray of bool, shape (H, W)
            Current mask on the grid of ``target``.
        target : Target
            The reference; strokes lie inside its ROI.
        hints : ndarray of int8, shape (H, W)
            Strokes so far.
        operations : frozenset of Operation
            What the annotator may do this round; not empty.
        rng : numpy.random.Generator
            The only source of chance.
        """

    def notes(self) -> dict[str, float]:
        """Return numbers to keep with a run, such as fitted width statistics."""
        return {}


class Metric(ABC):
    """A score of a mask against a target, from statistics that can be summed.

    Its name is the name it is registered under.

    Attributes
    ----------
    higher_is_better : bool
    is_additive : bool
        Whether the statistics of an image are the sum of those of its pixels,
        in any order, so that a stroke is scored from the pixels it changes
        (`Target.pixels`); what depends on neighbours, such as a skeleton, is
        then read from the target. Only such metrics steer, and only they are
        scored after every stroke; the others are scored on whole masks. The
        `linerefine.hooks.Entry` says the same.
    is_share : bool
        Whether scores are shares, which tables show in per cent.
    """

    higher_is_better: ClassVar[bool] = True
    is_additive: ClassVar[bool] = True
    is_share: ClassVar[bool] = True

    @abstractmethod
    def measure(self, prediction: Mask, target: Target) -> NDArray[np.float64]:
        """Return finite statistics, shape (S,) with the same S always, taken inside the ROI.

        Those of several images, or of the patches of one, are summed to pool them.
        """

    @abstractmethod
    def reduce(self, statistics: NDArray[np.float64]) -> float:
        """Return the score of (sums of) statistics; nan where undefined, never a silent 0."""

    def score(self, prediction: Mask, target: Target) -> float:
        """Return `reduce` of `measure`."""
        return self.reduce(self.measure(prediction, target))
