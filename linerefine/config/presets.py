"""Settings that belong together: what a protocol pins, what a quick run lowers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PROTOCOLS", "QUICK"]

PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # Authors' code: fixed tiles, a set hint never changes, tiles without
    # annotation are dropped, and others after one stroke that does not help.
    "paper": {
        "session": {"placement": "grid", "overlap": "first"},
        "evaluation": {"empty_tiles": "skip", "attempts": 1},
    },
    # Nobody looks at the target but the simulated eyes: no choice, no acceptance by score.
    "independent": {"evaluation": {"loop": "independent", "empty_tiles": "work"}},
}
"""What each protocol pins, as overrides; an experiment may add its own."""

_LIGHT: Mapping[str, Any] = {"encoder": "tu-resnet10t", "decoder_channels": (64, 48, 32, 16, 16)}

QUICK: Mapping[str, Any] = {
    "segmenter": {"network": _LIGHT},
    "refiners": [{"name": "unet"}],  # with the same encoder
    "tiling": {"patch": 192, "train_rows": 512, "train_cols": 512},
    "training": {
        "batch_size": 8,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "loss": "dice_bce",
        "max_epochs": 3,
        "steps_per_epoch": 100,
        "validation_passes": 1,
        "validation_patches": 48,
    },
    "evaluation": {"budget": 150, "repeats": 3, "patch_passes": 2},
}
"""Overrides for minutes on two cores, for experiments to build their ``quick`` profile on."""
