"""Options of the plugin's components and the settings of its experiment; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from linerefine.config import (
    QUICK,
    Component,
    ExperimentConfig,
    NetworkConfig,
    Options,
    RefinerConfig,
    SegmenterConfig,
)
from linerefine.refiners.options import UNetOptions
from linerefine_etruscan_mirrors.layout import Layout

__all__ = [
    "DEFAULTS",
    "PROFILES",
    "PROTOCOLS",
    "Channel",
    "GammaStrokeOptions",
    "MirrorOptions",
    "UNetB6Options",
]

Channel = Literal["depth", "normals", "albedo"]
Tip = Literal["disc", "cross"]


class MirrorOptions(Options):
    """Options of the loader ``etruscan_mirrors``."""

    root: Path | None = Field(
        None, description="Folder holding the object folders; None draws phantoms."
    )
    phantoms: Literal["quick", "ship", "full"] = Field(
        "quick", description="Which phantoms to draw without a root."
    )
    layout: Layout = Field(Layout(), description="Names of folders and files.")
    channels: tuple[Channel, ...] = Field(
        ("depth",), min_length=1, description="Input channels, in order."
    )  # paper, sec. 3.1.1: depth worked best
    scale: int | None = Field(
        None,
        ge=1,
        description="Source pixels per working pixel. None: 2, as the paper; 1 for quick "
        "phantoms; for a scan opened by a finished run what comes nearest to its pixel size.",
    )
    pixels_per_mm: float | None = Field(
        None, gt=0, description="Resolution of all scans; None reads each file's own."
    )
    inch: float = Field(
        25.4, gt=0, description="Millimetres to the inch; the authors' code takes 25."
    )
    sigma_mm: float = Field(1.0, gt=0, description="Deviation of the depth's high-pass.")
    clip: float = Field(3.0, gt=0, description="Standard deviations at which heights are cut.")
    statistics: Literal["roi", "image"] = Field(
        "roi", description="What clips a scan: mirror pixels, or all as in the authors' code."
    )
    object_mask: Literal["auto", "sam", "classical", "disk"] = Field(
        "auto",
        description="Where a view has no mask on disk: Segment Anything, the classical method, "
        "'auto' what is at hand, 'disk' neither (the view is bad).",
    )
    sam_weights: str | None = Field(
        None, description="Segment Anything: a folder or hub name; None takes cached ones."
    )
    split: Literal["object", "paper"] = Field(
        "object", description="'paper' validates on half the patches of the test mirrors."
    )
    split_file: Path | None = Field(
        None, description='JSON of view names, {"train": [], "val": [], "test": []}.'
    )
    split_seed: int = Field(0, ge=0, description="Division into splits.")
    test_views: tuple[str, ...] | None = Field(
        None, description="None: the paper's three where present, else a share of the objects."
    )
    test_fraction: float = Field(0.2, gt=0, lt=1, description="That share.")
    val_fraction: float = Field(
        0.18, gt=0, lt=1, description="Share of the training objects that stops training."
    )
    patch: int = Field(
        512, ge=32, description="Edge of the patches of split='paper', source pixels."
    )  # sec. 3.1.1
    exclude: tuple[str, ...] = Field((), description="Views to leave out, by name.")
    on_bad_scan: Literal["skip", "fail"] = Field(
        "skip", description="Report a bad scan and go on, or stop."
    )
    cache: Path | None = Field(
        None, description="Folder for preprocessed scans; None: in linerefine's own cache."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.channels)) < len(self.channels):
            msg = f"channels are {', '.join(self.channels)}, expected each at most once."
            raise ValueError(msg)
        if self.split_file is not None and (self.split == "paper" or self.test_views is not None):
            msg = "split_file decides every split: leave out test_views and split='paper'."
            raise ValueError(msg)
        return self


class GammaStrokeOptions(Options):
    """Options of the simulator ``gamma_stroke``; lengths are pixels of the working grid."""

    mode: Literal["sampled", "mean", "narrow"] = Field(
        "mean", description="Half-widths: gamma, mean, or mean less two deviations."
    )  # sec. 3.2.3, (a) to (c); the mean is as wide as a true line, a fair manual baseline
    fixed_half_width: float | None = Field(
        None, gt=0, description="One half-width for all strokes, instead of measured ones."
    )
    mean: float | None = Field(
        None, gt=0, description="Mean half-width, instead of the measured one."
    )
    sd: float | None = Field(None, ge=0, description="Its standard deviation; goes with mean.")
    least: float = Field(
        1.0, gt=0, description="No stroke has a smaller half-width; 1 is a line one pixel wide."
    )
    max_length: int = Field(11, ge=1, description="Most pixels of a stroke's path.")  # sec. 3.2.3
    tip: Tip = Field("disc", description="'disc', or 'cross': the authors' diamond.")
    tolerance: float = Field(
        9.0,
        ge=0,
        description="A predicted centreline farther than this from the target's is superfluous.",
    )  # authors' code: nine dilations
    tolerance_tip: Tip = Field(
        "disc", description="Distance of the tolerance: 'disc' Euclidean, 'cross' city-block."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mean is None) != (self.sd is None):
            msg = "mean and sd go together: give both or neither."
            raise ValueError(msg)
        return self


class UNetB6Options(UNetOptions):
    """Options of the refiner ``unet_b6``."""

    network: NetworkConfig = NetworkConfig(encoder="efficientnet-b6")  # sec. 3.3


# Training, tiling, session and evaluation: the core's defaults are the paper's
# (Dice, Adam 3e-4, batch 32, ten patches of 256 a tile and epoch, tiles of
# 2240 x 2988 source pixels, budget 3000, ten repeats).
DEFAULTS = ExperimentConfig(
    loader=Component(name="etruscan_mirrors"),
    segmenter=SegmenterConfig(network=NetworkConfig(encoder="efficientnet-b6")),
    simulator=Component(name="gamma_stroke"),
    refiners=(RefinerConfig(name="unet_b6"),),
)

_SHIPPED_NETWORK: Mapping[str, Any] = {
    "encoder": "tu-resnet10t",
    "encoder_depth": 4,  # the fifth stage alone holds seven in ten weights
    "decoder_channels": (64, 48, 32, 16),
}
_SHIPPED_REFINER: Mapping[str, Any] = {"name": "unet", "options": {"network": _SHIPPED_NETWORK}}
_SHIPPED = "shipped:etruscan_mirrors"

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "quick": {**QUICK, "loader": {"options": {"phantoms": "quick"}}},
    "paper": {"loader": {"options": {"phantoms": "full"}}, "protocol": "paper"},
    # Trains the two networks that ship; `scripts/train_shipped.py` runs it.
    "ship": {
        **QUICK,
        "loader": {"options": {"phantoms": "ship"}},
        "segmenter": {"network": _SHIPPED_NETWORK},
        "refiners": [{**_SHIPPED_REFINER, "training": {"max_epochs": 12}}],
        "training": {
            **QUICK["training"],
            "max_epochs": 20,
            "patience": 20,
            "strokes_per_patch": 4,
            "validation_patches": 96,
        },
    },
    # Trains nothing.
    "trained": {
        **QUICK,
        "segmenter": {"network": _SHIPPED_NETWORK, "checkpoint": _SHIPPED},
        "refiners": [{**_SHIPPED_REFINER, "weights": _SHIPPED}],
    },
    # Sterzinger, Brenner, Sablatnig: Drawing the Line (ICDAR 2024), the first prediction alone:
    # half overlap, the authors' weights, threshold tuned on images that are not tested.
    "predecessor": {
        **QUICK,
        "segmenter": {**QUICK["segmenter"], "threshold": "tuned"},
        "refiners": [{"name": "manual"}],
        "tiling": {**QUICK["tiling"], "overlap": QUICK["tiling"]["patch"] // 2, "blend": "paper"},
        "evaluation": {"budget": 1, "repeats": 1, "patch_passes": 0},
    },
}

PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    # Authors' code: three dilations by the cross at half resolution, seven pixels across.
    "paper": {
        "simulator": {
            "options": {
                "fixed_half_width": 4.0,
                "tip": "cross",
                "tolerance": 9.0,
                "tolerance_tip": "cross",
            }
        }
    }
}
