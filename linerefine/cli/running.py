"""``linerefine run``: settings, run folder, observers; then the experiment itself."""

from __future__ import annotations

import itertools
import shlex
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linerefine.cli.means import Means, training_group
from linerefine.cli.output import complain, error_console, result_console, say
from linerefine.cli.plugins import usable_registry
from linerefine.cli.stopped import Stopped
from linerefine.config import ExperimentConfig
from linerefine.configure import cuda_is_available, resolve
from linerefine.errors import DeviceError, RunError
from linerefine.machine import usable_cores

if TYPE_CHECKING:
    from linerefine.events import Observer
    from linerefine.hooks import Experiment
    from linerefine.registry import Registry
    from linerefine.report import RunResult
    from linerefine.training.distributed import Group

__all__ = [
    "check_device",
    "latest_unfinished",
    "new_folder",
    "plan_line",
    "run_command",
    "run_watched",
    "store_of",
]

RUNS = Path("runs")


def run_command(
    experiment: str,
    options: Mapping[str, Any],
    *,
    output: Path | None,
    resume: bool,
    blocked: Collection[str],
    means: Means,
) -> None:
    """Run an experiment from the command line.

    Of several processes that ``torchrun`` started the first does all this; the
    others train along.
    """
    means.check()
    registry = usable_registry(blocked)
    with training_group() as group:
        if group is None or group.is_first:
            _run(registry, experiment, options, output, resume, means, group)
        else:
            from linerefine.experiment.along import train_along

            train_along(registry, group)


def _run(
    registry: Registry,
    experiment: str,
    options: Mapping[str, Any],
    output: Path | None,
    resume: bool,
    means: Means,
    group: Group | None,
) -> None:
    """Settle what is to be run and where, run it, print the outcome."""
    chosen = registry.experiment(experiment)
    begun = _begun(output, experiment) if resume else None
    if begun is not None and options["file"] is None:
        # What was asked for then holds now, unless it is asked for otherwise.
        options = {**options, "file": begun / "config.toml"}
    config = resolve(registry, experiment, **options)
    check_device(config)
    was_there = output is not None and output.exists()
    folder = begun or new_folder(output, experiment)
    try:
        uri = store_of(config, folder)
        complain(plan_line(experiment, config, folder, uri, resumed=resume))
        result = run_watched(
            chosen, config, registry, folder, uri, resume=resume, means=means, group=group
        )
    except KeyboardInterrupt as interrupt:
        raise Stopped(_what_is_kept(experiment, folder)) from interrupt
    finally:
        if not was_there:
            with suppress(OSError):  # refused unless nothing was written
                folder.rmdir()
    _print_outcome(result, folder, uri)


def new_folder(
    output: Path | None, experiment: str, *, now: Callable[[], datetime] = datetime.now
) -> Path:
    """Return a folder for a new run, made and found writable.

    Parameters
    ----------
    output : Path or None
        As the user wants it; None makes ``runs/<time>-<experiment>``.
    experiment : str
        Name of the experiment.
    now : callable
        The clock.

    Raises
    ------
    RunError
        If it holds something already or cannot be written.
    """
    folder = output
    try:
        if folder is None:
            folder = _stamped(experiment, now())
        else:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        is_empty = not any(folder.iterdir())
    except OSError as error:
        place = folder or RUNS
        msg = f"cannot write the run folder {place}: {error.strerror}. Choose another --output."
        raise RunError(msg) from error
    if not is_empty:
        msg = (
            f"{folder} is not empty. Pass --resume to go on with the run in it, "
            f"or another --output."
        )
        raise RunError(msg)
    return folder


def latest_unfinished(root: Path, experiment: str) -> Path | None:
    """Return the newest run folder of an experiment that nobody finished or works in.

    Parameters
    ----------
    root : Path
        Folder of run folders named ``<time>-<experiment>``.
    experiment : str
        Name of the experiment.

    Returns
    -------
    folder : Path or None
        It holds ``config.toml`` but no ``summary.json``; None if there is none.
    """
    from linerefine.tracking.store import is_abandoned

    candidates = [
        config.parent
        for config in root.glob(f"*-{experiment}/config.toml")
        if not (config.parent / "summary.json").exists() and is_abandoned(config.parent)
    ]
    return max(candidates, key=lambda folder: folder.name, default=None)


