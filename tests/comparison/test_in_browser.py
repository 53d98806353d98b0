"""`linerefine compare` beside MLflow's own page on the same runs, read in a real browser."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from linerefine.cli import main
from linerefine.comparison.numbers import NUMBERS
from linerefine.tracking.store import sqlite_uri

from .conftest import TINY, config, play

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import browsing
import screenshots

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

THREE = [
    {"name": "unet", "options": {"network": TINY}},
    {"name": "iternet"},
    {"name": "manual"},
]
ROW = re.compile(r"1 · (\w+)\t(\S+) \(step=\d+\)")
FIRST = ("initial", "refined_best", "max_gain")  # what every refiner has


def shown_by_mlflow(executable: str, uri: str) -> dict[str, dict[str, float]]:
    """Return the numbers on MLflow's page about the sessions, by number and refiner."""
    _, children = screenshots.newest(uri)
    sessions = [run for run in children if run.data.tags.get("repeat")]
    found: dict[str, dict[str, float]] = {}
    with screenshots.served(uri) as address, browsing.browser(executable) as opened:
        page = opened.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(
            screenshots.numbers(address, sessions, NUMBERS[:-1]), wait_until="domcontentloaded"
        )
        page.get_by_text(re.compile(r"\(step=0\)")).first.wait_for(timeout=120_000)
        page.wait_for_timeout(5000)
        current = ""
        for line in page.locator("body").inner_text().splitlines():
            if line in NUMBERS:
                current = line
            elif row := ROW.match(line):
                found.setdefault(current, {})[row[1]] = float(row[2])
    return found


def test_three_refiners_have_the_numbers_of_mlflows_page(tmp_path, capfd):
    pytest.importorskip("playwright.sync_api")
    executable = browsing.find_chromium()
    if executable is None:
        pytest.skip("there is no chromium; apt-get install chromium")
    uri = sqlite_uri(tmp_path / "runs" / "mlflow.db")
    folder = play(tmp_path / "runs" / "three", config(THREE, evaluation={"repeats": 1}), uri)
    capfd.readouterr()
    assert main(["compare", str(folder), "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    assert [row["refiner"] for row in rows] == ["unet", "iternet", "manual"]
    shown = shown_by_mlflow(executable, uri)
    for name in FIRST:
        assert set(shown[name]) == {"unet", "iternet", "manual"}
    compared = 0
    for row in rows:
        for name in NUMBERS[:-1]:  # seconds are no part of a run's numbers
            ours = row["numbers"][name]["mean"]
            if ours is not None:  # whoever has no network spoils nothing: no number here
                assert shown[name][row["refiner"]] == pytest.approx(ours, abs=1e-12), name
                compared += 1
    assert compared >= 3 * len(FIRST) + 6
