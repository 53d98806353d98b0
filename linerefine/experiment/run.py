"""The run itself: prepare, train, evaluate, report."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

from linerefine.config import ExperimentConfig
from linerefine.errors import DeviceError, LineRefineError
from linerefine.events import Observer, RunFinished, RunStarted, SessionsPlanned
from linerefine.experiment.along import lead_training
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.environment import environment
from linerefine.experiment.evaluate import evaluate
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.networks import (
    TrainingSet,
    check_refiners,
    trained_refiner,
    trained_segmenter,
)
from linerefine.experiment.outcome import first_scores, summarise, write_outcome
from linerefine.experiment.sessions import all_rounds, plan_sessions, settle_backend
from linerefine.experiment.shipped import shipped_tags
from linerefine.experiment.workers import Here, Workers
from linerefine.hooks import Experiment
from linerefine.models.device import has_native_bf16
from linerefine.registry import Registry
from linerefine.report import RunResult
from linerefine.training.distributed import ALONE, Group

__all__ = ["run_experiment"]

logger = logging.getLogger(__name__)


def run_experiment(
    experiment: Experiment,
    config: ExperimentConfig,
    registry: Registry,
    output: Path,
    *,
    observers: Sequence[Observer] = (),
    resume: bool = False,
    workers: Workers | None = None,
    group: Group | None = None,
    labels: Mapping[str, str] | None = None,
) -> RunResult:
    """Train both networks, let a simulated person work, write everything down.

    Parameters
    ----------
    experiment : Experiment
        Names the run and may bring a score sheet.
    config : ExperimentConfig
        Resolved settings.
    registry : Registry
        Where components come from.
    output : Path
        The run folder; made if absent.
    observers : sequence of Observer
        Told of everything as it happens, also of failure.
    resume : bool
        Go on with what ``output`` holds.
    workers : Workers, optional
        Who runs the sessions; by default this process, one after the other.
    group : Group, optional
        Who trains together; by default this process alone. The others call
        `linerefine.experiment.along.train_along`.
    labels : mapping of str to str, optional
        Further tags to keep with the run.

    Returns
    -------
    result : RunResult

    Raises
    ------
    LineRefineError
        If settings, data, device or run folder cannot be used.
    KeyboardInterrupt
        If the user stops it; what is finished is kept.
    """
    folder = RunFolder(output)
    folder.check(config, registry, resume=resume)
    notify = Notifier(observers)
    started = perf_counter()
    workers = workers or Here()
    with _announced(notify), _memory_told(config):
        workers.check()
        bench = Bench.build(config, registry, folder, notify, group=group or ALONE)
        bench.loader.prepare(notify.progress)
        check_refiners(bench)
        # Only now: settings or data that cannot be used leave no folder behind.
        folder.create(config)
        lead_training(bench)
        with _log_file(folder.path / "log.txt"):
            result = _work(bench, workers, _begin(bench, experiment, labels or {}, resume=resume))
            summary = dict(result.summary) | {"seconds": round(perf_counter() - started, 1)}
            result = write_outcome(bench, experiment, replace(result, summary=summary))
            notify(RunFinished("finished", summary))
    return result


def _begin(
    bench: Bench, experiment: Experiment, labels: Mapping[str, str], *, resume: bool
) -> dict[str, str]:
    """Write down what the run is made with, and announce it."""
    facts = environment(bench.config, bench.registry, bench.device)
    bench.folder.write_json("environment.json", facts)
    bench.folder.write_json("loader.json", bench.loader.state())
    tags = {
        "experiment": experiment.name,
        "profile": bench.config.profile or "none",
        "protocol": bench.config.protocol,
        "device": facts["device"],
        "git": facts["git"],
        "python": facts["python"],
        "torch": facts["packages"].get("torch", "unknown"),
        "linerefine": facts["packages"].get("linerefine", "unknown"),
        **bench.loader.notes(),
        **shipped_tags(bench.registry, bench.config, bench.loader.names("test")),
        **labels,
    }
    bench.folder.write_json("tags.json", tags)
    bench.notify(
        RunStarted(experiment.name, bench.folder.path, bench.config.model_dump(), tags, resume)
    )
    for key in _SAID:
        if tags.get(key, "none") != "none":
            bench.notify.note(f"{key.replace('_', ' ')}: {tags[key]}")
    sizes = {split: len(bench.loader.names(split)) for split in ("train", "val", "test")}
    bench.notify.note(
        f"{sizes['train']} train, {sizes['val']} val, {sizes['test']} test images; "
        f"refiners {', '.join(r.key for r in bench.config.refiners)}; "
        f"simulator {bench.config.simulator.name}; {facts['device']}"
    )
    precision = bench.config.training.precision
    if precision == "bf16" and bench.device.type == "cpu" and not has_native_bf16():
        bench.notify.note(
            "training.precision is 'bf16', which this processor only emulates, slowly; "
            "'auto' takes what is fast here.",
            "warning",
        )
    return tags


_SAID = ("data", "split", "unused", "bad_scans", "object_mask", "networks", "seen_in_training")
"""Tags that are worth a line before the work begins."""


def _work(bench: Bench, workers: Workers, tags: Mapping[str, str]) -> RunResult:
    """Do the slow parts in order; each keeps what it finished."""
    bench.prepare_simulators()
    data = TrainingSet.load(bench)
    segmenter = trained_segmenter(bench, data)
    first = first_scores(bench, segmenter)
    keys = plan_sessions(bench, tuple(first))
    bench.notify(SessionsPlanned(keys))
    for component in bench.config.refiners:
        trained_refiner(bench, component, segmenter, data)
        if keys:
            settle_backend(bench, component.key)
    patches = evaluate(bench, workers, keys)
    rounds, table = all_rounds(bench), pd.DataFrame(patches)
    summary = summarise(bench, first, rounds, table)
    return RunResult(bench.config, bench.folder.path, rounds, table, summary, tags)


@contextmanager
def _announced(notify: Notifier) -> Iterator[None]:
    """Tell observers how a run ended, whatever ended it."""
    try:
        yield
    except KeyboardInterrupt:
        notify(RunFinished("interrupted", message="stopped by the user; --resume goes on"))
        raise
    except LineRefineError as error:
        notify(RunFinished("failed", message=str(error)))
        raise
    except BaseException as error:
        notify(RunFinished("failed", message=f"{type(error).__name__}: {error}"))
        raise


@contextmanager
def _memory_told(config: ExperimentConfig) -> Iterator[None]:
    """Say what to do when a device has too little memory."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:  # whose message is long, and says nothing of runs
        detail = str(error).partition(". ")[0]
        msg = (
            f"the device ran out of memory ({detail}). Lower training.batch_size, now "
            f"{config.training.batch_size}, or tiling.patch, now {config.tiling.patch}, in another "
            f"--output; or end what else uses the device and go on with --resume."
        )
        raise DeviceError(msg) from error


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Append what the package logs, and why a run failed, to a file of the run folder."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    package = logging.getLogger("linerefine")
    level, propagates = package.level, package.propagate
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    # Observers tell people; a library that sets up the root logger must not tell them again.
    package.propagate = False
    try:
        yield
    except Exception:
        logger.exception("the run failed")
        raise
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        package.propagate = propagates
        handler.close()
