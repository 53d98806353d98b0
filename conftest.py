"""What every test of the core and of the plugins relies on: threads, seeds, markers, caches."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

# Before NumPy or torch come in: two cores and several workers leave one thread
# each, and spinning OpenMP threads beside other load cost a factor of twenty.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
# Nothing in a test asks the network for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent
SHARED_VARIABLE = "LINEREFINE_SHARED"

# A slow machine is no failure; the same commit gives the same cases in CI.
settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def shared_folder() -> Path:
    """Return where the public data and reference values lie, if anywhere."""
    return Path(os.environ.get(SHARED_VARIABLE) or ROOT.parent / "shared")


def has_cuda() -> bool:
    """Say whether torch sees a GPU; imports torch, so ask only when a test needs one."""
    import torch

    return bool(torch.cuda.is_available())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that change what runs and what is rewritten."""
    parser.addoption("--slow", action="store_true", help="run tests marked slow too")
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite golden files; review the diff"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason."""
    reasons = {}
    if not config.getoption("--slow"):
        reasons["slow"] = "slow; run with --slow"
    if not shared_folder().is_dir():
        reasons["data"] = f"{shared_folder()} does not exist; set {SHARED_VARIABLE}"
    if any(item.get_closest_marker("gpu") for item in items) and not has_cuda():
        reasons["gpu"] = "no CUDA device"
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the public data and reference values; for tests marked data."""
    return shared_folder()


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests out of the user's cache; workers of one run share theirs."""
    if "LINEREFINE_CACHE" not in os.environ:
        base = tmp_path_factory.getbasetemp()
        base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
        os.environ["LINEREFINE_CACHE"] = str(base / "cache")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same random state, whatever ran before."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - other libraries' global state; ours uses generators
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
