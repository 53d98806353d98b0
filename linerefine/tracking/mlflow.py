"""Runs in MLflow: a parent per command, a child per refiner and repeat.

MLflow is a view of a run; the truth is the run folder. `mlflow_client` opens
and asks a store, `mlflow_models` keeps trained refiners in it; these three
modules alone import mlflow, and only where it is used.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from linerefine.errors import RunError
from linerefine.tracking.mlflow_client import asked, open_client
from linerefine.tracking.mlflow_models import log_refiner_model
from linerefine.tracking.recorder import PART, RunRecorder, Store
from linerefine.tracking.store import artifact_root, is_abandoned, sqlite_path
from linerefine.tracking.writer import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from linerefine.refiners.base import Refiner

__all__ = ["MODEL", "MlflowObserver", "MlflowStore", "add_artifact", "mark_abandoned"]

T = TypeVar("T")

MODEL = "linerefine.model"
"""Tag of a training run: the URI of the refiner it made."""

_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the pages are for chatbots
_PARAMS_AT_ONCE = 100  # MLflow's limit per call
_REST = 60.0  # after a failure, so that a dead store does not slow a run down, seconds


class MlflowObserver(RunRecorder):
    """Observer that records a run in MLflow.

    Parameters
    ----------
    uri : str
        The store, such as `linerefine.tracking.store.sqlite_uri` names it;
        made, or brought up to date, if need be.
    log_model : bool
        Whether trained refiners are kept as MLflow models.
    seconds : float
        Longest time that numbers wait in memory.

    Raises
    ------
    RunError
        If the store cannot be reached, written or understood.

    Notes
    -----
    The parent run holds the settings, the curves of the first-prediction
    network (``segmenter/loss``; step = epoch), the summary and the pictures.
    A child ``train · <refiner>`` holds the refiner's own training curves
    and the model; a child ``<repeat> · <refiner>`` the sessions, step =
    interaction: ``<metric>_manual``, ``<metric>_refined``, ``relative_gain``,
    ``hinted_pixels`` and ``stroke_length``, averaged over the images (an image
    that stopped earlier carries its last value forward) once all are through,
    and for each image under ``image/<name>/`` while it goes on. The gain is over
    the same strokes pasted; in an independent run over the manual person after
    as many interactions.
    """

    def __init__(self, uri: str, *, log_model: bool = True, seconds: float = 5.0) -> None:
        super().__init__(MlflowStore(uri), uri=uri, log_model=log_model, seconds=seconds)


class MlflowStore(Store):
    """What `RunRecorder` asks of a store, answered by MLflow's client (see `open_client`)."""

    def __init__(self, uri: str) -> None:
        self.client = open_client(uri)
        self._database = sqlite_path(uri)
        self._resting_until = 0.0
        self._reason = ""

    def hurry(self) -> None:
        self._resting_until = 0.0

    def experiment(self, name: str) -> str:
        root = None if self._database is None else artifact_root(self._database)
        found = self._try(_experiment, self.client, name, root)
        self._try(_mark_abandoned, self.client, [found])
        return found

    def create(
        self, experiment: str, name: str, tags: Mapping[str, str], params: Mapping[str, str]
    ) -> str:
        from mlflow.entities import Param

        run = self._try(self.client.create_run, experiment, tags=dict(tags), run_name=name)
        items = [Param(key, value) for key, value in params.items()]
        for start in range(0, len(items), _PARAMS_AT_ONCE):
            part = items[start : start + _PARAMS_AT_ONCE]
            self._try(self.client.log_batch, run.info.run_id, params=part)
        return str(run.info.run_id)

    def reopen(self, run: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            if self.client.get_run(run).info.lifecycle_stage != "active":
                return False
        except MlflowException:
            return False
        self._try(self.client.update_run, run, status="RUNNING")
        return True

    def children(self, experiment: str, parent: str) -> dict[str, tuple[str, bool]]:
        child_of = f"tags.mlflow.parentRunId = '{parent}'"
        found = self._try(self.client.search_runs, [experiment], child_of)
        return {
            run.data.tags[PART]: (run.info.run_id, run.info.status == "FINISHED")
            for run in found
            if PART in run.data.tags
        }

    def latest(self, run: str) -> dict[str, tuple[int, float]]:
        metrics = self._try(self.client.get_run, run).to_proto().data.metrics
        return {metric.key: (metric.step, metric.value) for metric in metrics}

    def send(self, run: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(p.key, p.value, p.milliseconds, p.step) for p in points]
        self._try(self.client.log_batch, run, metrics=metrics)

    def artifact(self, run: str, path: Path, folder: str) -> None:
        add = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        asked(add, run, str(path), folder or None)

    def model(self, run: str, refiner: Refiner, channels: int, edge: int) -> None:
        if MODEL not in self._try(self.client.get_run, run).data.tags:
            uri = asked(log_refiner_model, self.client, run, refiner, channels, edge=edge)
            self._try(self.client.set_tag, run, MODEL, uri)

    def end(self, run: str, status: str) -> None:
        self._try(self.client.set_terminated, run, status)

    def _try(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
        """Call; after a failure rest for a while."""
        if time.monotonic() < self._resting_until:
            raise RunError(self._reason)
        try:
            return asked(call, *args, **kwargs)
        except RunError as error:
            self._resting_until = time.monotonic() + _REST
            self._reason = str(error)
            raise


def add_artifact(run_folder: Path, path: Path, *, folder: str) -> None:
    """Add a file to the run that was recorded from a run folder, which may have ended.

    Parameters
    ----------
    run_folder : Path
        Whose ``mlflow.json`` says which run it is.
    path : Path
        The file.
    folder : str
        Where among the run's artifacts.

    Raises
    ------
    RunError
        If the run folder was not recorded, or the store does not take the file.
    """
    try:
        memory = json.loads((run_folder / "mlflow.json").read_text(encoding="utf-8"))
        uri, run = str(memory["uri"]), str(memory["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{run_folder} says no run in MLflow that {path.name} belongs to ({error})."
        raise RunError(msg) from error
    MlflowStore(uri).artifact(run, path, folder)


def mark_abandoned(client: MlflowClient) -> None:
    """Mark runs of this machine as failed whose process is gone.

    Raises
    ------
    RunError
        If the store fails.
    """
    found = asked(client.search_experiments)
    asked(_mark_abandoned, client, [experiment.experiment_id for experiment in found])


def _experiment(client: MlflowClient, name: str, root: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=root, tags=_KIND))
        except MlflowException:  # another process was first
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _mark_abandoned(client: MlflowClient, experiments: list[str]) -> None:
    running = "attributes.status = 'RUNNING'"
    commands = f"{running} and tags.`{PART}` = 'command'"
    for parent in client.search_runs(experiments, commands):
        tags = parent.data.tags
        is_ours = tags.get("linerefine.host") == platform.node()
        if is_ours and is_abandoned(Path(tags.get("linerefine.output", ""))):
            child_of = f"{running} and tags.mlflow.parentRunId = '{parent.info.run_id}'"
            for run in [*client.search_runs(experiments, child_of), parent]:
                client.set_terminated(run.info.run_id, "FAILED")
