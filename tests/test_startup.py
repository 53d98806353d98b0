"""`linerefine --help` and `linerefine plugins` answer at once, and why they can."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

SLOW = (
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "scipy",
    "segmentation_models_pytorch",
    "skimage",
    "timm",
    "torch",
    "torchvision",
    "transformers",
)
QUICK = [["--help"], ["run", "--help"], ["--version"], ["plugins"], ["plugins", "--json"]]
AT_MOST = 0.6  # seconds
TRIES = 5


@pytest.mark.parametrize("arguments", [*QUICK, ["config", "show", "folder", "--profile", "quick"]])
def test_nothing_slow_is_imported(arguments):
    code = f"""
import sys
from linerefine.cli import main
code = main({arguments!r})
print(*sorted(set({SLOW!r}) & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == ""


def test_help_needs_no_configuration_at_all():
    code = """
import sys
from linerefine.cli import main
main(["run", "--help"])
assert not {"numpy", "pluggy", "rich", "linerefine.config"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="the processor time of children is not told")
@pytest.mark.parametrize("arguments", [["--help"], ["plugins"]])
def test_the_answer_comes_in_time(arguments, compiled):
    # Processor time, and the best of several: other load on the machine is not ours,
    # nor is the first one, which compiles what every installation has compiled.
    times = []
    for _ in range(TRIES):
        times.append(processor_time([sys.executable, "-m", "linerefine", *arguments], compiled))
        if times[-1] < AT_MOST:
            return
    pytest.fail(f"took {min(times):.2f} s of processor time, expected < {AT_MOST} s")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment whose Pythons keep their bytecode, in a folder of their own."""
    kept = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def processor_time(command: list[str], environment: Mapping[str, str]) -> float:
    """Return the seconds that a command kept a processor busy."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
