"""Defaults, profile, protocol, file and command line become one configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linerefine.config import MANUAL, PROTOCOLS, ExperimentConfig, merged
from linerefine.configure.checking import Findings, checked
from linerefine.configure.files import plain, read_settings
from linerefine.configure.layers import Assignment, Layers, parse_assignment
from linerefine.errors import UnknownNameError
from linerefine.hooks import Experiment, Study, Variant
from linerefine.mistakes import Mistake, Where, did_you_mean
from linerefine.registry import Registry

__all__ = ["can_vary", "cuda_is_available", "resolve"]


def resolve(
    registry: Registry,
    experiment_name: str,
    *,
    profile: str | None = None,
    sets: Sequence[str] = (),
    file: Path | None = None,
    refiners: Sequence[str] = (),
    data_root: str | Path | None = None,
    seed: int | None = None,
    repeats: int | None = None,
    device: str | None = None,
    backend: str | None = None,
    has_cuda: Callable[[], bool] | None = None,
    study: Study | None = None,
    protocol: str | None = None,
) -> ExperimentConfig:
    """Return the configuration of a run, complete and checked.

    Each of these writes over the ones before: the experiment's defaults, its
    profile, its protocol, the study, the file, the named options, ``--set``. Mappings
    merge, lists replace. A file that names every setting, as a run saves it,
    stands for itself: profile and protocol are labels in it.

    Parameters
    ----------
    registry : Registry
        Knows experiments, components and their options.
    experiment_name : str
        What the user typed after ``linerefine run``.
    profile : str, optional
        One of the experiment's; by default that of ``file``, else ``paper``
        with CUDA and ``quick`` without, as far as the experiment has them.
    sets : sequence of str
        ``KEY=VALUE`` with dotted keys; entries of lists by number or, for
        components, by name. Values are TOML, else text; ``None`` is none.
    file : Path, optional
        TOML file of settings.
    refiners : sequence of str
        Names. Options of a refiner that is configured already are kept.
    data_root : str or Path, optional
        Short for ``loader.options.root``; made absolute.
    seed, repeats, device, backend : optional
        Short for ``seed``, ``evaluation.repeats``, ``device`` and ``inference.backend``.
    has_cuda : callable, optional
        Asked only if nothing else decides the profile.
    study : Study, optional
        Whose settings and variants are laid over the experiment's.
    protocol : str, optional
        By whose rules, unless ``sets`` say so.

    Returns
    -------
    config : ExperimentConfig
        With the options of every component complete too.

    Raises
    ------
    UnknownNameError
        If experiment, profile, protocol or a component is unknown and nothing
        else is wrong.
    ConfigError
        If settings are unknown or out of range; names all of them and where
        each was set.
    """
    experiment = registry.experiment(experiment_name)
    parsed = [parse_assignment(text) for text in sets]
    options = _Given(
        profile=profile,
        device=device,
        file=file,
        settings=read_settings(file) if file is not None else {},
        named=tuple(_named(data_root, seed, repeats, device, backend)),
        refiners=tuple(refiners),
        sets=tuple(item for item in parsed if isinstance(item, Assignment)),
        has_cuda=has_cuda or cuda_is_available,
        study=study,
        protocol=protocol,
    )
    findings = Findings()
    findings.lines += [item.line() for item in parsed if isinstance(item, Mistake)]
    if data_root is not None and not str(data_root):  # an unset variable of a shell
        mistake = Mistake(("loader", "options", "root"), "is ''", "a folder")
        findings.lines.append(mistake.line("set by --data-root"))
    layers = _laid_over(experiment, options, findings)
    return checked(layers, registry, findings)


def cuda_is_available() -> bool:
    """Say whether torch can use a GPU, without importing torch where there clearly is none."""
    if sys.platform == "darwin":
        return False
    if sys.platform.startswith("linux"):
        nodes = ("nvidia*", "nvhost*", "dxg", "kfd")
        if not any(True for pattern in nodes for _ in Path("/dev").glob(pattern)):
            return False
    import torch  # three seconds, and only here

    return torch.cuda.is_available()


@dataclass(frozen=True)
class _Given:
    """What the user gave."""

    profile: str | None
    device: str | None
    file: Path | None
    settings: Mapping[str, Any]
    named: tuple[tuple[Where, object, str], ...]
    refiners: tuple[str, ...]
    sets: tuple[Assignment, ...]
    has_cuda: Callable[[], bool]
    study: Study | None = None
    protocol: str | None = None

    @property
    def file_is_complete(self) -> bool:
        return set(ExperimentConfig.model_fields) <= set(self.settings)

    def choice(self, key: str, option: str | None = None) -> tuple[object, str] | None:
        """Return what ``--set``, else an option, else the file says, and which of them."""
        for assignment in reversed(self.sets):
            if assignment.path == (key,):
                return assignment.value, "set by --set"
        if option is not None:
            return option, f"set by --{key}"
        if self.settings.get(key):
            return self.settings[key], f"set by {self.file}"
        return None


def _named(
    data_root: str | Path | None,
    seed: int | None,
    repeats: int | None,
    device: str | None,
    backend: str | None,
) -> Iterator[tuple[Where, object, str]]:
    """Yield path, value and origin of the options that are short for a setting."""
    if data_root is not None:
        # Absolute, so that the saved configuration means the same folder from anywhere.
        root = Path(data_root).expanduser().absolute()
        yield ("loader", "options", "root"), str(root), "set by --data-root"
    if seed is not None:
        yield ("seed",), seed, "set by --seed"
    if repeats is not None:
        yield ("evaluation", "repeats"), repeats, "set by --repeats"
    if device is not None:
        yield ("device",), device, "set by --device"
    if backend is not None:
        yield ("inference", "backend"), backend, "set by --backend"


def _laid_over(experiment: Experiment, given: _Given, findings: Findings) -> Layers:
    """Return all layers in their order."""
    layers = Layers(plain(experiment.defaults), f"set by experiment {experiment.name}")
    if given.file_is_complete:
        layers = Layers(given.settings, f"set by {given.file}")
        _check_labels(given, findings)
    else:
        _lay_profile(layers, experiment, given, findings)
        _lay_protocol(layers, experiment, given, findings)
        if given.study is not None:
            _lay_study(layers, given.study, findings)
        labels = {"profile", "protocol"}  # followed already
        rest = {key: value for key, value in given.settings.items() if key not in labels}
        layers.merge(rest, f"set by {given.file}")
    for path, value, origin in given.named:
        layers.put(path, value, origin)
    if given.refiners:
        _lay_refiners(layers, given.refiners)
    for assignment in sorted(given.sets, key=lambda item: not item.names_component):
        mistake = layers.assign(assignment, "set by --set")
        if mistake is not None:
            findings.lines.append(mistake.line("set by --set"))
    _lay_manual(layers)
    return layers


def _check_labels(given: _Given, findings: Findings) -> None:
    """Refuse another profile or protocol than a complete file was made with."""
    for key, option in (("profile", given.profile), ("protocol", None)):
        chosen = given.choice(key, option)
        saved = given.settings[key]
        if chosen is not None and chosen[0] != saved:
            findings.lines.append(
                f"{key} is '{chosen[0]}' ({chosen[1]}), but {given.file} names every setting "
                f"and was made with '{saved}'. Drop one of the two."
            )


def _lay_profile(layers: Layers, experiment: Experiment, given: _Given, findings: Findings) -> None:
    chosen = given.choice("profile", given.profile)
    if chosen is None:
        name, origin = _default_profile(experiment, given), ""
    else:
        name, origin = str(chosen[0] or ""), chosen[1]
    if not name:
        return
    if name not in experiment.profiles:
        error = _unknown("profile", name, experiment.profiles, f"experiment {experiment.name}")
        findings.add_unknown(("profile",), error, origin)
        return
    layers.merge(experiment.profiles[name], f"set by profile {name}")
    layers.put(("profile",), name, f"set by profile {name}")


def _default_profile(experiment: Experiment, given: _Given) -> str:
    """Return ``quick`` or ``paper`` by the device, as far as the experiment has it."""
    if not experiment.profiles:
        return ""
    device = given.choice("device", given.device)
    on_gpu = (device is None or device[0] != "cpu") and given.has_cuda()
    wanted = "paper" if on_gpu else "quick"
    return wanted if wanted in experiment.profiles else ""


def _lay_protocol(
    layers: Layers, experiment: Experiment, given: _Given, findings: Findings
) -> None:
    chosen = given.choice("protocol", given.protocol)
    label = layers.settings.get("protocol", "default")
    name, origin = chosen or (label, layers.origin(("protocol",)))
    available = {*PROTOCOLS, *experiment.protocols}
    if name not in available:
        error = _unknown("protocol", str(name), available, f"experiment {experiment.name}")
        findings.add_unknown(("protocol",), error, origin)
        return
    for protocols in (PROTOCOLS, experiment.protocols):
        layers.merge(protocols.get(str(name), {}), f"set by protocol {name}")
    layers.put(("protocol",), name, origin)


def can_vary(experiment: Experiment, profile: str, study: Study) -> bool:
    """Say whether an experiment with a profile has the refiner that a study varies.

    Parameters
    ----------
    experiment : Experiment
        What the study is to run on.
    profile : str
        One of the experiment's; any other stands for none.
    study : Study
        Its variants change the first refiner, unless they bring their own.
    """
    layers = Layers(plain(experiment.defaults), "")
    for settings in (experiment.profiles.get(profile, {}), study.settings):
        layers.merge(settings, "")
    return _has_what_varies(layers, study)


def _has_what_varies(layers: Layers, study: Study) -> bool:
    is_baseline = layers.settings["refiners"][0].get("name") == MANUAL
    return not is_baseline or all("name" in variant.changes for variant in study.variants)


def _lay_study(layers: Layers, study: Study, findings: Findings) -> None:
    """Lay a study's settings over the experiment's, and its variants over the first refiner."""
    origin = f"set by study {study.name}"
    layers.merge(study.settings, origin)
    layers.merge(study.profiles.get(str(layers.settings.get("profile", "")), {}), origin)
    if not _has_what_varies(layers, study):
        findings.lines.append(
            f"study {study.name} compares variants of a refiner, and profile "
            f"'{layers.settings.get('profile', '')}' has none, only '{MANUAL}'. "
            f"Choose another --profile."
        )
    elif study.variants:
        base = layers.settings["refiners"][0]
        variants = [_variant(base, variant) for variant in study.variants]
        layers.put(("refiners",), variants, origin)


def _variant(base: Mapping[str, Any], variant: Variant) -> dict[str, Any]:
    """Return a refiner's settings changed as a variant says; another refiner's begin anew."""
    is_other = variant.changes.get("name", base.get("name")) != base.get("name")
    return merged({} if is_other else base, {**variant.changes, "label": variant.label})


def _lay_manual(layers: Layers) -> None:
    """Add the person without a refiner, whom the others of an independent run are compared with."""
    refiners = layers.settings.get("refiners")
    evaluation = layers.settings.get("evaluation")
    if not isinstance(refiners, list) or not isinstance(evaluation, dict):
        return
    names = [part.get("name") for part in refiners if isinstance(part, dict)]
    if evaluation.get("loop") == "independent" and MANUAL not in names:
        refiners = [*refiners, {"name": MANUAL}]
        layers.put(("refiners",), refiners, "set by evaluation.loop")


def _lay_refiners(layers: Layers, names: Sequence[str]) -> None:
    configured = layers.settings.get("refiners", [])
    known = {part["name"]: part for part in configured if isinstance(part, dict) and "name" in part}
    chosen = [known.get(name, {"name": name, "options": {}}) for name in names]
    layers.put(("refiners",), chosen, "set by --refiner")


def _unknown(kind: str, name: str, available: Collection[str], owner: str) -> UnknownNameError:
    names = ", ".join(sorted(available)) or "none"
    near = did_you_mean(name, available)
    return UnknownNameError(
        " ".join(filter(None, [f"{owner} has no {kind} '{name}'.", near, f"Available: {names}."]))
    )
