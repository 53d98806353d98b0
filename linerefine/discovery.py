"""From installed distributions to what each plugin offers.

One plugin is looked at by itself, with a pluggy manager of its own: whatever
is wrong with it becomes a `PluginError` that names it and leaves the rest
usable.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias, get_args

import pluggy

from linerefine import hooks
from linerefine.config import ExperimentConfig, Options
from linerefine.errors import PluginError
from linerefine.hooks import Entry, Experiment, Study, View
from linerefine.mistakes import did_you_mean

__all__ = [
    "GROUP",
    "HOOKS",
    "KINDS",
    "Kind",
    "Offer",
    "Plugin",
    "folded",
    "installed_plugins",
    "offers_of",
    "plugin_from",
]

logger = logging.getLogger(__name__)

GROUP = "linerefine"
"""The entry-point group that plugins announce themselves in."""

Kind: TypeAlias = Literal["loader", "simulator", "refiner", "metric", "experiment", "study"]

HOOKS: Mapping[Kind, str] = {
    "loader": "linerefine_loaders",
    "simulator": "linerefine_simulators",
    "refiner": "linerefine_refiners",
    "metric": "linerefine_metrics",
    "experiment": "linerefine_experiments",
    "study": "linerefine_studies",
}
"""What a plugin may offer, and the hook of each kind."""

KINDS: tuple[Kind, ...] = tuple(HOOKS)

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Plugin:
    """Something that may implement hooks, and where it comes from.

    Parameters
    ----------
    name : str
        Name of its entry point.
    distribution, version : str
        The installed distribution it belongs to; the version may be empty.
    load : callable
        Returns the module (or object) whose marked functions are the hooks.
    """

    name: str
    distribution: str
    version: str
    load: Callable[[], object]

    @property
    def source(self) -> str:
        """Distribution and version, such as ``linerefine-foo 0.3``."""
        return f"{self.distribution} {self.version}".rstrip()

    def __str__(self) -> str:
        return self.name if self.name == self.source else f"{self.name} ({self.source})"


@dataclass(frozen=True)
class Offer:
    """One component, experiment or study and the plugin that offers it."""

    kind: Kind
    item: Entry[Any] | Experiment | Study
    plugin: Plugin


def installed_plugins() -> list[Plugin]:
    """Return the core's own plugin, then every installed one, sorted by name."""
    core = Plugin(
        name="linerefine",
        distribution="linerefine",
        version=_version("linerefine"),
        load=lambda: import_module("linerefine.builtin"),
    )
    found = [
        Plugin(
            name=entry_point.name,
            distribution=entry_point.dist.name if entry_point.dist else entry_point.module,
            version=entry_point.dist.version if entry_point.dist else "",
            load=entry_point.load,
        )
        for entry_point in metadata.entry_points(group=GROUP)
    ]
    return [core, *sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))]


def folded(name: str) -> str:
    """Return a name as packaging compares it: ``-``, ``_``, ``.`` and case do not count."""
    return re.sub(r"[-_.]+", "-", name).lower()


def plugin_from(thing: object) -> Plugin:
    """Return a module or any other object that implements hooks as a plugin."""
    if isinstance(thing, Plugin):
        return thing
    name = str(getattr(thing, "__name__", type(thing).__name__))
    if isinstance(thing, ModuleType):
        package = name.partition(".")[0]
        return Plugin(name, package, _version(package), lambda: thing)
    return Plugin(name, name, "", lambda: thing)


def offers_of(plugin: Plugin) -> list[Offer]:
    """Load one plugin, call its hooks and check what they return.

    Raises
    ------
    PluginError
        If it cannot be imported, misspells a hook, raises, or returns what is
        no proper entry; says which plugin and where.
    """
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    try:
        implementation = plugin.load()
    except (Exception, SystemExit) as error:  # a plugin may raise anything when imported
        raise _broken(plugin, "cannot be imported", error) from error
    _register(manager, plugin, implementation)
    offers = [offer for kind in KINDS for offer in _offers_of_kind(manager, plugin, kind)]
    _check_once(plugin, offers)
    return offers


