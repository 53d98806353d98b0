"""The paper's score sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linerefine.config import RefinerConfig
from linerefine.report import Report, RunResult, Table
from linerefine_etruscan_mirrors.options import DEFAULTS
from linerefine_etruscan_mirrors.scoring import score_sheet


def session(image: str, repeat: int, refined: list[float]) -> pd.DataFrame:
    """Four rounds; the manual curve climbs from .4 to .6 with 30 hinted pixels."""
    manual = np.array([0.4, 0.5, 0.55, 0.6])
    return pd.DataFrame(
        {
            "refiner": "unet_b6",
            "repeat": repeat,
            "image": image,
            "round": range(4),
            "effort": [0, 10, 20, 30],
            "manual_pfm": manual,
            "refined_pfm": refined,
            "manual_iou": manual / 2,
            "refined_iou": np.array(refined) / 2,
            "relative_gain": np.array(refined) / manual - 1,
        }
    )


def result(data: str = "real", **changed: Any) -> RunResult:
    reaching, short = [0.4, 0.62, 0.64, 0.63], [0.4, 0.52, 0.56, 0.58]
    patches = pd.DataFrame(
        {
            "refiner": "unet_b6",
            "pass": [0, 1],
            "initial_pfm": 0.4,
            "manual_pfm": [0.44, 0.46],
            "refined_pfm": [0.48, 0.5],
            "initial_iou": 0.2,
            "manual_iou": 0.22,
            "refined_iou": 0.25,
            "relative_gain": [0.08, 0.1],
        }
    )
    parts = {
        "config": DEFAULTS,
        "output": Path("runs/x"),
        "rounds": pd.concat(
            [session("X_R", 0, reaching), session("X_R", 1, reaching), session("Y_R", 0, short)]
        ),
        "patches": patches,
        "summary": {"simulator": {"kept_mean": 3.1, "kept_sd": 0.7, "half_width": 1.7}},
        "tags": {"data": data},
    }
    return RunResult(**(parts | changed))


def tables(report: Report) -> tuple[Table, Table, Table]:
    patches, mirrors, widths = report.tables
    return patches, mirrors, widths


def test_patches_show_first_manual_and_refined_beside_the_paper() -> None:
    table = tables(score_sheet(result()))[0]
    first, manual, refined, paper, paper_refined = table.rows
    assert (first["prediction"], first["pfm"], first["iou"]) == (
        "first prediction",
        pytest.approx(0.4),
        pytest.approx(0.2),
    )
    assert manual["pfm"] == pytest.approx(0.45)
    assert manual["pfm sd"] == pytest.approx(0.01)
    assert refined["relative gain"] == pytest.approx(0.09)
    assert paper["pfm"] == 0.4928
    assert paper["iou"] == 0.3286
    assert paper_refined["relative gain"] == 0.06
    assert {"pfm", "iou sd", "relative gain"} <= table.percent


def test_mirrors_show_gain_and_workload() -> None:
    table = tables(score_sheet(result()))[1]
    row = table.rows[0]
    assert row["mirror"] == "X_R"
    assert row["initial pfm"] == pytest.approx(0.4)
    assert row["manual best pfm"] == pytest.approx(0.6)
    assert row["refined best pfm"] == pytest.approx(0.64)
    assert row["refined best iou"] == pytest.approx(0.32)
    assert row["max gain"] == pytest.approx(0.24)
    assert row["workload reduction"] == pytest.approx(1 - 10 / 30)
    assert row["reached"] == "2 of 2"
    assert row["interactions"] == 3
    assert table.rows[-1]["workload reduction"] == "56 to 75 %"


def test_a_mark_never_reached_says_so() -> None:
    row = tables(score_sheet(result()))[1].rows[1]
    assert row["mirror"] == "Y_R"
    assert row["workload reduction"] == "not reached"
    assert row["reached"] == "0 of 1"


def test_an_independent_person_is_compared_with_the_one_by_hand_whatever_their_label() -> None:
    by_hand = session("X_R", 0, [0.4, 0.5, 0.5, 0.62]).assign(refiner="pen")
    config = DEFAULTS.model_copy(
        update={
            "refiners": (*DEFAULTS.refiners, RefinerConfig(name="manual", label="pen")),
            "evaluation": DEFAULTS.evaluation.model_copy(update={"loop": "independent"}),
        }
    )
    rounds = pd.concat([session("X_R", 0, [0.4, 0.62, 0.64, 0.63]), by_hand])
    table = tables(score_sheet(result(config=config, rounds=rounds)))[1]
    row = next(row for row in table.rows if row["refiner"] == "unet_b6")
    assert row["manual best pfm"] == 0.62
    assert row["workload reduction"] == pytest.approx(1 - 10 / 30)
    assert row["reached"] == "1 of 1"
    assert "each correcting what they see" in table.note


def test_weak_points_stand_under_the_numbers() -> None:
    _, mirrors, _ = tables(score_sheet(result()))
    assert "chosen by the target" in mirrors.note
    assert "ten strokes before it" in mirrors.note


def test_every_table_of_phantoms_says_so() -> None:
    assert all("not real scans" in table.title for table in score_sheet(result("phantom")).tables)
    assert not any("phantom" in table.title for table in score_sheet(result()).tables)


def test_widths_stand_beside_the_papers() -> None:
    widths = tables(score_sheet(result()))[2]
    assert widths.rows[0]["kept_mean"] == 3.1
    assert widths.rows[1]["gamma_shape"] == 49.12885


def test_what_was_skipped_is_left_out() -> None:
    empty = result(patches=pd.DataFrame(), rounds=pd.DataFrame(), summary={})
    assert score_sheet(empty).tables == ()


def test_every_cell_has_a_column() -> None:
    for table in score_sheet(result()).tables:
        for row in table.rows:
            assert set(row) <= set(table.columns)
