"""What is wrong with a configuration, found all at once and said with where it was set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from linerefine.config import ExperimentConfig, TrainingConfig, merged
from linerefine.configure.encoders import with_encoder_of_run
from linerefine.configure.files import plain
from linerefine.configure.layers import Layers
from linerefine.discovery import Kind
from linerefine.errors import LineRefineError, UnknownNameError
from linerefine.mistakes import Mistake, Where, mistakes_in, refusal
from linerefine.registry import Registry

__all__ = ["Findings", "checked", "completed"]

_KIND_AT: Mapping[str, Kind] = {
    "loader": "loader",
    "simulator": "simulator",
    "refiners": "refiner",
    "metrics": "metric",
}

_LABEL = re.compile(r"\w[\w .+-]*")
"""What can name a file on any system."""


class Findings:
    """Everything that is wrong so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.unknown: list[UnknownNameError] = []

    def add_unknown(self, where: Where, error: UnknownNameError, origin: str) -> None:
        """Take note of a name that nobody registered."""
        self.unknown.append(error)
        sentence, _, rest = str(error).partition(". ")
        self.lines.append(f"{'.'.join(map(str, where))}: {sentence} ({origin}). {rest}")

    def error(self) -> LineRefineError:
        """Return all of it as one error; an unknown name by itself keeps its own wording."""
        if len(self.lines) == len(self.unknown) == 1:
            return self.unknown[0]
        return refusal(self.lines)


def checked(layers: Layers, registry: Registry, findings: Findings) -> ExperimentConfig:
    """Return the configuration, or raise everything that is wrong with it.

    Parameters
    ----------
    layers : Layers
        All settings, and where each was set.
    registry : Registry
        Knows components and their options.
    findings : Findings
        What was wrong before.

    Raises
    ------
    LineRefineError
        As `linerefine.configure.resolve`.
    """
    settings = layers.settings
    complete = _with_options(layers, registry, findings)
    for where, part in _components(settings):
        if _is_refiner(where):
            complete = _with(complete, (*where, "training"), _own_training(part, registry))
    _check_training(complete, layers, findings)
    _check_names_differ(settings, layers, findings)
    _check_labels_and_weights(settings, layers, findings)
    _check_steering(settings, layers, registry, findings)
    try:
        config = ExperimentConfig.model_validate(complete)
    except ValidationError as error:
        mistakes = mistakes_in(error, ExperimentConfig, settings)
        findings.lines = [_line(mistake, layers) for mistake in mistakes] + findings.lines
        raise findings.error() from error
    if findings.lines:
        raise findings.error()
    return config


def completed(config: ExperimentConfig, registry: Registry) -> ExperimentConfig:
    """Return a configuration with the defaults of options that it does not name.

    An option may be younger than a configuration. Options that cannot be
    checked, or are unknown by now, stay as they are.

    Parameters
    ----------
    config : ExperimentConfig
    registry : Registry
        Knows components and their options.
    """
    layers = Layers(plain(config), "")
    return ExperimentConfig.model_validate(_with_options(layers, registry, Findings()))


def _with_options(layers: Layers, registry: Registry, findings: Findings) -> Any:  # noqa: ANN401
    """Return all settings, the options of every component with their defaults."""
    complete = dict(layers.settings)
    for where, part in _components(layers.settings):
        options = _complete_options(where, part, layers, registry, findings)
        complete = _with(complete, (*where, "options"), options)
    return complete


def _components(settings: Mapping[str, Any]) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Yield path and settings of everything that looks like a component."""
    places: list[tuple[Where, object]] = [
        (("loader",), settings.get("loader")),
        (("simulator",), settings.get("simulator")),
    ]
    for group in ("refiners", "metrics"):
        parts = settings.get(group)
        if not isinstance(parts, list):
            continue
        for index, part in enumerate(parts):
            places.append(((group, index), part))
            if group == "refiners" and isinstance(part, dict):
                places.append(((group, index, "simulator"), part.get("simulator")))
    for where, part in places:
        if isinstance(part, dict) and isinstance(part.get("name"), str):
            yield where, part


def _complete_options(
    where: Where,
    part: Mapping[str, Any],
    layers: Layers,
    registry: Registry,
    findings: Findings,
) -> Any:  # noqa: ANN401 - as given, if it cannot be checked
    """Return a component's options with all their defaults, noting what is wrong."""
    given = part.get("options", {})
    try:
        entry = registry.entry(_kind(where), part["name"])
    except UnknownNameError as error:
        findings.add_unknown((*where, "name"), error, layers.origin((*where, "name")))
        return given
    except LineRefineError as error:
        findings.lines.append(str(error))
        return given
    if not isinstance(given, dict):
        return given  # the configuration itself says so
    if _kind(where) == "refiner":
        given = with_encoder_of_run(entry.options, given, layers.settings)
    try:
        return plain(entry.options.model_validate(given))
    except ValidationError as error:
        mistakes = mistakes_in(error, entry.options, given, (*where, "options"))
        findings.lines += [_line(mistake, layers) for mistake in mistakes]
        return given


