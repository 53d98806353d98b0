"""The script that sets refiners beside each other on several sets."""

from __future__ import annotations

import runpy
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w

SCRIPT = str(Path(__file__).parents[1] / "scripts" / "compare_sets.py")

SCORES = {
    # First predictions are 0.5 and 0.9, the manual person's bests 0.8 and 0.95.
    ("manual", "ink1"): [0.5, 0.6, 0.7, 0.8],
    ("unet", "ink1"): [0.5, 0.7, 0.8, 0.6],
    ("anchored", "ink1"): [0.6, 0.8, 0.88],
    ("manual", "crack1"): [0.9, 0.95],
    ("unet", "crack1"): [0.9, 0.89],
    ("anchored", "crack1"): [0.9, 0.91],
}


@pytest.fixture
def run(tmp_path):
    spoilt = {"anchored": 24.0}  # before the first stroke
    rows = [
        {
            "refiner": refiner,
            "repeat": 0,
            "image": image,
            "round": number,
            "manual_pfm": SCORES["manual", image][0],
            "refined_pfm": score,
            "manual_iou": 0.3,
            "refined_iou": 0.3 + 0.1 * number,
            "effort": 10 * number,
            "stroke_length": 5.0 * number,
            "regret": spoilt.get(refiner, np.nan)
            if number == 0
            else (30.0 if refiner == "unet" else 10.0) * number,
            "repaired": np.nan if number == 0 else 8.0,
            "compliance": np.nan if number == 0 else 1.0,
        }
        for (refiner, image), scores in SCORES.items()
        for number, score in enumerate(scores)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "rounds.parquet")
    refiners = [{"name": name} for name in ("anchored", "unet", "manual")]
    config = {
        "loader": {"name": "folder"},
        "refiners": refiners,
        "evaluation": {"loop": "independent", "budget": 4},
    }
    (tmp_path / "config.toml").write_text(tomli_w.dumps(config))
    return tmp_path


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [SCRIPT, *map(str, words)])
    runpy.run_path(SCRIPT, run_name="__main__")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def tables(printed: str) -> dict[str, dict[str, str]]:
    """Return the cells of both tables by refiner and title."""
    found: dict[str, dict[str, str]] = {}
    for one in printed.strip().split("\n\n"):
        titles, _, *rows = map(cells, one.splitlines())
        for row in rows:
            found.setdefault(row[0], {}).update(zip(titles[1:], row[1:], strict=True))
    return found


def test_a_row_says_what_was_found_by_hand(run, monkeypatch, capsys):
    call(monkeypatch, f"ink={run}:ink")
    found = tables(capsys.readouterr().out)
    assert "**ink**, 1 images, first prediction 50.0 %" in found
    ours, unet, manual = found["`anchored`"], found["`unet`"], found["`manual`"]
    assert (ours["best, %"], ours["revised, %"], unet["revised, %"]) == ("88.0", "60.0", "")
    # After 1, 2, 3 and 4 strokes, where curves that ended stay.
    gain = np.mean([0.8 / 0.6, 0.88 / 0.7, 1.1, 1.1]) - 1
    other = np.mean([0.7 / 0.6, 0.8 / 0.7, 0.75, 0.75]) - 1
    assert ours["mean gain, %"].startswith(f"{100 * gain:+.1f} ")
    assert ours["above"].startswith(f"{100 * (gain - other):+.2f} ")
    assert unet["above"] == manual["mean gain, %"] == ""
    assert (ours["interactions"], unet["interactions"]) == ("1.0 (0.50 ×)", "2.0 (1.00 ×)")
    assert ours["where both do"] == "0.50 × (1)"
    # Ten pixels a stroke: 10 and 20 until the mark, which takes 30 by hand.
    assert (ours["saved, %"], unet["saved, %"], manual["saved, %"]) == ("67", "33", "")
    # (24 + 10 + 20) / 2, and without what came before a stroke, against (30 + 60 + 90) / 3
    assert (ours["regret, px"], ours["by strokes"]) == ("27.0 (0.45 ×)", "15.0 (0.25 ×)")
    assert unet["worse, %"] == "33.3"


