"""The six hooks of linerefine. Read this first.

A plugin is a module that announces components through these hooks, and an
entry point in the group ``linerefine`` that names the module::

    # linerefine_leaves/plugin.py
    import linerefine as lr

    @lr.hookimpl
    def linerefine_loaders():
        from linerefine_leaves.loader import Leaves, LeafOptions
        yield lr.Entry("leaves", "Scanned leaf veins, 600 dpi", Leaves, LeafOptions)

    # pyproject.toml
    [project.entry-points.linerefine]
    leaves = "linerefine_leaves.plugin"

Hooks are called once, at start-up. They should import no more than they must:
give a factory that imports torch when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import pluggy

from linerefine.config import ExperimentConfig, Options

if TYPE_CHECKING:
    # NumPy and torch: a fifth of a second and three, on the way to `linerefine plugins`.
    from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
    from linerefine.refiners.base import Refiner
    from linerefine.report import Report, RunResult

__all__ = [
    "PROJECT",
    "Entry",
    "Experiment",
    "Study",
    "Variant",
    "View",
    "hookimpl",
    "hookspec",
    "linerefine_experiments",
    "linerefine_loaders",
    "linerefine_metrics",
    "linerefine_refiners",
    "linerefine_simulators",
    "linerefine_studies",
]

PROJECT = "linerefine"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One component a plugin offers.

    Parameters
    ----------
    name : str
        snake_case; what a user types.
    summary : str
        One line for ``linerefine plugins``.
    factory : callable
        ``factory(options)`` returns the component. Refiners are made by
        ``factory(options, channels=n)``, n the number of image channels.
    options : type of Options
        Model of its options; the base class takes none.
    is_additive : bool
        Of a metric the same as `linerefine.interfaces.Metric.is_additive`,
        known before it is made; means nothing for other components.
    training : nested mapping
        Of a refiner the settings, as under ``training``, that it is meant to be
        trained with. They hold where its own ``training`` table says nothing;
        means nothing for other components.
    """

    name: str
    summary: str
    factory: Callable[..., T]
    options: type[Options] = Options
    is_additive: bool = True
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A loader, simulator, refiners and settings that belong together.

    Parameters
    ----------
    name : str
        snake_case; what a user types after ``linerefine run``.
    summary : str
        One line for ``linerefine plugins``.
    defaults : ExperimentConfig
        Settings without any profile.
    profiles : mapping of str to nested mapping
        Overrides of the defaults by profile name, such as ``quick``, ``paper``.
    protocols : mapping of str to nested mapping
        What a protocol pins in addition to `linerefine.config.PROTOCOLS`.
    score_sheet : callable or None
        ``score_sheet(result)`` turns a finished run into tables of its own,
        written to the run folder beside the general ones.
    trained : callable or None
        ``trained()`` returns the folder of networks that ship with the plugin,
        as `linerefine.experiment.slim.slim_copy` lays it out. Settings name
        them ``shipped:<name>``, and ``linerefine predict`` takes them without
        ``--run``.
    """

    name: str
    summary: str
    defaults: ExperimentConfig
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    protocols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    score_sheet: Callable[[RunResult], Report] | None = None
    trained: Callable[[], Path] | None = None


View = Literal["patches", "sessions", "gain", "workload", "widths", "strip", "training", "extremes"]
"""What a study shows: scores on patches, sessions on whole images, gain over interactions,
effort by hand and with a refiner, stroke widths, one tile stroke by stroke, learning curves,
the images with most and least gain."""


@dataclass(frozen=True)
class Variant:
    """A refiner of a study: the experiment's first one, but for some settings.

    Parameters
    ----------
    label : str
        What tables call it.
    changes : nested mapping
        Laid over the experiment's refiner; keys as in
        `linerefine.config.RefinerConfig`.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A table or figure that ``linerefine reproduce`` makes, with whatever data.

    Parameters
    ----------
    name : str
        snake_case; what a user types after ``linerefine reproduce``.
    summary : str
        One line for ``linerefine plugins``.
    source : str
        What it reproduces, such as ``Fusing Forces, Table 1``.
    experiment : str
        What it runs on unless told otherwise.
    views : tuple of str
        What its report shows, in order.
    variants : tuple of Variant
        The refiners that are compared; empty: the experiment's own.
    settings : nested mapping
        Overrides of the experiment, after its profile.
    profiles : mapping of str to nested mapping
        Further overrides by the profile that is used, such as fewer repeats for ``quick``.
    protocols : tuple of str
        By whose rules, in order; networks are trained under the first and used under all.
    published : mapping of str to tuple of mapping
        View -> rows of published numbers, shown beneath ours: column -> number or text.
    caveats : str
        What to keep in mind where the numbers stand; paragraphs parted by empty lines.
    """

    name: str
    summary: str
    source: str
    experiment: str
    views: tuple[View, ...]
    variants: tuple[Variant, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    protocols: tuple[str, ...] = ("paper", "independent")
    published: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    caveats: str = ""


@hookspec
def linerefine_loaders() -> Iterable[Entry[ModalityLoader]]:
    """Return the loaders this plugin offers."""
    raise NotImplementedError  # a specification; pluggy never calls it


@hookspec
def linerefine_simulators() -> Iterable[Entry[UserSimulator]]:
    """Return the user simulators this plugin offers."""
    raise NotImplementedError


@hookspec
def linerefine_refiners() -> Iterable[Entry[Refiner]]:
    """Return the refiners this plugin offers."""
    raise NotImplementedError


@hookspec
def linerefine_metrics() -> Iterable[Entry[Metric]]:
    """Return the metrics this plugin offers."""
    raise NotImplementedError


@hookspec
def linerefine_experiments() -> Iterable[Experiment]:
    """Return the experiments this plugin offers."""
    raise NotImplementedError


@hookspec
def linerefine_studies() -> Iterable[Study]:
    """Return the studies this plugin offers."""
    raise NotImplementedError
