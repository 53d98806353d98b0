"""The two networks of a run: architectures, and which refiners are compared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from linerefine.config.base import Component, Options

__all__ = [
    "MANUAL",
    "STAGED_DECODERS",
    "EncoderConfig",
    "LikeSegmenter",
    "NetworkConfig",
    "RefinerConfig",
    "SegmenterConfig",
]


class EncoderConfig(Options):
    """The encoder of a network whose architecture is settled."""

    encoder: str = Field("efficientnet-b6", description="Any smp or timm encoder.")  # sec. 3.3
    encoder_weights: str | None = Field(
        None, description="None trains from scratch; 'imagenet' downloads pretrained weights."
    )
    encoder_depth: int = Field(5, ge=3, le=5, description="Encoder stages used.")


class NetworkConfig(EncoderConfig):
    """An encoder-decoder of segmentation-models-pytorch."""

    architecture: str = Field("unet", description="Any architecture smp knows by name.")
    decoder_channels: tuple[int, ...] | None = Field(
        None, description="Decoder widths, one per stage; None keeps smp's own."
    )


class LikeSegmenter:
    """Marks a refiner's field ``network`` that takes the segmenter's architecture, too.

    For refiners that begin with the segmenter's weights; others take its encoder.
    """


STAGED_DECODERS = ("manet", "unet", "unetplusplus")
"""Architectures whose decoder has one width per stage."""

MANUAL = "manual"
"""Name, and key unless it has a label, of the refiner that stands for a person without help."""


class SegmenterConfig(Options):
    """The first-prediction network: the image alone in, logits out; frozen once trained."""

    network: NetworkConfig = NetworkConfig()
    checkpoint: str | None = Field(
        None,
        description="A trained segmenter to use instead of training one: a .safetensors file, or "
        "'shipped:EXPERIMENT', which comes with an experiment and brings its normalisation.",
    )
    threshold: Literal["fixed", "tuned"] = Field(
        "fixed",
        description="From which probability first predictions are line. 'fixed': "
        "session.threshold, or what a checkpoint was tuned to. 'tuned': what scores best on the "
        "validation split; all their logits are shifted so that session.threshold cuts there.",
    )


class RefinerConfig(Component):
    """A refiner of a run, and in what it differs from the others."""

    label: str | None = Field(
        None, description="What results call it; None: its name. Two of one name need labels."
    )
    weights: str | None = Field(
        None,
        description="Trained weights to use instead of training: a .safetensors file, the label "
        "of a refiner earlier in the list, or 'shipped:EXPERIMENT'.",
    )
    simulator: Component | None = Field(
        None, description="Whose strokes it is trained and tested with; None: the run's."
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Settings of its training that differ from the run's."
    )
    operations: tuple[Literal["add", "erase"], ...] = Field(
        ("add", "erase"), min_length=1, description="What the person may do in its sessions."
    )

    @property
    def key(self) -> str:
        """What results call it: its label, else its name."""
        return self.label or self.name
