"""For tests of plugins: drawn samples, stand-ins for components, contract checks.

Importing this module imports no torch; `OracleRefiner`, `NoisyRefiner` and
`check_refiner` do when they are first asked for.

Examples
--------
A plugin's contract test::

    from linerefine.testing import check_loader

    def test_loader_keeps_its_promises(tmp_path):
        check_loader(Leaves(LeafOptions(root=tmp_path)))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linerefine.testing.checks import check_loader, check_metric, check_sample, check_simulator
from linerefine.testing.drawing import KINDS, drawn_sample
from linerefine.testing.fakes import DrawnLoader, FixedSimulator

if TYPE_CHECKING:
    from linerefine.testing.refiner_checks import check_refiner
    from linerefine.testing.refiners import NoisyRefiner, OracleRefiner

__all__ = [
    "KINDS",
    "DrawnLoader",
    "FixedSimulator",
    "NoisyRefiner",
    "OracleRefiner",
    "check_loader",
    "check_metric",
    "check_refiner",
    "check_sample",
    "check_simulator",
    "drawn_sample",
]

_NEEDS_TORCH = {
    "NoisyRefiner": "linerefine.testing.refiners",
    "OracleRefiner": "linerefine.testing.refiners",
    "check_refiner": "linerefine.testing.refiner_checks",
}


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first asked for."""
    if name not in _NEEDS_TORCH:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(_NEEDS_TORCH[name]), name)


def __dir__() -> list[str]:
    """List the public names, those that need torch too."""
    return sorted(__all__)
