"""Runs of a store that can be compared, and comparisons as runs of their own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linerefine.errors import RunError
from linerefine.tracking.mlflow import MlflowStore
from linerefine.tracking.mlflow_client import asked
from linerefine.tracking.recorder import COMMAND, PART
from linerefine.tracking.writer import BATCH, Point

__all__ = ["COMPARED", "COMPARISON", "FoundRun", "find_runs", "log_comparison"]

COMPARISON = "comparison"
"""What `linerefine.tracking.recorder.PART` says of a comparison."""

COMPARED = "linerefine.compared"
"""Tag of a comparison: ids of the runs it is about, with spaces between."""

_DIGEST = "linerefine.comparison"


@dataclass(frozen=True)
class FoundRun:
    """A run that a store knows.

    Parameters
    ----------
    run : str
        Its id.
    command : str
        Id of the run of the whole command: its parent's, or its own.
    experiment, experiment_name : str
        Id and name of its experiment.
    output : Path
        The run folder.
    refiner : str
        Key of the refiner it is about; empty for a whole command.
    """

    run: str
    command: str
    experiment: str
    experiment_name: str
    output: Path
    refiner: str


def find_runs(
    uri: str,
    *,
    ids: Sequence[str] = (),
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[FoundRun]:
    """Return runs of a store, the oldest first.

    Parameters
    ----------
    uri : str
        Address of the store.
    ids : sequence of str
        Runs by id, of whole commands or of their parts. Without any: all
        finished commands that fit the rest.
    experiment : str, optional
        Name of their experiment.
    tags : mapping of str to str, optional
        Tags that they must have.

    Raises
    ------
    RunError
        If the store cannot be used, or lacks the experiment or a run.
    """
    client = MlflowStore(uri).client
    experiments = {e.experiment_id: e.name for e in asked(client.search_experiments)}
    if ids:
        return [_found(asked(client.get_run, run), experiments) for run in ids]
    chosen = [key for key, name in experiments.items() if experiment in (None, name)]
    if not chosen:
        known = ", ".join(sorted(experiments.values())) or "none"
        msg = f"{uri} has no experiment '{experiment}'. It has: {known}."
        raise RunError(msg)
    finished = f"attributes.status = 'FINISHED' and tags.`{PART}` = '{COMMAND}'"
    order = ["attributes.start_time ASC"]
    # Names and values of tags may hold quotes, so they are compared here.
    return [
        _found(run, experiments)
        for run in _all_pages(client, chosen, finished, order)
        if all(run.data.tags.get(key) == value for key, value in (tags or {}).items())
    ]


def log_comparison(
    uri: str,
    experiment: str,
    *,
    compared: Sequence[str],
    rows: Sequence[str],
    metric: str,
    numbers: Mapping[str, float],
    note: str,
    files: Sequence[Path],
) -> str:
    """Record a comparison as a run; one of the same runs, rows and metric is replaced.

    Parameters
    ----------
    uri, experiment : str
        Address of the store, id of the experiment.
    compared : sequence of str
        Ids of the runs.
    rows : sequence of str
        What is compared.
    metric : str
        By what.
    numbers : mapping of str to float
        Kept as metrics.
    note : str
        What MLflow shows on the run's page, Markdown.
    files : sequence of Path
        Kept as artifacts.

    Returns
    -------
    run : str
        Its id.

    Raises
    ------
    RunError
        If the store does not take it.
    """
    store = MlflowStore(uri)
    client = store.client
    digest = hashlib.sha256(json.dumps([*compared, *rows, metric]).encode()).hexdigest()[:16]
    same = f"tags.`{_DIGEST}` = '{digest}'"
    for earlier in asked(client.search_runs, [experiment], same):
        asked(client.delete_run, earlier.info.run_id)
    tags = {
        PART: COMPARISON,
        COMPARED: " ".join(compared),
        _DIGEST: digest,
        "mlflow.note.content": note,
        "mlflow.source.name": "linerefine",
    }
    name = f"comparison {time.strftime('%m-%d %H:%M')}"
    params = {"metric": metric, "rows": "; ".join(rows)}
    run = store.create(experiment, name, tags, params)
    now = int(time.time() * 1000)
    points = [Point(key, value, now, 0, is_final=True) for key, value in numbers.items()]
    for start in range(0, len(points), BATCH):
        store.send(run, points[start : start + BATCH])
    for path in files:
        store.artifact(run, path, COMPARISON)
    store.end(run, "FINISHED")
    return run


def _all_pages(client: Any, experiments: list[str], wanted: str, order: list[str]) -> list[Any]:  # noqa: ANN401
    runs: list[Any] = []
    token = None
    while True:
        page = asked(client.search_runs, experiments, wanted, order_by=order, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _found(run: Any, experiments: Mapping[str, str]) -> FoundRun:  # noqa: ANN401
    tags = run.data.tags
    if "linerefine.output" not in tags:
        msg = f"run {run.info.run_id} was not recorded by linerefine run: it names no run folder."
        raise RunError(msg)
    experiment = str(run.info.experiment_id)
    return FoundRun(
        run=str(run.info.run_id),
        command=tags.get("mlflow.parentRunId", str(run.info.run_id)),
        experiment=experiment,
        experiment_name=experiments.get(experiment, experiment),
        output=Path(tags["linerefine.output"]),
        refiner=tags.get("refiner", ""),
    )
