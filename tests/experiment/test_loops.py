"""A run by the rules of the independent loop, with a person who may only add."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from linerefine.config import RefinerConfig
from linerefine.evaluation.sessions import KEYS, session_summary
from linerefine.events import Event, RoundFinished, SessionFinished, SessionKey
from linerefine.experiment.workers import Processes, Workers
from linerefine.report import RunResult
from linerefine.tracking.rounds import session_path

from .conftest import CONFIG, run

UNET = CONFIG.refiners[0]
ADDS = UNET.model_copy(update={"label": "adds", "weights": "unet", "operations": ("add",)})
APART: dict[str, Any] = {
    "refiners": (UNET, ADDS, RefinerConfig(name="manual", label="pen")),
    "evaluation": CONFIG.evaluation.model_copy(update={"loop": "independent", "patch_passes": 0}),
}


class Told:
    """An observer that keeps how sessions ended."""

    def __init__(self) -> None:
        self.ends: list[SessionFinished] = []
        self.rounds: Counter[SessionKey] = Counter()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RoundFinished):
            self.rounds[event.key] += 1
        if isinstance(event, SessionFinished):
            self.ends.append(event)


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, told: Told) -> RunResult:
    return run(tmp_path_factory.mktemp("apart") / "out", told, **APART)


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


def check_told(told: Told, result: RunResult) -> None:
    """Check that observers heard of every session once, in the words of the summary."""
    evaluation = result.config.evaluation
    summary = session_summary(
        result.rounds, "pfm", loop="independent", budget=evaluation.budget, manual="pen"
    ).set_index(KEYS)
    assert len(told.ends) == len(summary) == len(told.rounds)
    for event in told.ends:
        key = event.key
        expected = summary.loc[(key.refiner, key.image, key.repeat)]
        assert pd.Series(event.numbers).sort_index().equals(expected.sort_index())
        assert told.rounds[key] == event.rounds + 1
    # An image without lines has no score, and so no mark.
    assert summary["manual_best"].notna().equals(summary["initial"].notna())
    assert summary["manual_best"].notna().any()
    order = [event.key for event in told.ends]
    for at, key in enumerate(order):
        assert order.index(SessionKey("pen", key.repeat, key.image)) <= at


def test_observers_hear_of_each_person_beside_the_manual_one(
    told: Told, finished: RunResult
) -> None:
    check_told(told, finished)
    assert {event.key.refiner for event in told.ends[: len(told.ends) // 3]} == {"pen"}


@pytest.mark.parametrize("workers", [None, Processes(2)], ids=["here", "processes"])
def test_sessions_wait_for_the_manual_one_that_has_to_be_played_again(
    finished: RunResult, tmp_path: Path, workers: Workers | None
) -> None:
    folder, told = tmp_path / "out", Told()
    shutil.copytree(finished.output, folder)
    gone = next(key for key in session_keys(finished) if key.refiner == "pen")
    session_path(folder / "rounds", gone).unlink()
    result = run(folder, told, resume=True, workers=workers, **APART)
    check_told(told, result)
    ours, theirs = (each.rounds.filter(regex="^(?!seconds_)") for each in (result, finished))
    pd.testing.assert_frame_equal(ours, theirs)


def session_keys(result: RunResult) -> list[SessionKey]:
    """Return the sessions of a run."""
    found = result.rounds[["refiner", "repeat", "image"]].drop_duplicates()
    return [SessionKey(*key) for key in found.itertuples(index=False)]
