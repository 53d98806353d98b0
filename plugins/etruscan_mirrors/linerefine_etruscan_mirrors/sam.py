"""Segment Anything through transformers: used when its weights are at hand.

Nothing is fetched unless the user names weights that are not on this machine.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import ConfigError
from linerefine.machine import install_command
from linerefine.types import Mask

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import SamModel

__all__ = ["CACHED_WEIGHTS", "SegmentAnything", "find_weights", "is_installed"]

log = logging.getLogger(__name__)

CACHED_WEIGHTS = ("facebook/sam-vit-huge", "facebook/sam-vit-large", "facebook/sam-vit-base")
"""Looked for in the local Hugging Face cache, best first, when no weights are named."""

WEIGHTS_FILE = "model.safetensors"
INSTALL = f"Install it: {install_command(repr('linerefine[sam]'))}."

# SAM's own input normalisation (Kirillov et al. 2023), in grey levels.
MEAN = (123.675, 116.28, 103.53)
SD = (58.395, 57.12, 57.375)


def is_installed() -> bool:
    """Say whether transformers can be imported."""
    return importlib.util.find_spec("transformers") is not None


def find_weights(named: str | None) -> str | None:
    """Return weights to load, or None if there are none.

    Parameters
    ----------
    named : str or None
        Folder or hub name given by the user; a hub name that is cached
        becomes its folder. None looks for `CACHED_WEIGHTS` in the cache.
        Neither asks the network.

    Raises
    ------
    ConfigError
        If weights are named but transformers is not installed.
    """
    if named is not None:
        if not is_installed():
            msg = f"loader.options.sam_weights is '{named}', but transformers is absent. {INSTALL}"
            raise ConfigError(msg)
        return named if Path(named).is_dir() else _cached(named) or named
    if not is_installed():
        return None
    return next(filter(None, map(_cached, CACHED_WEIGHTS)), None)


def _cached(name: str) -> str | None:
    """Return the folder of a hub model in the local cache, or None."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json")
        weights = try_to_load_from_cache(name, WEIGHTS_FILE)
    except HFValidationError:  # a path that does not exist: loading it says so
        return None
    if isinstance(config, str) and isinstance(weights, str):
        return str(Path(config).parent)
    return None


class SegmentAnything:
    """One SAM, loaded when first asked.

    Parameters
    ----------
    weights : str
        Folder written by ``save_pretrained``, or a hub name.

    Raises
    ------
    ConfigError
        On first use, if no model can be loaded from `weights`.
    """

    def __init__(self, weights: str) -> None:
        self.weights = weights

    @cached_property
    def _model(self) -> SamModel:
        from transformers import SamModel  # ten seconds: only where used

        log.info("loading Segment Anything from %s", self.weights)
        is_folder = Path(self.weights).is_dir()
        try:
            model = SamModel.from_pretrained(self.weights, local_files_only=is_folder)
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            msg = (
                f"loader.options.sam_weights is '{self.weights}', but no Segment Anything model "
                f"can be loaded from it: {reason} Name a folder that holds config.json and "
                f"model.safetensors, or a hub name such as '{CACHED_WEIGHTS[-1]}'."
            )
            raise ConfigError(msg) from error
        model.requires_grad_(requires_grad=False).train(mode=False)
        return model

    def __call__(
        self,
        picture: NDArray[np.uint8],
        *,
        points: NDArray[np.float64],
        box: tuple[int, int, int, int],
    ) -> Mask:
        """Return the object that points and box prompt for.

        Parameters
        ----------
        picture : ndarray of uint8, shape (H, W)
            Grey levels.
        points : ndarray of float, shape (K, 2)
            Points ``(row, col)`` on the object.
        box : tuple of int
            Top, left, bottom, right of a box around it.

        Returns
        -------
        mask : ndarray of bool, shape (H, W)
            Of SAM's three proposals the one it rates best.
        """
        import torch

        vision: Any = self._model.config.vision_config
        edge = int(vision.image_size)
        pixels, zoom = _network_input(picture, edge)
        where = torch.tensor(points[:, ::-1].copy() * zoom, dtype=torch.float32)  # SAM: (x, y)
        top, left, bottom, right = (value * zoom for value in box)
        with torch.inference_mode():
            answer = self._model(
                pixel_values=pixels,
                input_points=where[None, None],
                input_labels=torch.ones(1, 1, len(points), dtype=torch.long),
                input_boxes=torch.tensor([[[left, top, right, bottom]]], dtype=torch.float32),
                multimask_output=True,
            )
        best = int(answer.iou_scores[0, 0].argmax())
        return _source_mask(answer.pred_masks[:, 0, best : best + 1], picture.shape, edge, zoom)


def _network_input(picture: NDArray[np.uint8], edge: int) -> tuple[Tensor, float]:
    """Return the picture as SAM wants it, shape (1, 3, edge, edge), and its zoom."""
    import torch
    from torch.nn import functional

    zoom = edge / max(picture.shape)
    height, width = (max(1, round(length * zoom)) for length in picture.shape)
    grey = torch.from_numpy(picture.astype(np.float32))[None, None]
    small = functional.interpolate(
        grey, (height, width), mode="bilinear", align_corners=False, antialias=True
    )
    colour = (small - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(SD).view(1, 3, 1, 1)
    return functional.pad(colour, (0, edge - width, 0, edge - height)), zoom


def _source_mask(logits: Tensor, shape: tuple[int, ...], edge: int, zoom: float) -> Mask:
    """Bring SAM's low-resolution logits, shape (1, 1, h, w), back to the picture."""
    from torch.nn import functional

    full = functional.interpolate(logits, (edge, edge), mode="bilinear", align_corners=False)
    height, width = (max(1, round(length * zoom)) for length in shape)
    inside = full[:, :, :height, :width]
    source = functional.interpolate(inside, shape, mode="bilinear", align_corners=False)
    mask: Mask = (source[0, 0] > 0).numpy()
    return mask
