"""A whole run with metrics that are not additive: where they are scored, and where they are not."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest

from linerefine.config import Component
from linerefine.report import RunResult
from linerefine.tracking.mlflow import MlflowObserver

from .conftest import run

OTHERS = ("cldice", "centreline_distance", "betti0")
METRICS = tuple(Component(name=name) for name in ("pfm", "iou", *OTHERS))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, str]:
    folder = tmp_path_factory.mktemp("whole masks")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    observer = MlflowObserver(uri, log_model=False)
    return run(folder / "out", observer, metrics=METRICS), uri


@pytest.mark.parametrize("name", OTHERS)
def test_sessions_hold_them_in_the_first_and_the_last_round(
    finished: tuple[RunResult, str], name: str
) -> None:
    rounds = finished[0].rounds
    last = rounds.groupby(["refiner", "repeat", "image"])["round"].transform("max")
    is_end = (rounds["round"] == 0) | (rounds["round"] == last)
    has_lines = rounds["manual_pfm"].notna()
    assert (~is_end).any()
    for side in ("manual", "refined"):
        column = rounds[f"{side}_{name}"]
        assert column[~is_end].isna().all()
        assert column[is_end & has_lines].notna().all()


def test_first_predictions_and_patches_hold_them(finished: tuple[RunResult, str]) -> None:
    result, _ = finished
    for name in OTHERS:
        assert np.isfinite(result.summary["first_prediction"]["mean"][name])
        for side in ("initial", "manual", "refined"):
            assert result.patches[f"{side}_{name}"].notna().all()


def test_tables_show_lengths_and_numbers_as_such(finished: tuple[RunResult, str]) -> None:
    table = finished[0].report.tables[0]
    assert {"pfm", "cldice"} <= table.percent
    assert not {"centreline_distance", "betti0"} & table.percent
    assert "betti0" in table.columns


def test_mlflow_holds_them_at_both_ends_of_each_image(finished: tuple[RunResult, str]) -> None:
    result, uri = finished
    client = mlflow.MlflowClient(uri)
    (experiment,) = (e for e in client.search_experiments() if e.name != "Default")
    found = pd.DataFrame(
        [
            (key, point.step, point.value)
            for child in client.search_runs([experiment.experiment_id])
            for key in child.data.metrics
            if key.endswith("betti0_refined") and key.startswith("image/")
            for point in client.get_metric_history(child.info.run_id, key)
        ],
        columns=["key", "step", "value"],
    )
    ends = result.rounds.dropna(subset=["refined_betti0"])
    assert sorted(zip(found["step"], found["value"], strict=True)) == sorted(
        zip(ends["round"], ends["refined_betti0"], strict=True)
    )
    assert len(found) > 4
