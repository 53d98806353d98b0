"""Runs in MLflow: a parent per command, a child per refiner and repeat.

The only module that imports mlflow, and only where it is used. MLflow is a
view of a run; the truth is the run folder.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from linerefine.errors import RunError
from linerefine.tracking.recorder import PART, RunRecorder, Store
from linerefine.tracking.store import (
    artifact_root,
    check_server,
    check_writable,
    first_line,
    is_abandoned,
    is_outdated,
    sqlite_path,
    store_lock,
    upgrade,
)
from linerefine.tracking.writer import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from linerefine.refiners.base import Refiner
    from linerefine.refiners.serving import ServedRefiner

__all__ = ["MODEL", "MlflowObserver", "MlflowStore", "add_artifact", "asked"]
__all__ += ["log_refiner_model", "mark_abandoned", "open_client"]

log = logging.getLogger(__name__)

T = TypeVar("T")

MODEL = "linerefine.model"
"""Tag of a training run: the URI of the refiner it made."""

_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the pages are for chatbots
_PARAMS_AT_ONCE = 100  # MLflow's limit per call
_PAUSES = (0.1, 0.3, 1.0, 3.0)  # between tries while another process writes, seconds
_TRACING_FAILURES = (  # of a plugin's own code, run by the exporter
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
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


def open_client(uri: str) -> MlflowClient:
    """Return a client of a store, which is made or brought up to date if need be.

    Raises
    ------
    RunError
        If the store cannot be reached, written or understood.
    """
    # Nothing is sent anywhere by default; both are read when mlflow is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    database = sqlite_path(uri)
    if database is None and uri.startswith(("http://", "https://")):
        check_server(uri)
    try:
        if database is None:
            return _client(uri)
        with store_lock(database):
            check_writable(database)
            if is_outdated(database):
                upgrade(uri, database)
            return _client(uri)
    # ImportError: the driver of some other database is not installed.
    except (ImportError,) + _failures() as error:
        msg = (
            f"the MLflow store '{uri}' cannot be used: {first_line(error)} "
            f"Correct tracking.uri, or pass --set tracking.enabled=false."
        )
        raise RunError(msg) from error


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


def log_refiner_model(
    client: MlflowClient, run: str, refiner: Refiner, channels: int, *, edge: int = 256
) -> str:
    """Record a trained refiner as an MLflow model that loads back and predicts the same.

    Parameters
    ----------
    client : MlflowClient
        Of the store.
    run : str
        Id of the run the model belongs to.
    refiner : Refiner
        Copied; left in its mode and on its device.
    channels : int
        Channels of the image.
    edge : int
        Height and width at which the model is tried before it is recorded.

    Returns
    -------
    uri : str
        For ``mlflow.pytorch.load_model`` or ``mlflow.pyfunc.load_model``. The
        model is `linerefine.refiners.serving.ServedRefiner`: it takes tensors
        of shape (B, channels + 2, H, W), any B, H and W that suit the network.

    Raises
    ------
    RunError
        If neither format gives a model that loads back and predicts the same.

    Notes
    -----
    The model is an exported graph (``pt2``), which loads without linerefine
    and runs no stranger's code. A refiner that cannot be exported is pickled
    instead, with a warning; it needs linerefine and its plugin to load.
    """
    from mlflow.entities import LoggedModelOutput

    served = copy.deepcopy(refiner).cpu().eval().requires_grad_(False).served()
    experiment = client.get_run(run).info.experiment_id
    entry = client.create_logged_model(experiment, name="refiner", source_run_id=run)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = _saved(served, channels, edge, Path(folder), entry)
            client.log_model_artifacts(entry.model_id, str(path))
        client.log_outputs(run, [LoggedModelOutput(entry.model_id, step=0)])
    except (RunError,) + _failures():
        client.finalize_logged_model(entry.model_id, "FAILED")
        raise
    client.finalize_logged_model(entry.model_id, "READY")
    return f"models:/{entry.model_id}"


def _saved(
    served: ServedRefiner, channels: int, edge: int, folder: Path, entry: LoggedModel
) -> Path:
    """Save a refiner in the first format that loads back and predicts the same."""
    reasons = []
    for form in ("pt2", "pickle"):
        try:
            _save(served, channels, folder / form, form, entry)
            _check_same(served, channels, edge, folder / form)
        except _TRACING_FAILURES + _failures() as error:
            reasons.append(f"{form}: {first_line(error)}")
            log.warning("the refiner cannot be kept as %s", reasons[-1])
        else:
            return folder / form
    msg = f"the refiner cannot be kept as an MLflow model ({'; '.join(reasons)})."
    raise RunError(msg)


def _save(served: ServedRefiner, channels: int, path: Path, form: str, entry: LoggedModel) -> None:
    import mlflow.pytorch
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    number = np.dtype(np.float32)
    needs = [f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"]
    mlflow.pytorch.save_model(
        served,
        path,
        mlflow_model=Model(
            artifact_path=entry.artifact_location,
            run_id=entry.source_run_id,
            model_id=entry.model_id,
            model_uuid=entry.model_id,
        ),
        # Free sizes: the exported graph then takes any batch, height and width.
        signature=ModelSignature(
            Schema([TensorSpec(number, (-1, channels + 2, -1, -1))]),
            Schema([TensorSpec(number, (-1, 1, -1, -1))]),
        ),
        input_example=served.example_input(channels).numpy(),
        serialization_format=form,
        pip_requirements=needs if form == "pt2" else [*needs, "linerefine"],
    )


def _check_same(served: ServedRefiner, channels: int, edge: int, path: Path) -> None:
    """Raise AssertionError unless a saved refiner predicts the same, to 1e-5."""
    import mlflow.pytorch
    import torch

    trial = served.example_input(channels, edge, batch=1, seed=1)
    with torch.no_grad():
        loaded = mlflow.pytorch.load_model(str(path))
        torch.testing.assert_close(loaded(trial), served(trial), rtol=1e-5, atol=1e-5)


def _client(uri: str) -> MlflowClient:
    with _quiet():
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return MlflowClient(uri)


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


def asked(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
    """Call a client, again while another process writes, and turn MLflow's errors into ours.

    Raises
    ------
    RunError
        If the store does not take it.
    """
    for pause in (*_PAUSES, None):
        try:
            with _quiet():
                return call(*args, **kwargs)
        except _failures() as error:
            if pause is None or "database is locked" not in str(error):
                msg = f"MLflow does not take it: {first_line(error)}"
                raise RunError(msg) from error
            time.sleep(pause)
    raise AssertionError  # the last try returns or raises


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's advice to itself; what matters comes as an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises when a store fails."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError
