"""Run a network over a whole image, however large, without seams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from linerefine.config import TilingConfig
from linerefine.errors import ConfigError, DataError, RunError, ShapeError
from linerefine.geometry.tiles import blend, covering_paper_weights, crop, tile_grid
from linerefine.types import Logits, Mask, Progress, Tile

__all__ = ["OUTSIDE_LOGIT", "evaluating", "passes", "predict_image", "suitable_batch"]

OUTSIDE_LOGIT = -20.0
"""Answer where the ROI spared the network the work."""


WEIGHTS = {"taper": None, "paper": covering_paper_weights}
"""How much an answer counts, by `TilingConfig.blend`; None: as it fades over the overlap."""


def suitable_batch(device: torch.device | str) -> int:
    """Return how many patches to give a network at a time.

    On a CPU more patches only spill the caches: sixteen at a time take 1.6
    times as long per patch as four (U-Net, 256 pixels, one core). A GPU needs
    many to be busy.
    """
    return 32 if torch.device(device).type == "cuda" else 4


def passes(shape: tuple[int, int], tiling: TilingConfig, device: torch.device | str) -> int:
    """Return how many passes `predict_image` needs at most for an image of shape (H, W)."""
    if tiling.overlap >= tiling.patch:
        return 0  # predict_image refuses it
    tiles = len(tile_grid(shape, tiling.patch, tiling.patch - tiling.overlap))
    return -(-tiles // suitable_batch(device))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode for the length of a block."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def predict_image(
    segmenter: nn.Module,
    image: NDArray[np.float32],
    tiling: TilingConfig,
    device: torch.device | str = "cpu",
    *,
    batch_size: int | None = None,
    roi: Mask | None = None,
    progress: Progress | None = None,
) -> Logits:
    """Return a network's logits for every pixel of an image.

    Parameters
    ----------
    segmenter : nn.Module
        Maps (B, C, P, P) to logits of shape (B, 1, P, P); lies on `device`.
        Left in the mode it was in.
    image : ndarray of float32, shape (C, H, W)
        Normalised channels; may be a memory map, of which only windows are read.
    tiling : TilingConfig
        Windows have edge ``patch`` and overlap by at least ``overlap`` pixels.
    device : torch.device or str
        Where to compute.
    batch_size : int, optional
        Windows per call; does not change the answer. By default what suits
        the device.
    roi : ndarray of bool, shape (H, W), optional
        Windows wholly outside are not computed: `OUTSIDE_LOGIT` there.
    progress : callable, optional
        Called with ("predicting", done, total) after every batch.

    Returns
    -------
    logits : ndarray of float32, shape (H, W)
        Overlapping answers fade into each other, as ``tiling.blend`` says; an
        image smaller than a window is reflected to fill it.

    Raises
    ------
    ShapeError
        If image or ROI have the wrong shape.
    ConfigError
        If the overlap is not smaller than the patch.
    DataError
        If the image holds values that are not finite.
    RunError
        If the network answers with values that are not finite.
    """
    shape = _check(image, roi, tiling)
    tiles = tile_grid(shape, tiling.patch, tiling.patch - tiling.overlap)
    inside = [tile for tile in tiles if roi is None or roi[tile.clipped(shape).index].any()]
    outside = sorted(set(tiles) - set(inside), key=lambda tile: (tile.top, tile.left))

    size = batch_size or suitable_batch(device)

    def windows() -> Iterator[tuple[Tile, Logits]]:
        blank = np.full((tiling.patch, tiling.patch), OUTSIDE_LOGIT, dtype=np.float32)
        yield from ((tile, blank) for tile in outside)
        for start in range(0, len(inside), size):
            batch = inside[start : start + size]
            yield from zip(batch, _answers(segmenter, image, batch, device), strict=True)
            if progress is not None:
                progress("predicting", start + len(batch), len(inside))

    with evaluating(segmenter):
        return blend(windows(), shape, tiling.overlap, WEIGHTS[tiling.blend])


def _check(image: NDArray[np.float32], roi: Mask | None, tiling: TilingConfig) -> tuple[int, int]:
    if image.ndim != 3 or 0 in image.shape:
        msg = f"image has shape {image.shape}, expected (C, H, W), none of them 0."
        raise ShapeError(msg)
    shape = (image.shape[1], image.shape[2])
    if roi is not None and roi.shape != shape:
        msg = f"roi has shape {roi.shape}, image {image.shape}; H and W must agree."
        raise ShapeError(msg)
    if tiling.overlap >= tiling.patch:
        msg = f"tiling.overlap is {tiling.overlap}, expected less than tiling.patch {tiling.patch}."
        raise ConfigError(msg)
    return shape


def _answers(
    network: nn.Module,
    image: NDArray[np.float32],
    tiles: list[Tile],
    device: torch.device | str,
) -> NDArray[np.float32]:
    """Return the network's logits for some windows, shape (B, P, P)."""
    stack = np.stack([crop(image, tile) for tile in tiles]).astype(np.float32, copy=False)
    for window, tile in zip(stack, tiles, strict=True):
        if not np.isfinite(window).all():
            msg = (
                f"image holds values that are not finite in rows {tile.top}-{tile.bottom - 1}, "
                f"cols {tile.left}-{tile.right - 1}; expected numbers everywhere."
            )
            raise DataError(msg)
    batch = torch.from_numpy(stack).to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = network(batch)[:, 0].float().cpu().numpy()
    if not np.isfinite(logits).all():
        msg = (
            "the network answers with values that are not finite; its weights are damaged or "
            "its training diverged. Train again with a smaller training.learning_rate."
        )
        raise RunError(msg)
    answers: NDArray[np.float32] = logits
    return answers
