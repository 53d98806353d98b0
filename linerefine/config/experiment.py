"""Everything that decides what a run does, in one model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from linerefine.config.base import Component, Options, merged
from linerefine.config.networks import RefinerConfig, SegmenterConfig
from linerefine.config.training import TilingConfig, TrainingConfig
from linerefine.config.use import EvaluationConfig, InferenceConfig, SessionConfig

__all__ = ["ExperimentConfig", "TrackingConfig"]


class TrackingConfig(Options):
    """Where runs are recorded."""

    uri: str | None = Field(
        None, description="MLflow store; None: sqlite file mlflow.db beside the run folders."
    )
    enabled: bool = Field(True, description="False records nothing in MLflow.")
    log_model: bool = Field(True, description="Store trained refiners as MLflow models.")


class ExperimentConfig(Options):
    """Everything that decides what a run does."""

    profile: str = Field("", description="Profile these settings came from; a label.")
    protocol: str = Field(
        "default", description="'default', 'paper' (the authors') or 'independent' (two people)."
    )
    loader: Component = Field(description="Where images and targets come from.")
    segmenter: SegmenterConfig = SegmenterConfig()
    simulator: Component = Field(Component(name="longest"), description="Who draws the strokes.")
    refiners: tuple[RefinerConfig, ...] = Field(
        (RefinerConfig(name="unet"),), min_length=1, description="What answers strokes; compared."
    )
    metrics: tuple[Component, ...] = Field(
        (Component(name="pfm"), Component(name="iou")),
        min_length=1,
        description="The first one steers training and sessions.",
    )
    tiling: TilingConfig = TilingConfig()
    training: TrainingConfig = TrainingConfig()
    session: SessionConfig = SessionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: TrackingConfig = TrackingConfig()
    inference: InferenceConfig = InferenceConfig()
    seed: int = Field(0, ge=0, description="Weights, shuffling, strokes.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run.")
    threads: int | None = Field(
        None, ge=1, description="Threads of the numeric libraries; None: one per physical core."
    )
    image_memory: float = Field(
        0.25, ge=0, le=1, description="Share of the memory that images read once may go on filling."
    )

    def training_of(self, refiner: RefinerConfig) -> TrainingConfig:
        """Return how a refiner is trained: as the run says, but for its own settings."""
        return TrainingConfig.model_validate(
            merged(self.training.model_dump(mode="json"), refiner.training)
        )

    def simulator_of(self, refiner: RefinerConfig) -> Component:
        """Return whose strokes a refiner is trained and tested with."""
        return refiner.simulator or self.simulator