def test_another_metric_says_whether_it_agrees(run, monkeypatch, capsys):
    call(monkeypatch, f"both={run}", "--also", "iou")
    found = tables(capsys.readouterr().out)
    assert "**both**, 2 images, iou before 30.0 %" in found
    # 3 strokes on one image and 1 on the other; 2 and 1.
    assert (found["`unet`"]["iou, %"], found["`anchored`"]["iou, %"]) == ("50.0", "45.0")
    with pytest.raises(SystemExit):
        call(monkeypatch, f"both={run}", "--also", "dice")
    assert "only pfm, iou" in capsys.readouterr().err


def test_strokes_weigh_alike_whatever_image_they_are_on(run, monkeypatch, capsys):
    call(monkeypatch, f"both={run}")
    both = tables(capsys.readouterr().out)
    found = both["`unet`"]
    assert both["`anchored`"]["where both do"] == "0.50 × (1)"  # nobody arrives on the crack
    assert found["worse, %"] == "50.0"  # 1 of 3 and 1 of 1
    assert found["interactions"] == "3.0 (1.00 ×)"  # 2, and the whole budget of 4
    assert found["arrived"] == "1 of 2"


def test_an_image_that_was_spoilt_and_left_alone_counts(run, monkeypatch, capsys):
    rounds = pd.read_parquet(run / "rounds.parquet")
    is_left = (rounds.refiner == "anchored") & (rounds.image == "crack1") & (rounds["round"] > 0)
    rounds[~is_left].to_parquet(run / "rounds.parquet")
    call(monkeypatch, f"both={run}")
    ours = tables(capsys.readouterr().out)["`anchored`"]
    # 24 before the first stroke on either image, 10 and 20 by the two strokes on ink.
    assert ours["regret, px"].startswith("39.0 ")
    assert ours["by strokes"].startswith("15.0 ")


@pytest.fixture
def again(run, tmp_path):
    """Return a function that stores the run as one with seed 1, some of it changed."""

    def stored(rounds: pd.DataFrame, **settings: object) -> Path:
        other = tmp_path / "other seed"
        other.mkdir(exist_ok=True)
        rounds.to_parquet(other / "rounds.parquet")
        config = tomllib.loads((run / "config.toml").read_text())
        config["evaluation"] |= {"budget": settings.pop("budget", 4)}
        (other / "config.toml").write_text(tomli_w.dumps({**config, "seed": 1} | settings))
        return other

    return stored


def test_the_same_run_with_other_seeds_is_a_repeat(run, again, monkeypatch, capsys):
    rounds = pd.read_parquet(run / "rounds.parquet")
    is_better = (rounds.refiner == "anchored") & (rounds["round"] == 0)
    rounds.loc[is_better, "refined_pfm"] = 0.8  # the mark, before any stroke
    call(monkeypatch, f"ink={run},{again(rounds)}:ink")
    found = tables(capsys.readouterr().out)
    assert (found["`anchored`"]["arrived"], found["`unet`"]["arrived"]) == ("2 of 2", "2 of 2")
    assert found["`anchored`"]["interactions"] == "0.5 (0.25 ×)"  # 1 and 0, against 2 and 2
    assert found["`anchored`"]["revised, %"] == "70.0"


def test_what_is_not_the_same_run_with_another_seed_is_refused(run, again, monkeypatch, capsys):
    rounds = pd.read_parquet(run / "rounds.parquet")

    def refused(other: Path) -> str:
        with pytest.raises(SystemExit):
            call(monkeypatch, f"ink={run},{other}")
        return capsys.readouterr().err

    assert "differ in budget; expected the same run" in refused(again(rounds, budget=5))
    assert "differ in first metric" in refused(again(rounds, metrics=[{"name": "iou"}]))
    assert "differ in refiners" in refused(again(rounds[rounds.refiner != "anchored"]))
    assert "differ in images" in refused(again(rounds[rounds.image != "ink1"]))
    assert "have seeds 0, 0" in refused(again(rounds, seed=0))


