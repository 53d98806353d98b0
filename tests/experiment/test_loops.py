"""A run by the rules of the independent loop, with a person who may only add."""

from __future__ import annotations

import pandas as pd
import pytest

from linerefine.config import RefinerConfig
from linerefine.report import RunResult

from .conftest import CONFIG, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    unet = CONFIG.refiners[0]
    adds = unet.model_copy(update={"label": "adds", "weights": "unet", "operations": ("add",)})
    evaluation = CONFIG.evaluation.model_copy(update={"loop": "independent", "patch_passes": 0})
    return run(
        tmp_path_factory.mktemp("apart") / "out",
        refiners=(unet, adds, RefinerConfig(name="manual", label="pen")),
        evaluation=evaluation,
    )


def test_each_person_works_alone_and_every_stroke_counts(finished: RunResult) -> None:
    rounds = finished.rounds
    assert set(rounds["refiner"]) == {"unet", "adds", "pen"}
    strokes = rounds.groupby(["refiner", "image", "repeat"])["round"].max()
    assert len(strokes) == 3 * len(strokes["pen"])
    assert (strokes["pen"] == 4).all()
    by_hand = rounds[rounds["refiner"] == "pen"]
    assert by_hand["manual_pfm"].equals(by_hand["refined_pfm"])
    assert (by_hand.loc[by_hand["round"] > 0, "compliance"] == 1).all()


def test_operations_are_those_of_the_refiner(finished: RunResult) -> None:
    drawn = finished.rounds.dropna(subset="operation").groupby("refiner")["operation"].unique()
    assert set(drawn["adds"]) == {"add"}
    assert "erase" in drawn["pen"]


def test_the_summary_compares_with_the_manual_person(finished: RunResult) -> None:
    best = finished.rounds[finished.rounds["refiner"] == "pen"].groupby(["image", "repeat"])
    marks = best["refined_pfm"].max().groupby("image").mean()
    for numbers in (finished.summary["refiners"][name] for name in ("unet", "adds")):
        found = pd.Series({image: part["manual_best"] for image, part in numbers["images"].items()})
        pd.testing.assert_series_equal(found, marks, check_names=False)
    titles = [table.title for table in finished.report.tables]
    assert "adds: what a stroke did, and what the work cost, mean over repeats" in titles


def test_the_table_of_rounds_is_whole(finished: RunResult) -> None:
    stored = pd.read_parquet(finished.output / "rounds.parquet")
    drawn = stored[stored["round"] > 0]
    assert drawn[["regret", "repaired"]].notna().all(axis=None)
    assert (
        stored.loc[stored["round"] == 0, ["regret", "repaired", "compliance"]].isna().all(axis=None)
    )