def _own_training(part: Mapping[str, Any], registry: Registry) -> Any:  # noqa: ANN401 - as given
    """Return a refiner's own settings of its training over those it is meant to be trained with."""
    own = part.get("training", {})
    try:
        meant = registry.entry("refiner", part["name"]).training
    except LineRefineError:
        return own  # noted where its options were
    return merged(meant, own) if isinstance(own, dict) else own


def _kind(where: Where) -> Kind:
    return "simulator" if where[-1] == "simulator" else _KIND_AT[str(where[0])]


def _with(settings: Any, path: Where, value: object) -> Any:  # noqa: ANN401 - nested plain values
    """Return settings with another value at a path; those given stay as they are."""
    if not path:
        return value
    first, *rest = path
    if isinstance(settings, list):
        below = _with(settings[int(first)], tuple(rest), value)
        return [*settings[: int(first)], below, *settings[int(first) + 1 :]]
    return {**settings, first: _with(settings.get(first, {}), tuple(rest), value)}


def _check_training(settings: Mapping[str, Any], layers: Layers, findings: Findings) -> None:
    """Note what is wrong with a refiner's own settings of its training."""
    for where, part in _components(settings):
        own = part.get("training")
        if not _is_refiner(where) or not isinstance(own, dict) or not own:
            continue
        try:
            TrainingConfig.model_validate(own)
        except ValidationError as error:
            mistakes = mistakes_in(error, TrainingConfig, own, (*where, "training"))
            findings.lines += [_line(mistake, layers) for mistake in mistakes]


def _line(mistake: Mistake, layers: Layers) -> str:
    """Return a mistake as a line that says where its value was set."""
    if mistake.came == "is missing":
        remedy = "Pass --data-root DIR." if mistake.where == ("loader", "options", "root") else ""
        return f"{mistake.line()} {remedy}".rstrip()
    return mistake.line(layers.origin(mistake.where))


def _check_names_differ(settings: Mapping[str, Any], layers: Layers, findings: Findings) -> None:
    """Refuse a refiner or metric that is listed twice: results are told apart by name or label."""
    for group in ("refiners", "metrics"):
        seen: set[str] = set()
        for where, part in _components(settings):
            if where[0] != group or len(where) != 2:
                continue
            called = part.get("label") or part["name"]
            if called in seen:
                key = "label" if part.get("label") else "name"
                remedy = " Give each a label." if group == "refiners" else ""
                mistake = Mistake((*where, key), f"is '{called}' again", "each name once")
                findings.lines.append(_line(mistake, layers) + remedy)
            seen.add(called)


def _check_labels_and_weights(
    settings: Mapping[str, Any], layers: Layers, findings: Findings
) -> None:
    """Refuse labels that cannot name a file, and weights of no earlier refiner."""
    refiners = [item for item in _components(settings) if _is_refiner(item[0])]
    keys = [str(part.get("label") or part["name"]) for _, part in refiners]
    for place, (where, part) in enumerate(refiners):
        label, weights = part.get("label"), part.get("weights")
        is_usable = _LABEL.fullmatch(str(label)) and label != "segmenter"
        if label is not None and not is_usable:
            expected = "letters, digits, spaces and .+-_, and not 'segmenter'"
            mistake = Mistake((*where, "label"), f"is '{label}'", expected)
            findings.lines.append(_line(mistake, layers))
        if weights in keys[place:]:
            expected = "a file, or the label of a refiner earlier in the list"
            mistake = Mistake((*where, "weights"), f"is '{weights}'", expected)
            findings.lines.append(_line(mistake, layers))


def _is_refiner(where: Where) -> bool:
    return where[0] == "refiners" and len(where) == 2


def _check_steering(
    settings: Mapping[str, Any], layers: Layers, registry: Registry, findings: Findings
) -> None:
    """Refuse a first metric that cannot be followed stroke by stroke."""
    first = next((item for item in _components(settings) if item[0] == ("metrics", 0)), None)
    entries = registry.metrics()
    if first is None or first[1]["name"] not in entries or entries[first[1]["name"]].is_additive:
        return
    able = ", ".join(sorted(name for name, entry in entries.items() if entry.is_additive))
    expected = f"a metric that can steer, which the first one does: {able}"
    mistake = Mistake(("metrics", 0, "name"), f"is '{first[1]['name']}'", expected)
    findings.lines.append(_line(mistake, layers))
