"""MLflow's table of runs is opened with the columns that say what a run achieved."""

from __future__ import annotations

import json

import pytest

from linerefine.comparison.numbers import NUMBERS
from linerefine.tracking.mlflow_client import open_client
from linerefine.tracking.store import sqlite_uri
from linerefine.tracking.views import COLUMNS, newest_page

TAG = "mlflow.sharedViewState.linerefine"


@pytest.fixture
def client(tmp_path):
    return open_client(sqlite_uri(tmp_path / "mlflow.db"))


def command(client, experiment, started):
    tags = {"linerefine.part": "command"}
    client.create_run(experiment, start_time=started, tags=tags)


def test_the_experiment_run_last_is_opened_with_its_columns(client):
    old, new = (client.create_experiment(name) for name in ("new name first", "later run"))
    command(client, old, 1000)
    command(client, new, 2000)
    client.create_run(old, start_time=3000)  # somebody else's
    page = newest_page(client)
    assert page.startswith(f"#/experiments/{new}/runs?viewStateShareKey=linerefine&")
    state = json.loads(client.get_experiment(new).tags[TAG])
    assert state["selectedColumns"] == [f"metrics.`{name}`" for name in COLUMNS]
    assert TAG not in client.get_experiment(old).tags


def test_without_runs_all_experiments_are_opened(client):
    assert newest_page(client) == "#/experiments?workflowType=machine_learning"


def test_columns_are_numbers_that_are_compared():
    assert set(COLUMNS) <= set(NUMBERS)
