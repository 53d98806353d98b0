"""MLflow's table of runs, opened with the columns that say what a run achieved.

MLflow shows no numbers there unless somebody chooses columns. What its button *Share* keeps, a
tag of the experiment that an address names, is kept here by the program.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from linerefine.tracking.mlflow_client import asked

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["COLUMNS", "newest_page"]

COLUMNS: Final = (
    "initial",
    "refined_best",
    "max_gain",
    "mean_gain",
    "workload_reduction",
    "regret",
)
"""Numbers of a child that stands for the sessions with a refiner."""

KEY: Final = "linerefine"
"""Of the view, in the address."""

_TAG = f"mlflow.sharedViewState.{KEY}"
# Without it MLflow 3 opens with menus for chatbots; older ones ignore it.
_KIND = "workflowType=machine_learning"


def newest_page(client: MlflowClient) -> str:
    """Return the page of the experiment that was run last, after ``/``, and keep its columns.

    Raises
    ------
    RunError
        If the store fails.
    """
    experiments = [found.experiment_id for found in asked(client.search_experiments)]
    runs = asked(
        client.search_runs,
        experiments,
        "tags.`linerefine.part` = 'command'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    if not runs:
        return f"#/experiments?{_KIND}"
    experiment = runs[0].info.experiment_id
    asked(client.set_experiment_tag, experiment, _TAG, _state(COLUMNS))
    return f"#/experiments/{experiment}/runs?viewStateShareKey={KEY}&{_KIND}"


def _state(metrics: Iterable[str]) -> str:
    """Return a view of the table in MLflow's own words."""
    columns = [f"metrics.`{name}`" for name in metrics]
    return json.dumps({"selectedColumns": columns})
