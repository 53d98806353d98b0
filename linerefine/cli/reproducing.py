"""``linerefine reproduce``: a table or figure by its name, on whatever data."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linerefine.cli.listing import columns
from linerefine.cli.means import Means
from linerefine.cli.output import complain, result_console, say
from linerefine.cli.plugins import usable_registry
from linerefine.cli.running import check_device, new_folder, plan_line, run_watched, store_of
from linerefine.cli.stopped import Stopped
from linerefine.errors import RunError

if TYPE_CHECKING:
    from linerefine.config import ExperimentConfig
    from linerefine.registry import Registry
    from linerefine.report import RunResult
    from linerefine.studies.perform import Outcome

__all__ = ["list_studies", "reproduce_command"]


def list_studies(blocked: Collection[str]) -> None:
    """Print the studies there are."""
    studies = usable_registry(blocked).studies()
    rows = [("study", "on", "what"), *((s.name, s.experiment, s.summary) for s in studies.values())]
    say(columns(rows))


def reproduce_command(
    name: str,
    options: Mapping[str, Any],
    *,
    on: str | None,
    networks: Path | None,
    output: Path | None,
    resume: bool,
    blocked: Collection[str],
    means: Means,
    command: str,
) -> None:
    """Run a study under each of its protocols and write its page.

    Parameters
    ----------
    name : str
        The study's.
    options : mapping
        As `linerefine.configure.resolve` takes them.
    on : str or None
        Experiment; None: the study's own.
    networks : Path or None
        Run or study whose networks are used.
    output : Path or None
        Folder of the study.
    resume : bool
        Go on with what ``output`` holds.
    blocked : collection of str
        Plugins to leave out.
    means : Means
        Who runs the sessions.
    command : str
        What was typed, for the page.
    """
    means.check()
    registry = usable_registry(blocked)
    study = registry.study(name)
    experiment = on or study.experiment
    from linerefine.studies.perform import settings

    configs = settings(registry, study, experiment, options)
    for config in configs.values():
        check_device(config)
    folder = _folder(output, f"{name}-{experiment}", resume=resume)
    try:
        outcome = _perform(name, experiment, configs, folder, registry, networks, resume, means)
    except KeyboardInterrupt as interrupt:
        said = f"interrupted; finished work is kept in {folder}; go on with the same command, "
        msg = f"{said}--output {shlex.quote(str(folder))} --resume"
        raise Stopped(msg) from interrupt
    _finish(outcome, folder, command)


def _folder(output: Path | None, name: str, *, resume: bool) -> Path:
    if not resume:
        return new_folder(output, name)
    if output is None or not output.is_dir():
        msg = "--resume needs --output with the folder of the study that was begun."
        raise RunError(msg)
    return output


def _perform(
    name: str,
    experiment: str,
    configs: Mapping[str, ExperimentConfig],
    folder: Path,
    registry: Registry,
    networks: Path | None,
    resume: bool,
    means: Means,
) -> Outcome:
    from linerefine.studies.perform import perform  # torch: seconds

    chosen = registry.experiment(experiment)

    def run(config: ExperimentConfig, part: Path, labels: Mapping[str, str]) -> RunResult:
        begun = resume and (part / "config.toml").exists()
        uri = store_of(config, folder)
        complain(plan_line(f"{name} on {experiment}", config, part, uri, resumed=begun))
        return run_watched(
            chosen, config, registry, part, uri, resume=begun, means=means, labels=labels
        )

    study = registry.study(name)
    return perform(study, chosen, configs, folder, registry, run, networks=networks)


def _finish(outcome: Outcome, folder: Path, command: str) -> None:
    """Write the page, hand it to MLflow, print its tables, say where it is."""
    from linerefine.report import Report, Table
    from linerefine.studies.page import write_study
    from linerefine.tracking.console import print_report

    page, path = write_study(outcome, command)
    uri = store_of(outcome.first.config, folder)
    if uri:
        from linerefine.tracking.mlflow import add_artifact

        for protocol in outcome.results:
            add_artifact(folder / protocol, path, folder="study")
    tables = [part for each in page.sections for part in each.parts if isinstance(part, Table)]
    print_report(Report(tuple(tables)), result_console())
    say(f"Wrote {path} (open it in a browser) and {', '.join(outcome.results)} beside it")
