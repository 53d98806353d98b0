"""Options of the loader, and the settings of the experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

import linerefine as lr
from linerefine.loaders.options import Channels, FolderOptions

__all__ = ["DEFAULTS", "PROFILES", "RetinaOptions"]


class RetinaOptions(FolderOptions):
    """Options of the loader ``retina_demo``: those of ``folder``, and the drawn sample."""

    channels: Channels = Field(
        "green", description="Vessels show best in green: blood absorbs it, the lens passes it."
    )
    group: str | None = Field(
        r"(.*\d)[LR]$", description="Both eyes of a child stay in one split: Image_01L, Image_01R."
    )
    sample_images: int = Field(12, ge=6, description="How many to draw without a data root.")
    sample_size: int = Field(512, ge=64, description="Edge of a drawn image, pixels.")
    sample_seed: int = Field(0, ge=0, description="Seed of the drawn images.")


# What is not named here is the core's default: the paper's network and settings.
DEFAULTS = lr.ExperimentConfig(
    loader=lr.Component(name="retina_demo"),
    tiling=lr.TilingConfig(train_rows=480, train_cols=512),
)

_LIGHT = {"encoder": "tu-mobilenetv4_conv_small", "decoder_channels": (64, 48, 32, 16, 16)}

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "quick": {
        "segmenter": {"network": _LIGHT},
        "refiners": [{"name": "unet", "options": {"network": _LIGHT}}],
        "training": {
            "batch_size": 8,
            "learning_rate": 1e-3,
            "loss": "dice_bce",
            "max_epochs": 6,
            "steps_per_epoch": 50,
            "validation_passes": 1,
            "validation_patches": 24,
        },
        "evaluation": {"budget": 60, "repeats": 2, "patch_passes": 2},
    },
}
