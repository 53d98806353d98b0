"""Runs side by side: the numbers of the run folders, equal to what MLflow shows."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import linerefine as lr
from linerefine.cli import main
from linerefine.comparison.choosing import choose
from linerefine.comparison.differences import differences, is_fair
from linerefine.comparison.numbers import NUMBERS, common_metric, curves, rows_of
from linerefine.comparison.runs import load_run, with_short_names
from linerefine.comparison.showing import Comparison
from linerefine.tracking.comparisons import COMPARED
from linerefine.tracking.mlflow_client import open_client
from linerefine.tracking.tables import best_cells

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def runs(played):
    return with_short_names([load_run(played.shared), load_run(played.apart)])


@pytest.fixture(scope="module")
def rows(runs):
    return rows_of(runs, "pfm")


@pytest.fixture
def cli(played, capfd, monkeypatch):
    """Run a command beside ``runs``; return exit code, stdout, stderr."""
    monkeypatch.chdir(played.runs.parent)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


def test_numbers_equal_those_that_mlflow_shows(played, runs, rows):
    client = open_client(played.uri)
    compared = 0
    for row in rows:
        shown = client.get_run(row.run.recorded.run).data.metrics
        for name in NUMBERS[:-1]:  # seconds are no part of a summary
            theirs = shown.get(f"refiners/{row.refiner}/mean/{name}", math.nan)
            ours = row.numbers[name].mean
            assert ours == pytest.approx(theirs, abs=1e-12, nan_ok=True), (row.name, name)
            compared += not math.isnan(ours)
    assert compared >= 5 * 7
    assert [row.name for row in rows] == [
        "both",
        "adding",
        "manual, shared",
        "unet",
        "manual, apart",
    ]


def test_the_seconds_of_a_row_are_the_median_of_each_session(runs, rows):
    table = runs[0].rounds
    own = table[(table["refiner"] == "both") & (table["round"] > 0)]
    images = []
    for _, image in own.groupby("image"):
        images.append(
            np.mean([np.median(s["seconds_network"]) for _, s in image.groupby("repeat")])
        )
    assert rows[0].numbers["network_seconds"].mean == pytest.approx(np.mean(images), abs=1e-12)


def test_gains_by_another_metric_are_of_that_metric(runs):
    (row,) = rows_of(runs, "iou", ["both"])
    table = runs[0].rounds
    own = table[(table["refiner"] == "both") & (table["round"] > 0)]
    gain = own["refined_iou"] / own["manual_iou"] - 1
    by_session = gain.groupby([own["image"], own["repeat"]]).max()
    expected = by_session.groupby(level="image").mean().mean()
    assert row.numbers["max_gain"].mean == pytest.approx(expected, abs=1e-12)


def test_what_was_revised_has_a_column_where_somebody_revised(runs):
    plain = Comparison(rows_of(runs, "pfm"), "pfm")
    assert "revised" not in plain.table().columns
    first, *others = plain.rows
    better = replace(first.numbers["initial"], mean=first.numbers["initial"].mean + 0.1)
    row = replace(first, numbers={**first.numbers, "revised": better})
    table = Comparison((row, *others), "pfm").table()
    assert table.columns.index("revised") == table.columns.index("first prediction") + 1
    assert table.rows[0]["revised"] == better.mean


def test_curves_of_people_apart_gain_over_the_other_person(runs):
    (row,) = rows_of(runs, "pfm", ["unet"])
    found = curves([row], "pfm")
    table = runs[1].rounds
    person = table[table["refiner"] == "manual"]
    for _, point in found.iterrows():
        other = person[(person["image"] == point["image"]) & (person["repeat"] == point["repeat"])]
        score = other[other["round"] <= point["round"]].sort_values("round")["refined_pfm"].iloc[-1]
        expected = point["refined"] / score - 1 if score > 0 else math.nan
        assert point["relative_gain"] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert found["by_hand"].isna().all()


def test_what_differs_is_said_and_nothing_is_called_best(rows):
    said = " ".join(differences(rows, "pfm"))
    assert "Different loops, nothing is called best: shared (shared) | independent (apart)." in said
    assert "protocol default (shared) | independent (apart)" in said
    assert "evaluation.budget 5 (shared) | 4 (apart)" in said
    assert not is_fair(rows)
    assert Comparison(tuple(rows), "pfm").table().best == {}


def test_other_data_and_images_are_said(runs):
    one = runs[0]
    table = one.rounds[one.rounds["image"] != one.images[0]]
    settings = one.config.model_copy(
        update={"loader": one.config.loader.model_copy(update={"options": {"root": "/x"}})}
    )
    other = replace(one, name="other", config=settings, rounds=table, tags={"data": "phantom"})
    rows = rows_of([one, other], "pfm", ["both"])
    said = " ".join(differences(rows, "pfm"))
    assert f"Different images, nothing is called best: {len(other.images)} in common" in said
    assert "Different kinds of data, nothing is called best:" in said
    assert "| phantom (other)" in said
    assert "The data were read differently: loader.options.root none (shared) | /x (other)" in said
    assert not is_fair(rows)


def test_other_first_predictions_are_said(runs):
    one = runs[0]
    moved = one.rounds.assign(manual_pfm=one.rounds["manual_pfm"] + 0.01)
    rows = rows_of([one, replace(one, name="other", rounds=moved)], "pfm", ["both"])
    assert differences(rows, "pfm")[0].startswith("The first predictions differ")


def test_the_best_of_a_fair_comparison_stands_out(runs):
    rows = rows_of(runs[:1], "pfm")
    assert is_fair(rows)
    assert not any(text.startswith(("Different", "The rules")) for text in differences(rows, "pfm"))
    table = Comparison(tuple(rows), "pfm").table()
    column = table.columns.index("refined best")
    values = [row.numbers["refined_best"].mean for row in rows]
    best = {line // 2 for line, place in best_cells(table) if place == column}
    shown = {place for place, value in enumerate(values) if f"{value:.3f}" == f"{max(values):.3f}"}
    assert best == (shown if len(shown) < len(values) else set())
    assert table.rows[0]["refiner"] == "both"
    assert table.rows[1]["refiner"] == "  95 %"
    assert re.fullmatch(r"[\d.]+ to [\d.]+", table.rows[1]["refined best"])


def test_runs_are_found_by_folder_id_experiment_and_tag(played, runs):
    shared, apart = (run.recorded.run for run in runs)
    client = open_client(played.uri)
    child = next(
        run.info.run_id
        for run in client.search_runs(["1"], f"tags.mlflow.parentRunId = '{shared}'")
        if run.info.run_name == "2 · adding"
    )

    def folders(*named, **how):
        chosen, left_out = choose(named, played.uri, **how)
        assert left_out == []
        return [(one.folder, one.refiners) for one in chosen]

    both = [(played.shared, ()), (played.apart, ())]
    assert folders(experiment="drawn") == folders() == both
    assert folders(tags={"kind": "people"}) == both[1:]
    assert folders(apart, str(played.shared)) == both[::-1]
    assert folders(child) == [(played.shared, ("adding",))]
    assert sorted(folders(str(played.runs))) == sorted(both)
    assert folders(shared, shared, str(played.shared)) == both[:1]


def test_a_store_and_its_folders_may_move_together(played, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(played.runs, moved)
    database = f"sqlite:///{moved / 'mlflow.db'}"
    chosen, _ = choose([], database)
    # The old place is still there and wins; without it the one beside the store is taken.
    assert [one.folder for one in chosen] == [played.shared, played.apart]
    played.runs.rename(played.runs.with_name("hidden"))
    try:
        chosen, _ = choose([], database)
        assert [one.folder for one in chosen] == [moved / "shared", moved / "apart"]
        shutil.rmtree(moved / "apart")
        chosen, left_out = choose([], database)
        assert [one.folder for one in chosen] == [moved / "shared"]
        assert re.fullmatch(r"the folder .*apart of run \w+ is gone, .*", left_out[0])
    finally:
        played.runs.with_name("hidden").rename(played.runs)


@pytest.mark.parametrize(
    ("named", "how", "message"),
    [
        (["nowhere"], {}, r"'nowhere' is neither a run folder nor the id of a run in sqlite"),
        ([], {"experiment": "leaves"}, r"has no experiment 'leaves'. It has: Default, drawn."),
        ([], {"tags": {"kind": "none"}}, r"no finished run with kind=none found in sqlite"),
        (["0" * 32], {}, r"MLflow does not take it: .*0000"),
    ],
)
def test_what_is_not_found_is_refused(played, named, how, message):
    with pytest.raises(lr.RunError, match=message):
        choose(named, played.uri, **how)


def test_search_terms_and_names_exclude_each_other(played):
    with pytest.raises(lr.RunError, match=r"--experiment and --tag search a store; leave them out"):
        choose([str(played.shared)], played.uri, experiment="drawn")
    with pytest.raises(lr.RunError, match=r"there is no store to search. Name run folders"):
        choose([], "")


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("config.toml", r"is no run folder: it has no config.toml"),
        ("summary.json", r"is not finished. Go on with it with --resume, or leave it out"),
        ("rounds.parquet", r"has no sessions \(rounds.parquet is absent\)"),
    ],
)
def test_unfinished_runs_are_refused(played, tmp_path, lost, message):
    folder = tmp_path / "run"
    shutil.copytree(played.shared, folder)
    (folder / lost).unlink()
    with pytest.raises(lr.RunError, match=message):
        load_run(folder)


def test_metrics_are_never_mixed_in_silence(runs):
    one, other = runs
    metrics = other.config.metrics[::-1]
    turned = replace(other, config=other.config.model_copy(update={"metrics": metrics}))
    with pytest.raises(lr.ConfigError, match=r"steered by several metrics \(shared: pfm; apart: i"):
        common_metric([one, turned], None)
    assert common_metric([one, turned], "iou") == "iou"
    with pytest.raises(lr.ConfigError, match=r"metric 'dice' was not measured in shared, apart"):
        common_metric(runs, "dice")
    with pytest.raises(lr.ConfigError, match=r"no run has a refiner 'pan'. They have: adding"):
        rows_of(runs, "pfm", ["pan"])


def test_the_command_prints_draws_and_records_once(cli, played, runs):
    client = open_client(played.uri)
    wanted = "tags.`linerefine.part` = 'comparison'"
    done = cli("compare", "--output", "out/page.html")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "pfm: 2 runs, 5 refiners"
    assert lines[1].split()[:5] == ["run", "refiner", "data", "profile", "protocol"]
    assert [line.split()[:2] for line in lines[2:12:2]] == [
        ["shared", "both"],
        ["shared", "adding"],
        ["shared", "manual"],
        ["apart", "unet"],
        ["apart", "manual"],
    ]
    assert "\x1b[" not in done.out
    assert "Different loops, nothing is called best" in done.out
    assert re.fullmatch(
        rf"Wrote out/page.html\nRecorded in {re.escape(played.uri)} as run \w+ "
        r"\(linerefine ui shows it\)\n",
        done.err,
    )
    page = (played.runs.parent / "out" / "page.html").read_text(encoding="utf-8")
    assert "Comparison of 5 refiners by pfm" in page
    assert "data:image/png;base64," in page
    cli("compare")
    (run,) = client.search_runs(["1"], wanted)
    assert run.info.run_name.startswith("comparison ")
    assert run.data.tags[COMPARED].split() == [each.recorded.run for each in runs]
    assert "| shared | both |" in run.data.tags["mlflow.note.content"]
    kept = {each.path for each in client.list_artifacts(run.info.run_id, "comparison")}
    assert kept == {f"comparison/{n}" for n in ("comparison.html", "comparison.json", "curves.png")}
    (row,) = rows_of(runs, "pfm", ["both"])
    number = run.data.metrics["refiners/both/mean/refined_best"]
    assert number == pytest.approx(row.numbers["refined_best"].mean, abs=1e-12)


def test_the_command_gives_json_and_a_picture(cli, played):
    done = cli("compare", "runs/shared", "--refiner", "both", "--json", "--output", "curves.png")
    found = json.loads(done.out)
    assert done.code == 0
    assert [row["refiner"] for row in found["rows"]] == ["both"]
    (run,) = found["runs"]
    assert (run["name"], run["profile"], run["loop"]) == ("shared", "quick", "shared")
    assert set(found["rows"][0]["numbers"]) == set(NUMBERS)
    assert (played.runs.parent / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_runs_that_mlflow_does_not_know_are_compared_all_the_same(cli, played, tmp_path):
    folder = tmp_path / "alone"
    shutil.copytree(played.shared, folder)
    (folder / "mlflow.json").unlink()
    done = cli("compare", folder)
    assert done.code == 0
    assert done.err == (
        "warning: not recorded in MLflow: the runs were not recorded in MLflow, so the comparison "
        "is not either.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--output", "a.pdf"], "--output is 'a.pdf', expected a name that ends in .png or .html."),
        (["--tag", "kind"], "--tag is 'kind', expected K=V, such as data=real."),
    ],
)
def test_mistakes_in_what_was_typed(cli, arguments, error):
    done = cli("compare", *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"ConfigError: {error}\n")


def test_intervals_and_curves_are_about_the_rows_that_are_shown(rows):
    shown = rows[:2]
    drawn = curves(shown, "pfm")
    assert list(drawn["refiner"].unique()) == ["both", "adding"]
    figure = Comparison(tuple(shown), "pfm").figure()
    left, right = figure.axes
    labels = {line.get_label() for line in left.lines}
    assert {"both", "both, by hand"} <= labels
    assert right.get_ylabel() == "relative gain over work by hand"
    both = next(line for line in left.lines if line.get_label() == "both")
    start = drawn[(drawn["refiner"] == "both") & (drawn["round"] == 0)]["refined"].mean()
    assert both.get_ydata()[0] == pytest.approx(start)
    assert isinstance(drawn, pd.DataFrame)