def test_what_several_runs_say_stands_beside_their_mean(run, again, monkeypatch, capsys):
    rounds = pd.read_parquet(run / "rounds.parquet")
    is_better = (rounds.refiner == "anchored") & (rounds["round"] == 1)
    rounds.loc[is_better & (rounds.image == "ink1"), "refined_pfm"] = 0.86
    call(monkeypatch, f"ink={run},{again(rounds)}:ink", f"once={run}:ink")
    printed = capsys.readouterr().out
    ours = [cells(line) for line in printed.splitlines() if line.startswith("| `anchored`")]
    # 0.8 / 0.6 against 0.7 / 0.6, 0.88 / 0.7 against 0.8 / 0.7, twice 1.1 against 0.75; then 0.86.
    first, second = (25 * (x / 0.6 + 0.08 / 0.7 + 0.7) for x in (0.1, 0.16))
    half = 12.706 * (second - first) / 2  # two values lie half of this from their mean
    assert ours[0][-1] == f"{first:+.1f}, {second:+.1f} (±{half:.1f})"
    assert ours[0][2].startswith(f"{(first + second) / 2:+.2f} ")
    assert ours[1][-1] == f"{first:+.1f}"
    unhelped = [cells(line)[-1] for line in printed.splitlines() if line.startswith("| `unet`")]
    assert unhelped[:2] == ["", ""]


def test_a_regret_that_nobody_measured_is_not_zero(run, monkeypatch, capsys):
    rounds = pd.read_parquet(run / "rounds.parquet")
    rounds.loc[rounds.refiner == "anchored", "regret"] = np.nan
    is_second = (rounds.refiner == "unet") & (rounds["round"] == 2)
    rounds.loc[is_second, "regret"] = np.nan
    rounds.to_parquet(run / "rounds.parquet")
    call(monkeypatch, f"ink={run}:ink")
    found = tables(capsys.readouterr().out)
    assert found["`anchored`"]["by strokes"].startswith("nan")
    assert found["`unet`"]["by strokes"] == "60.0 (1.00 ×)"  # 30 and 90


def test_the_picture_leaves_out_what_has_no_gain_as_the_table_does(run, monkeypatch):
    rounds = pd.read_parquet(run / "rounds.parquet")
    nothing_yet = (rounds.image == "ink1") & (rounds.refiner == "manual") & (rounds["round"] == 0)
    rounds.loc[nothing_yet, "refined_pfm"] = 0
    rounds.to_parquet(run / "rounds.parquet")
    found = runpy.run_path(SCRIPT)["read"](f"both={run}")
    assert found.gains("unet")[:2] == pytest.approx([0, (0.7 / 0.6 + 0.89 / 0.95) / 2 - 1])


def test_the_picture_has_a_panel_per_set_and_ends_where_the_table_says(run, tmp_path, monkeypatch):
    picture = tmp_path / "gain.png"
    call(monkeypatch, f"ink={run}:ink", f"cracks={run}:crack", "--figure", picture)
    assert picture.stat().st_size > 5000
    script = runpy.run_path(SCRIPT)
    found = script["read"](f"ink={run}:ink")
    assert found.gains("anchored") == pytest.approx([0.2, 0.8 / 0.6 - 1, 0.88 / 0.7 - 1, 0.1, 0.1])
    panels = script["draw"]([found, script["read"](f"cracks={run}:crack")]).axes
    assert [panel.get_title() for panel in panels] == ["ink", "cracks"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ink"], "is no run folder"),
        (["ink=RUN:("], "is no regular expression"),
        (["ink=RUN:paper"], "no image of"),
        (["ink=RUN", "--against", "pan"], "has no sessions of 'pan', only of"),
    ],
)
def test_what_cannot_be_compared_is_said(run, monkeypatch, capsys, words, said):
    with pytest.raises(SystemExit):
        call(monkeypatch, *(word.replace("RUN", str(run)) for word in words))
    assert said in capsys.readouterr().err


def test_a_setting_that_is_gone_is_said_without_a_traceback(run, monkeypatch, capsys):
    config = tomllib.loads((run / "config.toml").read_text())
    (run / "config.toml").write_text(tomli_w.dumps({**config, "training": {"judge": "last"}}))
    with pytest.raises(SystemExit):
        call(monkeypatch, f"ink={run}:ink")
    assert "training.judge" in capsys.readouterr().err