def _register(manager: pluggy.PluginManager, plugin: Plugin, implementation: object) -> None:
    """Register a plugin and refuse hooks that no specification knows."""
    try:
        manager.register(implementation, plugin.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(_misspelt(manager, plugin) or _one_line(plugin, error)) from error
    known = list(HOOKS.values())
    marked = {caller.name for caller in manager.get_hookcallers(implementation) or ()}
    functions = {name for name in known if callable(getattr(implementation, name, None))}
    unmarked = sorted(functions - marked)
    if marked and not unmarked:
        return
    if unmarked:
        msg = f"plugin {plugin}: {unmarked[0]} is not marked with @linerefine.hookimpl."
    else:
        msg = (
            f"plugin {plugin} implements no hook. Mark a function named after one of "
            f"{', '.join(known)} with @linerefine.hookimpl."
        )
    raise PluginError(msg)


def _misspelt(manager: pluggy.PluginManager, plugin: Plugin) -> str:
    known = list(HOOKS.values())
    for name in sorted(vars(manager.hook)):
        if name.startswith("_") or name in known:
            continue
        near = did_you_mean(name, known).replace("Did you mean '", "did you mean ")
        meant = near.replace("'?", "?") or f"the hooks are {', '.join(known)}."
        return f"plugin {plugin} implements {name}; {meant}"
    return ""


def _one_line(plugin: Plugin, error: Exception) -> str:
    return f"plugin {plugin} does not fit its hook: {' '.join(str(error).split())}."


def _offers_of_kind(manager: pluggy.PluginManager, plugin: Plugin, kind: Kind) -> Iterator[Offer]:
    hook = HOOKS[kind]
    try:
        results = getattr(manager.hook, hook)()
        items = [item for result in results for item in _items(result)]
    except (Exception, SystemExit) as error:  # a plugin may raise anything in a hook
        raise _broken(plugin, f"raises in {hook}", error) from error
    for item in items:
        reason = _unfit(item, kind)
        if reason:
            msg = f"plugin {plugin}: {hook} {reason}."
            raise PluginError(msg)
        yield Offer(kind, item, plugin)


def _items(result: object) -> list[Any]:
    return list(result) if isinstance(result, Iterable) else [result]


def _unfit(item: object, kind: Kind) -> str:
    """Say what is wrong with something a hook returned; empty if nothing is."""
    wanted = {"experiment": Experiment, "study": Study}.get(kind, Entry)
    if not isinstance(item, wanted):
        return f"returns {item!r:.60}, expected linerefine.{wanted.__name__} objects"
    offer: Any = item  # a plugin need not keep to the types
    if not isinstance(offer.name, str) or not _SNAKE_CASE.fullmatch(offer.name):
        return f"returns the name {offer.name!r}, expected snake_case such as 'my_{kind}'"
    if not isinstance(offer.summary, str):
        return f"gives '{offer.name}' a summary that is no text"
    if kind == "experiment":
        fits = isinstance(offer.defaults, ExperimentConfig)
        return "" if fits else f"gives '{offer.name}' defaults that are no ExperimentConfig"
    if kind == "study":
        unknown = sorted(set(offer.views) - set(get_args(View)))
        return f"gives '{offer.name}' unknown views: {', '.join(unknown)}" if unknown else ""
    if not callable(offer.factory):
        return f"gives '{offer.name}' a factory that cannot be called"
    if not (isinstance(offer.options, type) and issubclass(offer.options, Options)):
        return f"gives '{offer.name}' options that are no subclass of linerefine.Options"
    return ""


def _check_once(plugin: Plugin, offers: Iterable[Offer]) -> None:
    seen = set()
    for offer in offers:
        key = offer.kind, offer.item.name
        if key in seen:
            msg = f"plugin {plugin} offers {offer.kind} '{offer.item.name}' twice."
            raise PluginError(msg)
        seen.add(key)


def _broken(plugin: Plugin, what: str, error: BaseException) -> PluginError:
    """Return the error for a plugin whose own code raised; the log keeps the traceback."""
    logger.debug("plugin %s %s", plugin, what, exc_info=error)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")  # the import system's own
        and "importlib" not in Path(frame.filename).parts
        and frame.filename != __file__
    ]
    core = Path(__file__).parent  # a misspelt name of the core is found here, and written there
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(core)] or frames
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    said = " ".join(f"{type(error).__name__}: {reason}".split())
    return PluginError(f"plugin {plugin} {what}: {said}{place}.")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
