"""The configuration of a run: one typed model, the only home of the core's defaults.

Defaults follow the paper (Sterzinger, Stippel, Sablatnig: Fusing Forces, ICPR
2024) where it speaks; lengths are pixels of the working grid, the grid of the
arrays that a loader delivers.
"""

from linerefine.config.base import Component, Options, merged
from linerefine.config.experiment import ExperimentConfig, TrackingConfig
from linerefine.config.networks import (
    MANUAL,
    STAGED_DECODERS,
    EncoderConfig,
    LikeSegmenter,
    NetworkConfig,
    RefinerConfig,
    SegmenterConfig,
)
from linerefine.config.presets import PROTOCOLS, QUICK
from linerefine.config.training import AugmentationConfig, TilingConfig, TrainingConfig
from linerefine.config.use import EvaluationConfig, InferenceConfig, SessionConfig

__all__ = [
    "MANUAL",
    "PROTOCOLS",
    "QUICK",
    "STAGED_DECODERS",
    "AugmentationConfig",
    "Component",
    "EncoderConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "InferenceConfig",
    "LikeSegmenter",
    "NetworkConfig",
    "Options",
    "RefinerConfig",
    "SegmenterConfig",
    "SessionConfig",
    "TilingConfig",
    "TrackingConfig",
    "TrainingConfig",
    "merged",
]
