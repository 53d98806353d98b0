"""Every example in a docstring of the core gives what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

import linerefine

PACKAGE = Path(linerefine.__file__).parent


def modules_with_examples() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            found.append(".".join(part for part in parts if part != "__init__"))
    return found


def test_the_array_functions_have_examples() -> None:
    packages = {name.split(".")[1] for name in modules_with_examples() if "." in name}
    assert {"geometry", "metrics"} <= packages


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    done = doctest.testmod(module, extraglobs={"np": np}, optionflags=doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0
