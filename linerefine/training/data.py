"""Where patches come from: random ones to train on, a regular grid to validate on."""

from __future__ import annotations

import logging
import math
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from linerefine.chance import seed_for, stream
from linerefine.config import AugmentationConfig, TilingConfig
from linerefine.errors import DataError
from linerefine.geometry.tiles import tile_grid
from linerefine.samples import Sample, Target
from linerefine.training.augmentation import Patch, cut, draw_change
from linerefine.types import Mask, Tile

__all__ = ["Batch", "TrainingPatches", "ValidationPatches"]

log = logging.getLogger(__name__)

ATTEMPTS = 20
"""Random places tried before a patch is laid around a random line pixel."""


SHARED_MEMORY = Path("/dev/shm")
"""What worker processes hand batches over in; 64 MB by default in many containers."""

BATCHES_HELD = 3
"""Batches of one worker that may lie there at once."""

_WHOLE = (slice(None), slice(None))


class Batch(NamedTuple):
    """Patches for one step.

    Parameters
    ----------
    image : Tensor of float32, shape (B, C, P, P)
    lines, roi : Tensor of bool, shape (B, 1, P, P)
    first : int
        Where these patches begin in the step's whole batch, of which this
        process may hold a share.
    """

    image: Tensor
    lines: Tensor
    roi: Tensor
    first: int = 0

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, channels last."""
        image = self.image.to(device, memory_format=torch.channels_last, non_blocking=True)
        lines, roi = (mask.to(device, non_blocking=True) for mask in (self.lines, self.roi))
        return Batch(image, lines, roi, self.first)


@dataclass(frozen=True)
class _Place:
    """A tile of one of the samples."""

    sample: int
    tile: Tile


class TrainingPatches:
    """Random patches from annotated samples, the same ones whoever asks.

    Tiles of ``train_rows`` x ``train_cols`` overlap by half; those without
    annotation are dropped. In every epoch each tile gives
    ``patches_per_tile`` patches, in shuffled order, each with an annotated
    pixel (paper, section 3.1.1).

    Parameters
    ----------
    samples : sequence of Sample
        With lines. Asked again for every patch, so a sequence that loads on
        demand works; arrays are neither changed nor copied whole.
    tiling : TilingConfig
        Patch edge, tile size, patches per tile.
    augmentation : AugmentationConfig
        Random changes.
    seed : int
        The only source of chance.

    Raises
    ------
    DataError
        If a sample has no lines, or nothing is annotated inside the ROI.

    Notes
    -----
    A patch is a function of seed, epoch and index: training can be resumed at
    any step, and any number of worker processes delivers the same batches.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        tiling: TilingConfig,
        augmentation: AugmentationConfig | None = None,
        seed: int = 0,
    ) -> None:
        self._samples = samples
        self._augmentation = augmentation or AugmentationConfig()
        self._seed = seed
        self._per_tile = tiling.patches_per_tile
        self.size = tiling.patch
        self._known_counts: dict[_Place, NDArray[np.int64]] = {}
        self._ordered: tuple[tuple[int, int], NDArray[np.intp]] = (-1, -1), np.zeros(0, np.intp)
        self._places = [
            _Place(index, tile)
            for index, sample in enumerate(samples)
            for tile in _annotated_tiles(sample, tiling)
        ]
        if not self._places:
            msg = (
                f"none of {len(samples)} training samples has a line pixel inside its ROI; "
                "expected at least one annotated tile."
            )
            raise DataError(msg)

    def __len__(self) -> int:
        """Return the number of patches in an epoch."""
        return len(self._places) * self._per_tile

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self._samples[0].image.shape[0])

    def patch(self, epoch: int, index: int) -> Patch:
        """Return one patch; an index past the epoch's end starts another shuffled pass."""
        place = self._places[int(self._order(epoch, index // len(self))[index % len(self)])]
        sample = self._samples[place.sample]
        rng = stream(self._seed, "patch", epoch, index)
        tile = _draw_tile(sample, place.tile, self.size, self._counts(place), rng)
        change = draw_change(self._augmentation, self.size, rng)
        patch = cut(sample, tile, change)
        # A rotation may turn the only line out of the patch; such a patch teaches nothing.
        return patch if patch.is_annotated else cut(sample, tile, change.without_affine())

    def _patch_bytes(self) -> int:
        return self.size * self.size * (4 * self.channels + 2)

    def _counts(self, place: _Place) -> NDArray[np.int64]:
        """Return how many annotated pixels the rows of a tile hold, summed from the top."""
        if place not in self._known_counts:
            index = place.tile.index
            annotated = _annotated(self._samples[place.sample], index)
            self._known_counts[place] = annotated.sum(axis=1).cumsum()
        return self._known_counts[place]

    def batches(
        self,
        batch_size: int,
        steps: int,
        *,
        epoch: int = 0,
        step: int = 0,
        workers: int = 0,
        share: range | None = None,
        pinned: bool = False,
    ) -> Iterator[Batch]:
        """Yield batches without end, `steps` per epoch, beginning anywhere.

        Parameters
        ----------
        batch_size : int
            Patches per batch; every batch is full.
        steps : int
            Batches per epoch.
        epoch, step : int
            Where to begin.
        workers : int
            Processes that read ahead; 0 reads in this one. Fewer, with a
            warning, where shared memory is too small for so many.
        share : range, optional
            Which patches of every batch to read; by default all.
        pinned : bool
            Put batches where a GPU can fetch them while it computes.
        """
        share = range(batch_size) if share is None else share
        loader: DataLoader[Patch] = DataLoader(
            _Keyed(self),
            batch_sampler=_Keys(batch_size, steps, epoch, step, share),
            num_workers=_fitting(workers, len(share) * self._patch_bytes()),
            collate_fn=_collate,
            pin_memory=pinned,
            worker_init_fn=_quiet_worker,
            # Without a generator of its own the loader draws from torch's global one.
            generator=torch.Generator().manual_seed(seed_for(self._seed, "loader")),
        )
        return (batch._replace(first=share.start) for batch in loader)

    def _order(self, epoch: int, turn: int) -> NDArray[np.intp]:
        """Return the tile of every index of an epoch; the last answer is kept."""
        if self._ordered[0] != (epoch, turn):
            order = stream(self._seed, "order", epoch, turn).permutation(len(self))
            self._ordered = (epoch, turn), order // self._per_tile
        return self._ordered[1]


class ValidationPatches:
    """A regular grid of patches with their targets, none of them changed.

    Parameters
    ----------
    samples : sequence of Sample
        With lines.
    tiling : TilingConfig
        Patch edge, also the stride.
    limit : int, optional
        Keep at most so many, evenly spread over the grid.

    Raises
    ------
    DataError
        If a sample has no lines, or no patch has a pixel that counts.
    """

    def __init__(
        self, samples: Sequence[Sample], tiling: TilingConfig, limit: int | None = None
    ) -> None:
        self._samples = samples
        self.size = tiling.patch
        places = [
            _Place(index, tile)
            for index, sample in enumerate(samples)
            for tile in tile_grid(sample.shape, tiling.patch, inside=False)
            if _has_roi(sample, tile)
        ]
        if not places:
            msg = f"none of {len(samples)} samples has a pixel inside its ROI to score patches on."
            raise DataError(msg)
        self._places = _thinned(places, limit)
        self._targets: dict[int, Target] = {}

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self._places)

    def patch(self, index: int) -> Patch:
        """Return one patch."""
        place = self._places[index]
        return cut(self._samples[place.sample], place.tile)

    def target(self, index: int) -> Target:
        """Return the target of one patch, with skeletons of its own, kept once made."""
        if index not in self._targets:
            patch = self.patch(index)
            self._targets[index] = Target(patch.lines, patch.roi)
        return self._targets[index]

    def images(self, batch_size: int) -> Iterator[tuple[range, Tensor]]:
        """Yield batches of images, float32 of shape (B, C, P, P), with their indices."""
        for start in range(0, len(self), batch_size):
            indices = range(start, min(start + batch_size, len(self)))
            yield indices, torch.from_numpy(np.stack([self.patch(i).image for i in indices]))


class _Keyed(Dataset[Patch]):
    """Looks patches up by (epoch, index)."""

    def __init__(self, patches: TrainingPatches) -> None:
        self._patches = patches

    def __getitem__(self, key: tuple[int, int]) -> Patch:
        return self._patches.patch(*key)


@dataclass(frozen=True)
class _Keys:
    """Which patches make up the batches, from some step on, without end."""

    batch_size: int
    steps: int
    epoch: int
    step: int
    share: range

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, step = self.epoch, self.step
        while True:
            for begun in range(step, self.steps):
                first = begun * self.batch_size
                yield [(epoch, first + place) for place in self.share]
            epoch, step = epoch + 1, 0


def _collate(patches: list[Patch]) -> Batch:
    return Batch(
        torch.from_numpy(np.stack([patch.image for patch in patches])),
        torch.from_numpy(np.stack([patch.lines for patch in patches])[:, None]),
        torch.from_numpy(np.stack([patch.roi for patch in patches])[:, None]),
    )


def _fitting(workers: int, batch_bytes: int) -> int:
    """Return how many workers may hand over batches through shared memory at a time."""
    if workers == 0 or not SHARED_MEMORY.is_dir():
        return workers
    free = shutil.disk_usage(SHARED_MEMORY).free
    most = free // (BATCHES_HELD * batch_bytes)
    if most < workers:
        log.warning(
            "%s has %d MiB free, too few for %d processes to hand over batches; %d read. In "
            "containers give it more, for example docker run --shm-size=1g.",
            *(SHARED_MEMORY, free >> 20, workers, most),
        )
    return min(workers, most)


def _quiet_worker(_: int) -> None:
    """Leave Ctrl-C to the main process, and cores to the other workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _annotated(sample: Sample, window: tuple[slice, slice] = _WHOLE) -> Mask:
    """Return the line pixels that count."""
    if sample.lines is None:
        msg = f"sample '{sample.name}' has no lines; expected annotated samples only."
        raise DataError(msg)
    return sample.lines[window] & sample.roi[window]


def _has_roi(sample: Sample, tile: Tile) -> bool:
    if sample.lines is None:
        _annotated(sample)
    return bool(sample.roi[tile.clipped(sample.shape).index].any())


def _annotated_tiles(sample: Sample, tiling: TilingConfig) -> list[Tile]:
    """Return tiles that overlap by half, cut off where the image is smaller than one."""
    annotated = _annotated(sample)
    rows, cols = min(tiling.train_rows, sample.shape[0]), min(tiling.train_cols, sample.shape[1])
    grid = tile_grid(sample.shape, (rows, cols), (max(rows // 2, 1), max(cols // 2, 1)))
    return [tile for tile in grid if annotated[tile.index].any()]


def _draw_tile(
    sample: Sample, tile: Tile, size: int, counts: NDArray[np.int64], rng: np.random.Generator
) -> Tile:
    """Return a random square inside a tile that holds an annotated pixel.

    `counts` says for each row of the tile how many such pixels it and those above hold.
    """
    assert sample.lines is not None, "unannotated samples are refused earlier"
    lines, roi = sample.lines[tile.index], sample.roi[tile.index]
    last_top, last_left = max(lines.shape[0] - size, 0), max(lines.shape[1] - size, 0)
    for _ in range(ATTEMPTS):
        top, left = int(rng.integers(last_top + 1)), int(rng.integers(last_left + 1))
        window = slice(top, top + size), slice(left, left + size)
        if (lines[window] & roi[window]).any():
            break
    else:
        row, col = _pick(lines, roi, counts, rng)
        offset_row, offset_col = (int(value) for value in rng.integers(size, size=2))
        top = min(max(row - offset_row, 0), last_top)
        left = min(max(col - offset_col, 0), last_left)
    top, left = tile.top + top, tile.left + left
    return Tile(top, left, top + size, left + size)


def _pick(
    lines: Mask, roi: Mask, counts: NDArray[np.int64], rng: np.random.Generator
) -> tuple[int, int]:
    """Return row and col of a random annotated pixel, each as likely; reads one row."""
    pick = int(rng.integers(counts[-1]))
    row = int(np.searchsorted(counts, pick, side="right"))
    before = int(counts[row - 1]) if row else 0
    return row, int(np.flatnonzero(lines[row] & roi[row])[pick - before])


def _thinned(places: list[_Place], limit: int | None) -> list[_Place]:
    """Keep at most `limit` places, evenly spread."""
    if limit is None or len(places) <= limit:
        return places
    return [places[math.floor((k + 0.5) * len(places) / limit)] for k in range(limit)]
