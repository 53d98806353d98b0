"""What may import what: the contracts in pyproject.toml, and what the start-up path pulls in."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ("linerefine_etruscan_mirrors", "linerefine_retina_demo")

# What a plugin may import; everything else may change between releases.
PUBLIC_MODULES = {
    "linerefine",
    "linerefine.cache",
    "linerefine.caches",
    "linerefine.config",
    "linerefine.errors",
    "linerefine.evaluation.effort",
    "linerefine.evaluation.seconds",
    "linerefine.evaluation.sessions",
    "linerefine.evaluation.statistics",
    "linerefine.evaluation.summary",
    "linerefine.hooks",
    "linerefine.interfaces",
    "linerefine.machine",
    "linerefine.report",
    "linerefine.samples",
    "linerefine.testing",
    "linerefine.types",
}
PUBLIC_PACKAGES = (
    "linerefine.geometry",
    "linerefine.loaders",
    "linerefine.metrics",
    "linerefine.refiners",
    "linerefine.simulators",
)
SLOW = {
    "matplotlib",
    "mlflow",
    "pandas",
    "segmentation_models_pytorch",
    "skimage",
    "timm",
    "torch",
    "torchvision",
    "transformers",
}
QUICK = [
    "linerefine",
    "linerefine.hooks",
    "linerefine.builtin",
    "linerefine.registry",
    "linerefine.cli",
    *[f"{plugin}.{name}" for plugin in PLUGINS for name in ("plugin", "options")],
]


def is_public(module: str) -> bool:
    inside = module.startswith(tuple(f"{name}." for name in PUBLIC_PACKAGES))
    return module in PUBLIC_MODULES or module in PUBLIC_PACKAGES or inside


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "linerefine", *PLUGINS, exclude_type_checking_imports=True, cache_dir=None
    )


def test_the_contracts_hold() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(script), "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_public_modules_only(graph: grimp.ImportGraph, plugin: str) -> None:
    private = {
        f"{module} imports {imported}"
        for module in {plugin} | graph.find_descendants(plugin)
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.split(".")[0] == "linerefine" and not is_public(imported)
    }
    assert private == set()


@pytest.mark.parametrize("module", QUICK)
def test_start_up_imports_nothing_slow(module: str) -> None:
    if find_spec(module) is None and module.endswith(".options"):
        pytest.skip("this plugin keeps its options elsewhere")
    code = f"import sys, {module}; print(*sorted({SLOW!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == []
