"""The contract checks of one component, made as a run makes it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from linerefine.config import Component, Options
from linerefine.discovery import Kind
from linerefine.errors import ConfigError, DataError, LineRefineError
from linerefine.hooks import Entry
from linerefine.kit.drawn import drawn_root
from linerefine.kit.findings import Finding, examine
from linerefine.registry import Registry
from linerefine.testing import check_loader, check_metric, check_simulator
from linerefine.testing.demands import demand

__all__ = ["check_component"]

LIGHT: Mapping[str, Any] = {
    "encoder": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": (16, 8, 8),
}
"""A network that is made and asked in a second; promises do not depend on its size."""


@dataclass(frozen=True)
class _Case:
    """A component as it is asked for."""

    registry: Registry
    kind: Kind
    entry: Entry[Any]
    options: dict[str, Any]

    def named(self, **more: Any) -> Component:  # noqa: ANN401 - options
        return Component(name=self.entry.name, options=more | self.options)


def check_component(
    registry: Registry, kind: Kind, name: str, options: Mapping[str, Any]
) -> Iterator[Finding]:
    """Iterate over what the checks of a component find.

    Parameters
    ----------
    registry : Registry
        Makes it.
    kind, name : str
        Which one; no experiment and no study.
    options : mapping
        Its options, as far as they are not left at their defaults.
    """
    try:
        entry = registry.entry(kind, name)
    except LineRefineError as error:  # offered twice
        yield Finding(kind, name, "is offered once", str(error))
        return
    case = _Case(registry, kind, entry, dict(options))
    package = str(getattr(entry.factory, "__module__", "")).partition(".")[0]
    for what, check in _CHECKS[kind].items():
        yield examine(kind, name, what, partial(_with_remedy, check, case), package)


def _check_entry(case: _Case) -> None:
    entry = case.entry
    demand(
        entry.summary.strip() and "\n" not in entry.summary,
        f"its summary is {entry.summary!r}, expected one line of text for `linerefine plugins`.",
    )
    demand(
        entry.options.model_config.get("extra") == "forbid",
        f"{entry.options.__name__} takes unknown options, so that misspelt ones are lost; leave "
        f"`extra` as linerefine.Options sets it.",
    )
    try:
        defaults = entry.options()
    except ValidationError:  # some have to be given
        return
    saved = defaults.model_dump(mode="json")
    demand(
        entry.options.model_validate(saved) == defaults,
        f"the defaults of {entry.options.__name__} differ once saved and read again; use types "
        f"that JSON keeps, or a validator that makes them again.",
    )


def _with_remedy(check: Callable[[_Case], None], case: _Case) -> None:
    """Run a check; where it fails for want of an option, say how to give it."""
    try:
        check(case)
    except (ConfigError, DataError) as error:
        fields = case.entry.options.model_fields
        wanted = {name for name, field in fields.items() if field.is_required()}
        wanted |= {"root"} & set(fields) if isinstance(error, DataError) else set()
        absent = sorted(wanted - set(case.options))
        if not absent:
            raise
        told = " ".join(f"--options {n}={'DIR' if n == 'root' else 'VALUE'}" for n in absent)
        msg = f"{error} Pass {told}."
        raise type(error)(msg) from error


def _check_loader(case: _Case) -> None:
    with drawn_root(case.registry, case.entry, case.options) as options:
        check_loader(case.registry.make_loader(case.named(**options)))


def _check_simulator(case: _Case) -> None:
    check_simulator(case.registry.make_simulator(case.named()))


def _check_metric(case: _Case) -> None:
    check_metric(case.registry.make_metric(case.named()))


def _check_refiner(case: _Case, channels: int) -> None:
    from linerefine.testing import check_refiner  # torch: seconds

    component = case.named(**_light(case.entry.options))
    check_refiner(case.registry.make_refiner(component, channels), channels=channels)


def _check_travels(case: _Case) -> None:
    """Demand that a component can be sent to another process, as ``--jobs`` does."""
    make = {
        "simulator": case.registry.make_simulator,
        "metric": case.registry.make_metric,
    }[case.kind]
    made: object = make(case.named())
    who = type(made).__name__
    copies, reason = [], ""
    try:
        copies = [pickle.loads(pickle.dumps(made)), copy.deepcopy(made)]
    except Exception as error:  # whatever else it is, it is the finding
        reason = str(error)
    demand(
        copies,
        f"{who} cannot be pickled ({reason}); keep no open files, generators or functions "
        f"defined inside functions, and let its class be importable by name.",
    )
    for each in copies:
        demand(type(each) is type(made), f"{who} comes back as {type(each).__name__}.")


def _light(options: type[Options]) -> dict[str, Any]:
    """Return options with a small network, where there is one, as far as its model goes."""
    if "network" not in options.model_fields:
        return {}
    for network in (LIGHT, {name: LIGHT[name] for name in ("encoder", "encoder_depth")}):
        try:
            options.model_validate({"network": network})
        except ValidationError:
            continue
        return {"network": network}
    return {}


_CHECKS: Mapping[Kind, Mapping[str, Callable[[_Case], None]]] = {
    "loader": {
        "entry and options": _check_entry,
        "names and samples of every split": _check_loader,
    },
    "simulator": {
        "entry and options": _check_entry,
        "strokes": _check_simulator,
        "other processes": _check_travels,
    },
    "refiner": {
        "entry and options": _check_entry,
        "answers, 1 channel": partial(_check_refiner, channels=1),
        "answers, 3 channels": partial(_check_refiner, channels=3),
    },
    "metric": {
        "entry and options": _check_entry,
        "counts and scores": _check_metric,
        "other processes": _check_travels,
    },
}
"""What is checked of each kind of component, and what a table calls it."""
