"""Options of the loader, and the settings of the experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

import linerefine as lr
from linerefine.config import QUICK
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
    metrics=(lr.Component(name="pfm"), lr.Component(name="iou"), lr.Component(name="dice")),
    tiling=lr.TilingConfig(train_rows=480, train_cols=512),
)

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "quick": {**QUICK, "evaluation": {"budget": 100, "repeats": 2, "patch_passes": 2}},
}
