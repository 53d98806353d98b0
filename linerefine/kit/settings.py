"""The checks of experiments and studies: every profile and protocol makes a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from linerefine.config import ExperimentConfig
from linerefine.configure import resolve
from linerefine.configure.layers import Assignment
from linerefine.configure.resolve import can_vary
from linerefine.errors import LineRefineError
from linerefine.kit.findings import Finding, examine
from linerefine.registry import Registry
from linerefine.testing.demands import demand

__all__ = ["check_experiment", "check_study"]


def check_experiment(
    registry: Registry, name: str, given: Mapping[str, Assignment]
) -> list[Finding]:
    """Return what is found of an experiment: bare, with each profile, each protocol of its own.

    Parameters
    ----------
    registry : Registry
        Knows it, and the components it names.
    name : str
        The experiment's.
    given : mapping of str to Assignment
        Options by the text that was typed; those that its loader has are handed to it.
    """
    try:
        experiment = registry.experiment(name)
    except LineRefineError as error:  # offered twice
        return [Finding("experiment", name, "is offered once", str(error))]
    cases: dict[str, dict[str, str]] = {"settings without a profile": {"profile": ""}}
    cases |= {f"profile {profile}": {"profile": profile} for profile in experiment.profiles}
    cases |= {f"protocol {p}": {"profile": "", "protocol": p} for p in experiment.protocols}
    root = _given_to_loader(registry, experiment.defaults, given)
    return [
        examine("experiment", name, what, partial(_check_resolves, registry, name, **case, **root))
        for what, case in cases.items()
    ]


def check_study(registry: Registry, name: str) -> list[Finding]:
    """Return what is found of a study, for each protocol with every profile of its experiment.

    Profiles without a refiner, such as one that makes first predictions only, are left out of
    studies that compare variants of a refiner: `resolve` refuses them with a word why.
    """
    try:
        study = registry.study(name)
        experiment = registry.experiment(study.experiment)
    except LineRefineError as error:  # offered twice, or on nothing
        return [Finding("study", name, "is offered once, on what there is", str(error))]
    root = _given_to_loader(registry, experiment.defaults, {})

    def check(protocol: str) -> None:
        mistakes = []
        for profile in experiment.profiles or ("",):
            if not can_vary(experiment, profile, study):
                continue
            try:
                _check_resolves(
                    registry,
                    experiment.name,
                    profile=profile,
                    protocol=protocol,
                    study=study,
                    **root,
                )
            except LineRefineError as error:
                mistakes.append(f"with profile '{profile}': {error}")
        demand(not mistakes, "\n".join(mistakes))

    return [
        examine("study", name, f"protocol {protocol}, every profile", partial(check, protocol))
        for protocol in study.protocols
    ]


def _given_to_loader(
    registry: Registry, defaults: ExperimentConfig, given: Mapping[str, Assignment]
) -> dict[str, Any]:
    """Return what `resolve` is told of the loader: its options, some folder if it must have one."""
    try:
        fields = registry.loader(defaults.loader.name).options.model_fields
    except LineRefineError:  # unknown, as `resolve` will say
        return {}
    sets = [f"loader.options.{text}" for text, item in given.items() if item.path[0] in fields]
    told = {item.path[0] for item in given.values()} | set(defaults.loader.options)
    needs_root = "root" in fields and fields["root"].is_required() and "root" not in told
    return {"sets": sets, "data_root": Path.cwd() if needs_root else None}


def _check_resolves(registry: Registry, name: str, **more: Any) -> None:  # noqa: ANN401 - of resolve
    resolve(registry, name, has_cuda=lambda: False, **more)
