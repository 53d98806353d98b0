"""How networks are trained: patches, augmentation, losses, rounds of strokes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linerefine.config.base import Options

__all__ = ["AugmentationConfig", "TilingConfig", "TrainingConfig"]


class TilingConfig(Options):
    """How whole images are cut for the networks."""

    patch: int = Field(256, ge=32, multiple_of=32, description="Edge of a network input, pixels.")
    overlap: int = Field(
        64, ge=0, description="Overlap of neighbouring patches in whole-image prediction, pixels."
    )
    blend: Literal["taper", "paper"] = Field(
        "taper",
        description="How overlapping answers are weighed: 'taper' falls smoothly over the overlap; "
        "'paper' is the authors' weight map, nothing on a patch's border ring, all from 64 "
        "pixels inwards.",
    )
    train_rows: int = Field(1120, ge=32, description="Height of a training tile, pixels.")
    train_cols: int = Field(1494, ge=32, description="Width of a training tile, pixels.")
    patches_per_tile: int = Field(10, ge=1, description="Patches per tile and epoch.")  # 3.1.1


class AugmentationConfig(Options):
    """Random changes of a training patch, as the authors' code draws them."""

    flip: float = Field(0.5, ge=0, le=1, description="Probability of each mirror flip.")
    rotate90: float = Field(0.5, ge=0, le=1, description="Probability of quarter turns.")
    affine: float = Field(0.5, ge=0, le=1, description="Probability of shift, scale, rotate.")
    shift: float = Field(0.0625, ge=0, le=0.5, description="Largest shift, share of the edge.")
    scale: float = Field(0.1, ge=0, lt=1, description="Largest change of scale.")
    rotate: float = Field(45.0, ge=0, le=180, description="Largest rotation, degrees.")


class TrainingConfig(Options):
    """Training of the networks; a refiner may have its own (``refiners.NAME.training``).

    `rounds`, `learn`, `operation`, `strokes_per_patch`, `keep` and `near` concern refiners alone.
    """

    batch_size: int = Field(32, ge=1, description="Patches per step.")  # paper, sec. 4.1
    learning_rate: float = Field(3e-4, gt=0, description="Adam's step size.")  # sec. 4.1
    loss: Literal[
        "dice",
        "dice_bce",
        "bce",
        "generalised_dice",
        "generalised_dice_bce",
        "tversky",
        "tversky_bce",
        "cldice",
        "soft_cldice",
        "soft_cldice_bce",
    ] = Field(
        "dice",
        description="'dice' as the authors; '..._bce' adds cross-entropy; 'cldice' needs others.",
    )
    gradient_clip: float = Field(2.0, gt=0, description="Largest gradient norm.")
    max_epochs: int = Field(1000, ge=1, description="Most epochs of each network.")
    steps_per_epoch: int | None = Field(
        None, ge=1, description="None: every training patch once per epoch."
    )
    patience: int = Field(10, ge=1, description="Epochs without improvement before stopping.")
    min_delta: float = Field(1e-3, ge=0, description="Least change that counts as improvement.")
    schedule: Literal["plateau", "cosine"] = Field(
        "plateau",
        description="Learning rate: lowered when the score stops rising (paper), or risen and "
        "fallen over max_epochs, for trainings of few steps.",
    )
    choose: Literal["best", "last"] = Field(
        "best",
        description="Weights of which epoch are kept: that with the best score (paper), or the "
        "last one, where the learning rate ends and scores on few patches are mostly chance.",
    )
    plateau_factor: float = Field(0.5, gt=0, le=1, description="Learning rate factor.")
    plateau_patience: int = Field(3, ge=0, description="Epochs before it is applied.")  # 4.1
    validation_passes: int = Field(
        5, ge=1, description="Simulated strokes per validation patch, averaged."
    )
    validation_patches: int | None = Field(
        None, ge=1, description="Use at most so many validation patches, evenly chosen."
    )
    strokes_per_patch: int = Field(
        1,
        ge=1,
        description="Most strokes drawn on a training patch per round; the paper draws one.",
    )
    rounds: int = Field(
        1, ge=1, description="Most rounds of strokes per step, drawn on the refiner's own answers."
    )
    learn: Literal["last", "every"] = Field(
        "last",
        description="Which rounds of a step are learnt from: the last of a random number, the "
        "others only played; or every one of them all.",
    )
    operation: Literal["chance", "simulator"] = Field(
        "chance",
        description="Who decides between add and erase: chance (paper), or the simulator, as in "
        "sessions.",
    )
    keep: float = Field(
        0.0, ge=0, description="Weight in a refiner's loss of pixels that were right before."
    )
    near: float = Field(
        0.0,
        ge=0,
        description="Weight in a refiner's loss of what lies within 32 pixels of its strokes, so "
        "that it learns to go on where a stroke ends.",
    )
    augmentation: AugmentationConfig = AugmentationConfig()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="'auto': fp16 on CUDA, bf16 on CPUs that have it, else fp32."
    )
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Processes that read patches, and as many that draw strokes; 0: the main "
        "one. 'auto': on CUDA half the cores, eight at most, else 0.",
    )
    checkpoint_seconds: float = Field(60.0, gt=0, description="Longest time between checkpoints.")

    def data_workers(self, device: str, cores: int) -> int:
        """Return how many processes read patches, by kind of device and number of cores."""
        if self.workers != "auto":
            return self.workers
        # On a CPU the network wants every core, and takes far longer than its data.
        return min(max(cores // 2, 1), 8) if device == "cuda" else 0
