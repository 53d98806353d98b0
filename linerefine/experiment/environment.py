"""What a run was made with: versions, device, state of the code."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import linerefine
from linerefine.config import ExperimentConfig
from linerefine.models.device import describe_device
from linerefine.registry import Registry

__all__ = ["environment"]

PACKAGES = (
    "linerefine",
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "mlflow",
)


def environment(
    config: ExperimentConfig, registry: Registry, device: torch.device
) -> dict[str, Any]:
    """Return versions, device, seeds, plugins and git state, ready for JSON."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "plugins": {info.name: info.version for info in registry.describe()},
        "device": describe_device(device),
        "seed": config.seed,
        "git": git_state(Path(linerefine.__file__).parent),
    }


def git_state(folder: Path) -> str:
    """Return the commit of the code, with ``+changes`` if edited; "none" outside a checkout."""
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return "none"
    return f"{commit}+changes" if _git(folder, "status", "--porcelain") else commit


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
