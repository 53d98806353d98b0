"""The components that the documentation shows keep the promises it states."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import linerefine as lr
from linerefine.configure import resolve
from linerefine.testing import check_metric, check_refiner, check_simulator

ROOT = Path(__file__).resolve().parent.parent
LEAVES = ROOT / "docs" / "tutorial" / "leaves"


def first_block(page: str, count: int = 1) -> dict[str, Any]:
    """Run the first Python block (or blocks) of a page and return what it defines."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:count]
    assert len(blocks) == count
    defined: dict[str, Any] = {"__name__": page}
    for code in blocks:
        exec(compile(code, page, "exec"), defined)
    return defined


def test_the_simulator_keeps_its_promises() -> None:
    defined = first_block("add-a-simulator.md")
    (entry,) = defined["linerefine_simulators"]()
    check_simulator(entry.factory(lr.Options()))


@pytest.mark.parametrize(("block", "is_additive"), [(1, True), (2, False)])
def test_the_metrics_keep_their_promises(block: int, is_additive: bool) -> None:
    defined = first_block("add-a-metric.md", block)  # each defines the hook anew
    (entry,) = defined["linerefine_metrics"]()
    metric = entry.factory(lr.Options())
    assert metric.is_additive == entry.is_additive == is_additive
    check_metric(metric)


def test_the_refiner_keeps_its_promises() -> None:
    check_refiner(first_block("add-a-refiner.md")["TwoBranches"](lr.Options(), 2), channels=2)


def test_the_refiner_with_several_answers_keeps_its_promises() -> None:
    refiner = first_block("add-a-refiner.md", 2)["TwoSteps"](lr.Options(), 2)
    check_refiner(refiner, channels=2)


def test_the_refiner_that_looks_first_keeps_its_promises() -> None:
    refiner = first_block("add-a-refiner.md", 3)["LooksFirst"](lr.Options(), 2)
    assert refiner.revises
    check_refiner(refiner, channels=2)


def test_the_comparisons_are_configurations(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / "compare-refiners.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    keys = []
    for block in blocks:
        file = tmp_path / "compare.toml"
        file.write_text(block, encoding="utf-8")
        config = resolve(lr.Registry.discover(), "retina_demo", profile="quick", file=file)
        encoders = {refiner.options["network"]["encoder"] for refiner in config.refiners}
        assert encoders == {config.segmenter.network.encoder}
        keys.append([refiner.key for refiner in config.refiners])
    assert keys == [
        ["unet", "prediction only", "interaction only", "distance", "gaussian"],
        ["strokes", "clicks", "scribbles"],
    ]


def forget_leaves() -> None:
    """Drop the module: other tests have a fake distribution of the same name."""
    for name in [name for name in sys.modules if name.split(".")[0] == "linerefine_leaves"]:
        del sys.modules[name]


@pytest.fixture
def installed_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tutorial's plugin as `pip install -e` leaves it."""
    record = tmp_path / "linerefine_leaves-0.1.0.dist-info"
    record.mkdir()
    lines = "Metadata-Version: 2.1\nName: linerefine-leaves\nVersion: 0.1.0\n"
    (record / "METADATA").write_text(lines, encoding="utf-8")
    toml = (LEAVES / "pyproject.toml").read_text(encoding="utf-8")
    entry_point = re.search(r'^leaves = "(.+)"$', toml, re.MULTILINE)
    assert entry_point is not None
    points = f"[linerefine]\nleaves = {entry_point[1]}\n"
    (record / "entry_points.txt").write_text(points, encoding="utf-8")
    for place in (tmp_path, LEAVES):
        monkeypatch.syspath_prepend(str(place))
    forget_leaves()
    yield tmp_path
    forget_leaves()


def test_the_tutorials_plugin_is_under_sixty_lines() -> None:
    assert len((LEAVES / "linerefine_leaves.py").read_text().splitlines()) < 60


def test_the_tutorials_plugin_is_found(installed_leaves: Path) -> None:
    (found,) = [info for info in lr.Registry.discover().describe() if info.name == "leaves"]
    assert found.problem is None
    assert found.provides == {"loaders": ("leaves",), "experiments": ("leaves",)}


def test_the_tutorials_leaves_can_be_drawn_and_read(installed_leaves: Path) -> None:
    script = str(LEAVES / "draw_leaves.py")
    subprocess.run([sys.executable, script, str(installed_leaves / "leaves")], check=True)
    component = lr.Component(name="leaves", options={"root": installed_leaves / "leaves"})
    loader = lr.Registry.discover().make_loader(component)
    assert [len(loader.names(split)) for split in ("train", "val", "test")] == [6, 2, 2]
    sample = loader.load(loader.names("test")[0])
    assert sample.lines is not None
    assert 0.01 < sample.lines.mean() < 0.3


def test_the_tutorials_contract_test_passes(installed_leaves: Path) -> None:
    path = f"import sys; sys.path.insert(0, {str(LEAVES)!r}); import pytest; "
    run = f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {str(LEAVES / 'tests')!r}]))"
    done = subprocess.run([sys.executable, "-c", path + run], cwd=installed_leaves, check=False)
    assert done.returncode == 0
