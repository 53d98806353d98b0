"""Samples that were read once and are kept while they fit into memory."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.machine import total_memory
from linerefine.samples import Sample

__all__ = ["Loaded", "sample_bytes"]

log = logging.getLogger(__name__)

UNKNOWN_MEMORY = 4 << 30
"""Taken for the machine's memory where it does not say."""


class Loaded:
    """A loader's samples by name; the least recently used are let go first.

    A sample that is kept also keeps the skeletons of its target, which take
    longer to make than most images to read.

    Parameters
    ----------
    load : callable
        ``load(name)`` reads a sample.
    limit : int
        Most bytes to keep. A sample larger than that is read every time.

    Examples
    --------
    >>> from linerefine.testing import DrawnLoader
    >>> loaded = Loaded(DrawnLoader().load, limit=1 << 20)
    >>> loaded("val_cross_0") is loaded("val_cross_0")
    True
    """

    def __init__(self, load: Callable[[str], Sample], limit: int) -> None:
        self._load = load
        self.limit = limit
        self._kept: OrderedDict[str, tuple[Sample, int]] = OrderedDict()

    @classmethod
    def within_share(cls, load: Callable[[str], Sample], share: float) -> Loaded:
        """Return one that keeps at most a share of this machine's memory."""
        return cls(load, int(share * (total_memory() or UNKNOWN_MEMORY)))

    @property
    def bytes(self) -> int:
        """What is kept, in bytes."""
        return sum(size for _, size in self._kept.values())

    def __call__(self, name: str) -> Sample:
        """Return a sample, read now unless it is kept.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name][0]
        sample = self._load(name)
        size = sample_bytes(sample)
        if size > self.limit:
            log.info("%s (%d bytes) is not kept in memory: %d may be", name, size, self.limit)
            return sample
        self._kept[name] = sample, size
        while self.bytes > self.limit:
            self._kept.popitem(last=False)
        return sample

    def __getstate__(self) -> dict[str, Any]:
        """Leave the samples behind: another process reads its own."""
        return self.__dict__ | {"_kept": OrderedDict()}


def sample_bytes(sample: Sample) -> int:
    """Return the memory that a sample takes, its target's two skeletons included.

    Memory maps take none: the system lets go of their pages when it needs them.
    """
    masks = [mask for mask in (sample.roi, sample.lines, *sample.other_lines) if mask is not None]
    skeletons = 0 if sample.lines is None else 2 * sample.lines.size
    return skeletons + sum(array.nbytes for array in (sample.image, *masks) if not _is_map(array))


def _is_map(array: NDArray[Any]) -> bool:
    """Say whether an array, or what it is a view of, is a file's."""
    base: object = array
    while base is not None:
        if isinstance(base, np.memmap):
            return True
        base = getattr(base, "base", None)
    return False