def _begun(output: Path | None, experiment: str) -> Path:
    """Return the folder of the run to go on with."""
    if output is None:
        latest = latest_unfinished(RUNS, experiment)
        if latest is None:
            msg = (
                f"there is no unfinished run of '{experiment}' in {RUNS.absolute()}. "
                f"Leave out --resume, or name its folder with --output."
            )
            raise RunError(msg)
        return latest
    if not (output / "config.toml").is_file():
        msg = f"no run was begun in {output}: it has no config.toml. Leave out --resume."
        raise RunError(msg)
    return output


def _stamped(experiment: str, time: datetime) -> Path:
    """Make ``runs/<time>-<experiment>``; a second run in one second gets a number."""
    RUNS.mkdir(exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S")
    folder = RUNS / f"{stamp}-{experiment}"
    for number in itertools.count(2):
        with suppress(FileExistsError):
            folder.mkdir()
            break
        folder = RUNS / f"{stamp}_{number}-{experiment}"
    return folder


def check_device(config: ExperimentConfig) -> None:
    """Refuse a device that is not there."""
    if config.device == "cuda" and not cuda_is_available():
        msg = "device 'cuda' was asked for, but torch sees no CUDA device. Pass --device cpu."
        raise DeviceError(msg)


def run_watched(
    experiment: Experiment,
    config: ExperimentConfig,
    registry: Registry,
    folder: Path,
    uri: str,
    *,
    resume: bool,
    means: Means,
    group: Group | None = None,
    labels: Mapping[str, str] | None = None,
) -> RunResult:
    """Run an experiment with whoever watches it: the console and, given a store, MLflow."""
    from linerefine.experiment import run_experiment  # torch: eleven seconds
    from linerefine.tracking.console import ConsoleObserver

    observers: list[Observer] = [ConsoleObserver(error_console())]
    if uri:
        from linerefine.tracking.mlflow import MlflowObserver

        observers.append(MlflowObserver(uri, log_model=config.tracking.log_model))
    return run_experiment(
        experiment,
        config,
        registry,
        folder,
        observers=observers,
        resume=resume,
        workers=means.workers(),
        group=group,
        labels=labels or {},
    )


def _print_outcome(result: RunResult, folder: Path, uri: str) -> None:
    """Print the tables, and last of all where things are."""
    from linerefine.tracking.console import print_report

    print_report(result.report, result_console())
    if uri:
        is_default = folder.parent == RUNS and result.config.tracking.uri is None
        store = "" if is_default else f" --store {shlex.quote(uri)}"
        say(f"Recorded in {uri} (linerefine ui{store} shows it)")
    say(f"Wrote {folder} (config.toml, report.html, report.txt, rounds.parquet, summary.json)")


def _what_is_kept(experiment: str, folder: Path) -> str:
    if not (folder / "config.toml").exists():
        return "interrupted before anything was written"
    return (
        f"interrupted; finished work is kept in {folder}; go on with "
        f"linerefine run {experiment} --output {shlex.quote(str(folder))} --resume"
    )


def store_of(config: ExperimentConfig, folder: Path) -> str:
    """Return the MLflow store of a run; empty if nothing is to be recorded."""
    if not config.tracking.enabled:
        return ""
    if config.tracking.uri is not None:
        return config.tracking.uri
    from linerefine.tracking.store import sqlite_uri

    return sqlite_uri(folder.absolute().parent / "mlflow.db")


def _data_workers(config: ExperimentConfig) -> int:
    """Return how many processes will feed training, as far as is known before torch is there."""
    on_gpu = config.device == "cuda" or (config.device == "auto" and cuda_is_available())
    return config.training.data_workers("cuda" if on_gpu else "cpu", usable_cores())


def plan_line(
    experiment: str, config: ExperimentConfig, folder: Path, uri: str, *, resumed: bool
) -> str:
    """Return the line that says what will happen."""
    refiners = ", ".join(part.key for part in config.refiners)
    settings = [
        f"profile {config.profile or 'none'}",
        f"protocol {config.protocol}",
        f"refiner{'s' if len(config.refiners) > 1 else ''} {refiners}",
        f"simulator {config.simulator.name}",
        f"{config.evaluation.repeats} repeats",
        f"seed {config.seed}",
        f"device {config.device}",
        f"{_data_workers(config)} data workers",
    ]
    verb = "going on in" if resumed else "run folder"
    store = f"; MLflow {uri}" if uri else "; not recorded in MLflow"
    return f"{experiment}: {', '.join(settings)}; {verb} {folder}{store}"
