"""A study from its settings to its runs: trained once, used under every protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from linerefine.config import ExperimentConfig, RefinerConfig
from linerefine.configure import resolve
from linerefine.configure.files import load_config
from linerefine.errors import ConfigError, RunError
from linerefine.hooks import Experiment, Study
from linerefine.registry import Registry
from linerefine.report import GIVEN, RunResult

__all__ = ["Outcome", "Performer", "perform", "settings", "with_networks"]

SEGMENTER = "segmenter"
CONFIG = "config.toml"


@dataclass(frozen=True, eq=False)
class Outcome:
    """A study that was performed.

    Parameters
    ----------
    study : Study
    experiment : Experiment
        What it ran on.
    folder : Path
        Holds a run folder per protocol.
    results : mapping of str to RunResult
        By protocol, in the study's order.
    registry : Registry
        Where the runs' components come from.
    """

    study: Study
    experiment: Experiment
    folder: Path
    results: Mapping[str, RunResult]
    registry: Registry

    @property
    def first(self) -> RunResult:
        """The run under the first protocol, in which the networks were trained."""
        return next(iter(self.results.values()))

    @property
    def data(self) -> str:
        """What the numbers are about, in words."""
        root = self.first.config.loader.options.get("root")
        kind = self.first.data
        words = {"phantom": "drawn mirrors (phantoms)", "sample": "drawn sample images"}
        images = "images" if kind == GIVEN else f"{kind} images"
        return words.get(kind, f"{images}, {Path(str(root)).name}" if root else images)


class Performer(Protocol):
    """Runs one experiment; the command line's has observers."""

    def __call__(
        self, config: ExperimentConfig, folder: Path, labels: Mapping[str, str], /
    ) -> RunResult:
        """Return the finished run; ``labels`` are kept with it."""


def settings(
    registry: Registry, study: Study, experiment: str, options: Mapping[str, Any]
) -> dict[str, ExperimentConfig]:
    """Return what is run under each protocol of a study.

    Parameters
    ----------
    registry : Registry
    study : Study
    experiment : str
        What it is run on.
    options : mapping
        Arguments of `linerefine.configure.resolve`.

    Raises
    ------
    LineRefineError
        As `resolve`.
    """
    if any(text.partition("=")[0].strip() == "protocol" for text in options.get("sets", ())):
        names = ", ".join(study.protocols)
        msg = f"study {study.name} runs by the protocols {names}; leave out --set protocol."
        raise ConfigError(msg)
    return {
        protocol: resolve(registry, experiment, study=study, protocol=protocol, **options)
        for protocol in study.protocols
    }


def perform(
    study: Study,
    experiment: Experiment,
    configs: Mapping[str, ExperimentConfig],
    folder: Path,
    registry: Registry,
    run: Performer,
    *,
    networks: Path | None = None,
) -> Outcome:
    """Run a study under each of its protocols.

    Networks are trained in the first run. The others use them, so that
    protocols are compared on the same networks, and leave out what does not
    depend on the protocol's loop: scores on patches.

    Parameters
    ----------
    study : Study
    experiment : Experiment
        What it is run on.
    configs : mapping of str to ExperimentConfig
        By protocol, as `settings` returns them.
    folder : Path
        Holds a run folder per protocol afterwards.
    registry : Registry
    run : callable
        Runs one of them.
    networks : Path, optional
        Run or study folder whose trained networks are used as far as it has them.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    LineRefineError
        If a run fails; what is finished is kept.
    """
    results: dict[str, RunResult] = {}
    trained = [] if networks is None else [_run_with_networks(networks)]
    for protocol, config in configs.items():
        own = config
        for place in trained:
            own = with_networks(own, place)
        if results:
            evaluation = own.evaluation.model_copy(update={"patch_passes": 0})
            own = own.model_copy(update={"evaluation": evaluation})
        results[protocol] = run(own, folder / protocol, {"study": study.name})
        # What an earlier study did not have was trained here.
        trained.append(folder / protocol)
    return Outcome(study, experiment, folder, results, registry)


def with_networks(config: ExperimentConfig, run: Path) -> ExperimentConfig:
    """Return a configuration that uses the networks of a run: its own, and those it was given."""
    networks = _networks(run)

    def trained(refiner: RefinerConfig) -> RefinerConfig:
        if refiner.weights is not None or refiner.key not in networks:
            return refiner
        return refiner.model_copy(update={"weights": networks[refiner.key]})

    segmenter = config.segmenter
    if segmenter.checkpoint is None and SEGMENTER in networks:
        segmenter = segmenter.model_copy(update={"checkpoint": networks[SEGMENTER]})
    refiners = tuple(trained(refiner) for refiner in config.refiners)
    return config.model_copy(update={"segmenter": segmenter, "refiners": refiners})


def _networks(run: Path) -> dict[str, str]:
    """Return the networks that a run trained or was given, by key."""
    networks: dict[str, str] = {}
    if (run / CONFIG).is_file():
        config = load_config(run / CONFIG)
        given = {SEGMENTER: config.segmenter.checkpoint}
        given |= {refiner.key: refiner.weights for refiner in config.refiners}
        networks = {key: name for key, name in given.items() if name and _is_network(name)}
    checkpoints = (run.absolute() / "checkpoints").glob("*.safetensors")
    return networks | {path.stem: str(path) for path in checkpoints}


def _is_network(name: str) -> bool:
    """Say whether weights are named by a file or an experiment, not by another's label."""
    return name.startswith("shipped:") or Path(name).is_file()


def _run_with_networks(folder: Path) -> Path:
    """Return a run folder, or the first run of a study, that can make first predictions."""
    for run in (folder, *sorted(path.parent for path in folder.glob("*/checkpoints"))):
        if SEGMENTER in _networks(run):
            return run
    msg = f"{folder} holds no trained networks; expected a run folder or that of a study."
    raise RunError(msg)
