"""Which components there are: discovery of plugins, conflicts, lookup by name.

There is no global registry. Each command discovers once and hands the result
on; each test makes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from pydantic import ValidationError

from linerefine.config import Component, Options
from linerefine.discovery import (
    HOOKS,
    KINDS,
    Kind,
    Offer,
    Plugin,
    folded,
    installed_plugins,
    offers_of,
    plugin_from,
)
from linerefine.errors import ConflictError, PluginError, UnknownNameError
from linerefine.hooks import Entry, Experiment, Study
from linerefine.mistakes import Where, did_you_mean, mistakes_in, refusal

if TYPE_CHECKING:
    from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
    from linerefine.refiners.base import Refiner

__all__ = ["PluginInfo", "Registry"]

_Recipe: TypeAlias = tuple[Callable[..., "Registry"], tuple[Any, ...]]


@dataclass(frozen=True)
class PluginInfo:
    """What ``linerefine plugins`` says of one plugin.

    Parameters
    ----------
    name : str
        Name of its entry point, with hyphens.
    distribution, version : str
        The installed distribution it belongs to.
    provides : mapping of str to tuple of str
        Names by kind (``loaders``, ``simulators``, ...), sorted; kinds it
        offers nothing of are absent.
    problem : str or None
        Why it cannot be used, or which of its names another one provides too.
    """

    name: str
    distribution: str
    version: str
    provides: Mapping[str, tuple[str, ...]]
    problem: str | None = None


class Registry:
    """Components and experiments of some plugins, by name.

    Parameters
    ----------
    plugins : iterable of object
        Modules or objects that implement hooks. The core's own components
        come with `linerefine.builtin`; nothing is added that is not named.

    Attributes
    ----------
    problems : tuple of str
        One sentence for each plugin that cannot be used; the rest can.
    conflicts : tuple of str
        One sentence for each name that two plugins provide.

    Notes
    -----
    Nothing is raised here, so that ``linerefine plugins`` can list what is
    wrong. Commands that need components call `check` first.
    """

    problems: tuple[str, ...]
    conflicts: tuple[str, ...]

    def __init__(self, plugins: Iterable[object]) -> None:
        things = tuple(plugins)
        self._recipe: _Recipe = type(self), (things,)
        self._plugins = [plugin_from(thing) for thing in things]
        self._broken: dict[int, str] = {}
        self._offers: dict[Kind, dict[str, list[Offer]]] = {kind: {} for kind in KINDS}
        for index, plugin in enumerate(self._plugins):
            try:
                offers = offers_of(plugin)
            except PluginError as error:
                self._broken[index] = str(error)
                continue
            for offer in offers:
                self._offers[offer.kind].setdefault(offer.item.name, []).append(offer)
        self.problems = tuple(self._broken.values())
        self.conflicts = tuple(
            _conflict(offers)
            for by_name in self._offers.values()
            for offers in by_name.values()
            if len(offers) > 1
        )

    @classmethod
    def discover(cls, blocked: Collection[str] = ()) -> Self:
        """Return the registry of the core and every installed plugin.

        Parameters
        ----------
        blocked : collection of str
            Distributions or entry points to leave out; ``-`` and ``_`` are alike.

        Raises
        ------
        UnknownNameError
            If a blocked name is that of no installed plugin.
        """
        plugins = installed_plugins()
        names = {folded(name) for name in blocked}
        known = {plugin.distribution for plugin in plugins} | {plugin.name for plugin in plugins}
        for name in blocked:
            if folded(name) not in {folded(other) for other in known}:
                raise UnknownNameError(_unknown("plugin", name, known))
        found = cls(
            plugin
            for plugin in plugins
            if not {folded(plugin.distribution), folded(plugin.name)} & names
        )
        found._recipe = cls.discover, (tuple(blocked),)
        return found

    def __reduce__(self) -> _Recipe:
        """Make it again in another process from what is installed there, or from the plugins."""
        return self._recipe

    def check(self) -> None:
        """Refuse to go on if a name has two providers.

        Raises
        ------
        ConflictError
            Naming every such name, its providers and the remedy.
        """
        if self.conflicts:
            raise ConflictError("\n".join(self.conflicts))

    def loader(self, name: str) -> Entry[ModalityLoader]:
        """Return a loader's entry; UnknownNameError if there is none."""
        return self._entry("loader", name)

    def simulator(self, name: str) -> Entry[UserSimulator]:
        """Return a user simulator's entry; UnknownNameError if there is none."""
        return self._entry("simulator", name)

    def refiner(self, name: str) -> Entry[Refiner]:
        """Return a refiner's entry; UnknownNameError if there is none."""
        return self._entry("refiner", name)

    def metric(self, name: str) -> Entry[Metric]:
        """Return a metric's entry; UnknownNameError if there is none."""
        return self._entry("metric", name)

    def experiment(self, name: str) -> Experiment:
        """Return an experiment; UnknownNameError if there is none."""
        return cast("Experiment", self._offer("experiment", name).item)

    def study(self, name: str) -> Study:
        """Return a study; UnknownNameError if there is none."""
        return cast("Study", self._offer("study", name).item)

    def studies(self) -> dict[str, Study]:
        """Return every study by name."""
        offers = self._uncontested("study")
        return {name: cast("Study", offer.item) for name, offer in offers.items()}

    def entry(self, kind: Kind, name: str) -> Entry[Any]:
        """Return the entry of any kind of component; UnknownNameError if there is none."""
        return self._entry(kind, name)

    def loaders(self) -> dict[str, Entry[ModalityLoader]]:
        """Return every loader's entry by name."""
        return self._entries("loader")

    def simulators(self) -> dict[str, Entry[UserSimulator]]:
        """Return every user simulator's entry by name."""
        return self._entries("simulator")

    def refiners(self) -> dict[str, Entry[Refiner]]:
        """Return every refiner's entry by name."""
        return self._entries("refiner")

    def metrics(self) -> dict[str, Entry[Metric]]:
        """Return every metric's entry by name."""
        return self._entries("metric")

    def experiments(self) -> dict[str, Experiment]:
        """Return every experiment by name."""
        offers = self._uncontested("experiment")
        return {name: cast("Experiment", offer.item) for name, offer in offers.items()}

    def make_loader(self, component: Component, where: Where = ("loader",)) -> ModalityLoader:
        """Return the loader a configuration names.

        Raises
        ------
        UnknownNameError
            If nobody provides it.
        ConfigError
            If its options are wrong; names them as ``<where>.options.<option>``.
        PluginError
            If its factory returns something else.
        """
        from linerefine.interfaces import ModalityLoader  # NumPy only where used

        loader: ModalityLoader = self._made("loader", component, where, ModalityLoader)
        return loader

    def make_simulator(self, component: Component, where: Where = ("simulator",)) -> UserSimulator:
        """Return the user simulator a configuration names; raises as `make_loader`."""
        from linerefine.interfaces import UserSimulator

        simulator: UserSimulator = self._made("simulator", component, where, UserSimulator)
        return simulator

    def make_metric(self, component: Component, where: Where = ()) -> Metric:
        """Return the metric a configuration names; raises as `make_loader`.

        Raises PluginError also if it is additive and its entry denies it, or the
        other way about.
        """
        from linerefine.interfaces import Metric

        place = where or ("metrics", component.name)
        metric: Metric = self._made("metric", component, place, Metric)
        announced = self.metric(component.name).is_additive
        if metric.is_additive != announced:
            source = self._offer("metric", component.name).plugin.source
            msg = (
                f"metric '{component.name}' of {source} has is_additive = {metric.is_additive}, "
                f"its Entry {announced}; both must say the same."
            )
            raise PluginError(msg)
        return metric

    def make_refiner(self, component: Component, channels: int, where: Where = ()) -> Refiner:
        """Return the refiner a configuration names; raises as `make_loader`.

        Parameters
        ----------
        component : Component
            Name and options.
        channels : int
            Number of image channels.
        where : tuple of str and int
            Path of the component in the configuration, for messages.
        """
        from linerefine.refiners.base import Refiner  # torch only where used

        place = where or ("refiners", component.name)
        refiner: Refiner = self._made("refiner", component, place, Refiner, channels=channels)
        return refiner

    def check_options(self, kind: Kind, component: Component, where: Where) -> Options:
        """Return a component's options as its own model; raises as `make_loader`."""
        entry = self._entry(kind, component.name)
        try:
            return entry.options.model_validate(component.options)
        except ValidationError as error:
            path = (*where, "options")
            mistakes = mistakes_in(error, entry.options, component.options, path)
            raise refusal([mistake.line() for mistake in mistakes]) from error

    def describe(self) -> list[PluginInfo]:
        """Return every plugin, usable or not, in order of discovery."""
        return [self._describe(index) for index in range(len(self._plugins))]

    def _describe(self, index: int) -> PluginInfo:
        plugin = self._plugins[index]
        provides: dict[str, tuple[str, ...]] = {}
        contested = []
        for kind, by_name in self._offers.items():
            mine = {n: offers for n, offers in by_name.items() if _has(offers, plugin)}
            contested += [_conflict(offers) for offers in mine.values() if len(offers) > 1]
            if mine:
                provides[HOOKS[kind].removeprefix("linerefine_")] = tuple(sorted(mine))
        return PluginInfo(
            name=plugin.name.replace("_", "-"),
            distribution=plugin.distribution,
            version=plugin.version,
            provides=provides,
            problem=self._broken.get(index) or " ".join(contested) or None,
        )

    def _made(
        self, kind: Kind, component: Component, where: Where, expected: type, **more: int
    ) -> Any:  # noqa: ANN401 - of the kind asked for
        options = self.check_options(kind, component, where)
        made = self._entry(kind, component.name).factory(options, **more)
        if not isinstance(made, expected):
            source = self._offer(kind, component.name).plugin.source
            msg = (
                f"{kind} '{component.name}' of {source} is made as {type(made).__name__}, "
                f"expected a {expected.__name__}."
            )
            raise PluginError(msg)
        return made

    def _entry(self, kind: Kind, name: str) -> Entry[Any]:
        return cast("Entry[Any]", self._offer(kind, name).item)

    def _entries(self, kind: Kind) -> dict[str, Entry[Any]]:
        offers = self._uncontested(kind)
        return {name: cast("Entry[Any]", offer.item) for name, offer in offers.items()}

    def _offer(self, kind: Kind, name: str) -> Offer:
        offers = self._offers[kind].get(name, [])
        if not offers:
            raise UnknownNameError(_unknown(kind, name, self._offers[kind]))
        if len(offers) > 1:
            raise ConflictError(_conflict(offers))
        return offers[0]

    def _uncontested(self, kind: Kind) -> dict[str, Offer]:
        by_name = self._offers[kind]
        return {name: offers[0] for name, offers in by_name.items() if len(offers) == 1}


def _has(offers: Sequence[Offer], plugin: Plugin) -> bool:
    return any(offer.plugin is plugin for offer in offers)


def _unknown(kind: str, name: str, available: Collection[str]) -> str:
    """Return the sentence for a name nobody registered."""
    parts = [
        f"no {kind} named '{name}'.",
        did_you_mean(name, available),
        f"Available: {', '.join(sorted(available)) or 'none'}.",
    ]
    return " ".join(part for part in parts if part)


def _conflict(offers: Sequence[Offer]) -> str:
    """Return the sentence for a name with several providers."""
    plugins = [offer.plugin for offer in offers]
    same = len({plugin.distribution for plugin in plugins}) < len(plugins)
    sources = [str(plugin) if same else plugin.source for plugin in plugins]
    # The core comes first, so the last one can be left out without losing it.
    remedy = plugins[-1].name if same else plugins[-1].distribution
    return (
        f"{offers[0].kind} '{offers[0].item.name}' is provided by {' and '.join(sources)}. "
        f"Uninstall one or pass --block {remedy}."
    )
