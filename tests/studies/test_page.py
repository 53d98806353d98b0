"""The page of a study: ours beside what was published, by the rules of both protocols."""

from __future__ import annotations

import math
import re
import runpy
from pathlib import Path

import pytest

from linerefine.evaluation.sessions import session_summary
from linerefine.report import Picture, Table
from linerefine.studies import pictures, tables
from linerefine.studies.page import VIEWS, write_study

LAST = ("mean", "95 %", "median")

pytestmark = pytest.mark.timeout(300)  # the first test performs a whole study


@pytest.fixture(scope="module")
def written(outcome):
    return write_study(outcome, "linerefine reproduce tiny")


def parts(section, kind):
    return [part for part in section.parts if isinstance(part, kind)]


def test_every_view_that_a_study_may_name_is_drawn():
    from typing import get_args

    from linerefine.hooks import View

    assert set(VIEWS) == set(get_args(View))


def test_the_page_stands_alone_and_says_how_it_was_made(written, outcome):
    page, path = written
    html = path.read_text(encoding="utf-8")
    assert path == outcome.folder / "report.html"
    assert "linerefine reproduce tiny" in html
    assert "Drawn in a test." in html
    assert not re.search(r"(src|href)=[\"']https?:", html)
    assert page.summary.startswith("no paper, here on ")
    assert "2 sessions per image, up to 6 strokes" in page.summary
    assert page.facts["protocols"] == "paper, independent"


def test_patches_have_a_row_per_variant_and_the_published_ones(outcome):
    first, differences = parts(tables.patches_view(outcome), Table)
    names = [row["refiner"] for row in first.rows]
    assert names == ["first prediction", "both", "adding", "paper"]
    both, adding = first.rows[1:3]
    passes = outcome.first.patches.query("refiner == 'both'")
    assert both["gain"] == pytest.approx(passes["relative_gain"].mean())
    assert both["pfm"] == pytest.approx(passes["refined_pfm"].mean())
    # The two share weights, and patch trials draw both operations for either.
    assert adding["gain"] == pytest.approx(both["gain"])
    (row,) = differences.rows
    assert row["compared"] == "both - adding"
    assert row["difference"] == pytest.approx(0)


def test_sessions_are_told_by_protocol(outcome):
    found = parts(tables.sessions_view(outcome), Table)
    titles = [table.title for table in found]
    for protocol in ("paper", "independent"):
        for what in ("Sessions", "Effort and conduct"):
            assert any(title.startswith(f"{what}, protocol {protocol}") for title in titles)
    assert titles[-1] == "Published"
    table = next(t for t in found if t.title.startswith("Sessions, protocol paper"))
    assert {row["refiner"] for row in table.rows} == {"both", "adding"}
    mean = next(r for r in table.rows if (r["refiner"], r["image"]) == ("both", "mean"))
    rounds = outcome.results["paper"].rounds.query("refiner == 'both' and round == 0")
    assert mean["initial"] == pytest.approx(rounds.groupby("image")["manual_pfm"].mean().mean())
    conduct = next(t for t in found if t.title.startswith("Effort and conduct, protocol paper"))
    mean = next(r for r in conduct.rows if (r["refiner"], r["image"]) == ("both", "mean"))
    assert 0 <= mean["compliance"] <= 1
    assert not math.isnan(mean["regret"])


def test_below_the_mean_and_its_interval_stands_the_median_of_all_sessions(outcome):
    found = parts(tables.sessions_view(outcome), Table)
    table = next(t for t in found if t.title.startswith("Effort and conduct, protocol independent"))
    both = [row for row in table.rows if row["refiner"] == "both"]
    assert [row["image"] for row in both[-3:]] == [*LAST]
    result = outcome.results["independent"]
    sessions = session_summary(
        result.rounds, "pfm", loop="independent", budget=result.config.evaluation.budget
    ).query("refiner == 'both'")
    for title, column in tables.COSTS.items():
        assert both[-1][title] == pytest.approx(sessions[column].median(), nan_ok=True)
    assert both[-1]["fewer interactions"] != both[-3]["fewer interactions"]
    assert "Median: of all sessions" in table.note


def test_the_script_of_the_documentation_prints_what_the_page_says(outcome):
    script = Path(__file__).parents[2] / "scripts" / "reproduction_table.py"
    rows = runpy.run_path(str(script))["rows"](outcome.results["independent"].output)
    (row,) = (row for row in rows if "| both |" in row)
    found = parts(tables.sessions_view(outcome), Table)
    table = next(t for t in found if t.title.startswith("Effort and conduct, protocol independent"))
    mean, _, median = (r for r in table.rows if r["refiner"] == "both" and r["image"] in LAST)
    numbers = [100 * each["fewer interactions"] for each in (mean, median)]
    assert f"{numbers[0]:.1f} %; median {numbers[1]:.1f} %" in row


def test_the_person_by_hand_is_the_mark_not_a_row(outcome):
    for table in parts(tables.sessions_view(outcome), Table):
        assert "manual" not in {row.get("refiner") for row in table.rows}


def test_the_strip_shows_every_variant_under_every_protocol(outcome):
    shown = parts(pictures.strip_view(outcome), Picture)
    kinds = [picture.path.suffix for picture in shown]
    assert kinds == [".png", ".gif"] * 4
    assert all(picture.path.stat().st_size > 1000 for picture in shown)


def test_widths_are_measured_on_the_training_tracings(outcome):
    (table,) = parts(pictures.widths_view(outcome), Table)
    ours, paper = table.rows
    assert ours["count"] > 0
    assert ours["kept_mean"] > 1
    assert paper["kept_mean"] == 6.2


def test_learning_curves_of_what_was_trained(outcome):
    section = pictures.training_view(outcome)
    (table,) = parts(section, Table)
    assert [row["network"] for row in table.rows] == ["segmenter", "both"]
    assert len(parts(section, Picture)) == 2


def test_best_and_worst_images_per_protocol_and_variant(outcome):
    captions = [picture.caption for picture in parts(pictures.extremes_view(outcome), Picture)]
    assert len(captions) == 4
    assert any("both, protocol independent" in caption for caption in captions)
