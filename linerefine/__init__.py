"""A person and a network trace thin lines together.

What a plugin author needs, in one place; `linerefine.hooks` shows a complete
plugin. Each name is imported when it is first asked for: most need NumPy and
pydantic, `Refiner` and `Prompt` torch, and ``linerefine --help`` none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linerefine.config import (
        AugmentationConfig,
        Component,
        EvaluationConfig,
        ExperimentConfig,
        NetworkConfig,
        Options,
        RefinerConfig,
        SegmenterConfig,
        SessionConfig,
        TilingConfig,
        TrackingConfig,
        TrainingConfig,
    )
    from linerefine.errors import (
        ConfigError,
        ConflictError,
        DataError,
        DeviceError,
        LineRefineError,
        PluginError,
        RunError,
        ShapeError,
        UnknownNameError,
    )
    from linerefine.hooks import Entry, Experiment, Study, Variant, hookimpl
    from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
    from linerefine.refiners.base import Prompt, Refiner
    from linerefine.registry import Registry
    from linerefine.report import Page, Picture, Report, RunResult, Section, Table
    from linerefine.samples import Sample, Target
    from linerefine.types import (
        HintMap,
        Logits,
        Mask,
        Operation,
        Progress,
        Round,
        Split,
        Stroke,
        Tile,
        Tip,
    )

__all__ = [
    "AugmentationConfig",
    "Component",
    "ConfigError",
    "ConflictError",
    "DataError",
    "DeviceError",
    "Entry",
    "EvaluationConfig",
    "Experiment",
    "ExperimentConfig",
    "HintMap",
    "LineRefineError",
    "Logits",
    "Mask",
    "Metric",
    "ModalityLoader",
    "NetworkConfig",
    "Operation",
    "Options",
    "Page",
    "Picture",
    "PluginError",
    "Progress",
    "Prompt",
    "Refiner",
    "RefinerConfig",
    "Registry",
    "Report",
    "Round",
    "RunError",
    "RunResult",
    "Sample",
    "Section",
    "SegmenterConfig",
    "SessionConfig",
    "ShapeError",
    "Split",
    "Stroke",
    "Study",
    "Table",
    "Target",
    "Tile",
    "TilingConfig",
    "Tip",
    "TrackingConfig",
    "TrainingConfig",
    "UnknownNameError",
    "UserSimulator",
    "Variant",
    "hookimpl",
]

__version__: str

_HOMES = {
    "linerefine.config": (
        "AugmentationConfig",
        "Component",
        "EvaluationConfig",
        "ExperimentConfig",
        "NetworkConfig",
        "Options",
        "RefinerConfig",
        "SegmenterConfig",
        "SessionConfig",
        "TilingConfig",
        "TrackingConfig",
        "TrainingConfig",
    ),
    "linerefine.errors": (
        "ConfigError",
        "ConflictError",
        "DataError",
        "DeviceError",
        "LineRefineError",
        "PluginError",
        "RunError",
        "ShapeError",
        "UnknownNameError",
    ),
    "linerefine.hooks": (
        "Entry",
        "Experiment",
        "Study",
        "Variant",
        "hookimpl",
    ),
    "linerefine.interfaces": (
        "Metric",
        "ModalityLoader",
        "UserSimulator",
    ),
    "linerefine.refiners.base": (
        "Prompt",
        "Refiner",
    ),
    "linerefine.registry": ("Registry",),
    "linerefine.report": (
        "Page",
        "Picture",
        "Report",
        "RunResult",
        "Section",
        "Table",
    ),
    "linerefine.samples": (
        "Sample",
        "Target",
    ),
    "linerefine.types": (
        "HintMap",
        "Logits",
        "Mask",
        "Operation",
        "Progress",
        "Round",
        "Split",
        "Stroke",
        "Tile",
        "Tip",
    ),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("linerefine")
    if name not in _HOME_OF:
        msg = f"module 'linerefine' has no attribute '{name}'"
        raise AttributeError(msg)
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
