"""What a run found, in sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from linerefine.config import ExperimentConfig, RefinerConfig
from linerefine.experiment.verdict import verdict
from linerefine.report import RunResult

from .conftest import CONFIG

FIRST = {"images": {"a": {"pfm": 0.6}, "b": {"pfm": 0.8}}, "mean": {"pfm": 0.7}}


def rounds(gains: dict[str, list[float]], refiner: str = "unet") -> pd.DataFrame:
    """Return sessions of one stroke each: image -> gains of its repeats."""
    rows: list[dict[str, Any]] = []
    for image, values in gains.items():
        for repeat, gain in enumerate(values):
            key = {"refiner": refiner, "image": image, "repeat": repeat}
            for number, refined in enumerate((0.5, 0.5 * (1 + gain))):
                rows.append(
                    key
                    | {"round": number, "effort": number, "stroke_length": 3.0 * number}
                    | {"manual_pfm": 0.5, "refined_pfm": refined, "half_width": 2.0}
                    | {"relative_gain": gain if number else 0.0, "seconds_draw": 0.0}
                    | {"tile_row": 0, "tile_col": 0, "operation": 1}
                )
    return pd.DataFrame(rows)


def result(table: pd.DataFrame, *, config: ExperimentConfig = CONFIG, **mean: float) -> RunResult:
    images = {"a": {"reached": 2, "repeats": 2}, "b": {"reached": 1, "repeats": 2}}
    numbers = {"unet": {"mean": mean, "images": images}}
    summary = {"first_prediction": FIRST, "refiners": numbers}
    return RunResult(config, None, table, pd.DataFrame(), summary)  # type: ignore[arg-type]


def test_the_first_prediction_comes_first() -> None:
    found = result(rounds({"a": [0.1], "b": [0.1]}), mean_gain=0.1)
    said = "First prediction, before any stroke: pFM 70.0 %, mean of 2 test images."
    assert verdict(found)[0] == said
    assert verdict(replace(found, rounds=pd.DataFrame())) == (said,)


def test_a_refiner_that_helps_is_better_than_manual() -> None:
    found = result(
        rounds({"a": [0.05, 0.07], "b": [0.08, 0.08]}), mean_gain=0.071, workload_reduction=0.25
    )
    (_, said) = verdict(found)
    assert said.startswith(
        "unet does better than manual: after the same strokes pFM is 7.1 % above that of work by "
        "hand, mean over interactions, repeats and images (95 % interval +"
    )
    assert "chance" not in said
    assert said.endswith(
        "The best manual pFM takes 25.0 % fewer hinted pixels in the 3 of 4 sessions that reach it."
    )


def test_what_a_refiner_does_before_the_first_stroke_is_said() -> None:
    table = rounds({"a": [0.1], "b": [0.1]})
    (_, said) = verdict(result(table, mean_gain=0.1, initial=0.5, revised=0.55))
    first = "Before the first stroke unet revises the first prediction: pFM 50.0 % becomes 55.0 %."
    assert said.startswith(f"{first} unet does better than manual: ")
    assert "revises" not in verdict(result(table, mean_gain=0.1, initial=0.5, revised=0.5))[1]


def test_a_refiner_that_harms_is_named_as_worse_than_manual() -> None:
    found = result(
        rounds({"a": [-0.02, -0.03], "b": [-0.01, -0.02]}),
        mean_gain=-0.02,
        workload_reduction=-0.25,
    )
    (_, said) = verdict(found)
    assert said.startswith("unet does worse than manual: after the same strokes pFM is 2.0 % below")
    assert "--set training.max_epochs=20" in said
    assert "takes 25.0 % more hinted pixels" in said


def test_what_chance_may_have_made_is_said_so() -> None:
    found = result(rounds({"a": [-0.05], "b": [0.04]}), mean_gain=-0.005)
    assert "does worse than manual" in verdict(found)[1]
    assert "; chance may have made it)" in verdict(found)[1]


def test_one_image_has_no_interval() -> None:
    assert "interval" not in verdict(result(rounds({"a": [0.1, 0.2]}), mean_gain=0.15))[1]


def test_the_person_without_help_is_compared_with_nobody() -> None:
    config = CONFIG.model_copy(update={"refiners": (RefinerConfig(name="manual"),)})
    found = result(rounds({"a": [0.0], "b": [0.0]}, "manual"), config=config)
    assert len(verdict(found)) == 1


def test_what_is_undefined_is_left_out() -> None:
    table = rounds({"a": [0.1], "b": [0.1]})
    found = result(table, mean_gain=0.1, workload_reduction=float("nan"))
    assert "hinted pixels" not in verdict(found)[1]
