"""Every promise of everything that a plugin offers, checked as it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from linerefine.kit.choosing import choose, fitting, parse_options
from linerefine.kit.components import check_component
from linerefine.kit.findings import Finding, examine
from linerefine.kit.settings import check_experiment, check_study
from linerefine.registry import PluginInfo, Registry
from linerefine.testing.demands import demand

__all__ = ["check_plugin"]

HEAVY = (
    "matplotlib",
    "mlflow",
    "segmentation_models_pytorch",
    "timm",
    "torch",
    "torchvision",
    "transformers",
)
"""Each takes seconds to import, which no plugin may cost those who only list what there is."""

_IMPORTED = """
import sys
from linerefine.discovery import folded, installed_plugins, offers_of
for plugin in installed_plugins():
    if (folded(plugin.name), plugin.distribution) == (folded(sys.argv[1]), sys.argv[2]):
        offers_of(plugin)
print(*[name for name in sys.argv[3:] if name in sys.modules])
"""


def check_plugin(
    registry: Registry,
    name: str,
    options: Sequence[str] = (),
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """Return what every contract check says of a plugin, or of the components of a name.

    Parameters
    ----------
    registry : Registry
        What is installed.
    name : str
        Of a plugin, else of anything registered.
    options : sequence of str
        ``K=V``, for every component that has an option K.
    announce : callable
        Told of each thing before it is looked at.

    Returns
    -------
    findings : list of Finding
        Not empty. Loaders without data of their own that read folders as the
        loader ``folder`` does are checked on drawn images.

    Raises
    ------
    UnknownNameError
        If nothing is called that.
    ConfigError
        If an option is not ``K=V``, or nothing that is checked has it.
    """
    given = parse_options(options)
    choice = choose(registry, name)
    fits = fitting(registry, choice, given)
    findings = [found for info in choice.plugins for found in _plugin(info)]
    for kind, offer in choice.offers:
        announce(f"{kind} {offer}")
        if kind == "experiment":
            findings += check_experiment(registry, offer, given)
        elif kind == "study":
            findings += check_study(registry, offer)
        else:
            findings += check_component(registry, kind, offer, fits[kind, offer])
    return findings


def _plugin(info: PluginInfo) -> Iterator[Finding]:
    def check_offers() -> None:
        demand(info.provides or not info.problem, info.problem or "")
        demand(info.provides, "its hooks return nothing; yield a linerefine.Entry in one of them.")

    loaded = examine("plugin", info.name, "loads and offers something", check_offers)
    yield loaded
    if not loaded.problem:
        check = partial(_check_imports, info)
        yield examine("plugin", info.name, "is listed without importing what is slow", check)


def _check_imports(info: PluginInfo) -> None:
    """Demand that listing a plugin imports nothing that takes seconds."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, info.name, info.distribution, *HEAVY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    last = (done.stderr.strip().splitlines() or ["it ended"])[-1]
    demand(done.returncode == 0, f"in a process of its own: {last}")
    heavy = done.stdout.split()
    demand(
        not heavy,
        f"announcing its components imports {', '.join(heavy)}, which every command "
        f"would wait for; import it inside the factory, which is called when it is needed.",
    )
