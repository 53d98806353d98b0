"""`scripts/bench` as a user types it, on small images, and what must not grow with the image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"simulate", "network", "merge", "score", "log"}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "bench"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture(scope="module")
def results() -> dict:
    done = bench("--small", "--json", "strokes", "thinning", "metrics")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_stroke_is_split_into_its_parts(results: dict) -> None:
    (row,) = results["strokes"]
    assert row["strokes"] == 20
    assert all(row[part] > 0 for part in PARTS)
    # Medians of parts need not add up, but the whole cannot be less than its largest part.
    assert row["outside network"] > max(row[part] for part in PARTS - {"network"})


def test_the_session_is_faster_than_plain_recomputation(results: dict) -> None:
    (row,) = results["strokes"]
    assert row["ratio, kept"] > 1.5
    assert row["plain"] > row["plain, targets kept"]


def test_thinning_equals_and_beats_the_reference(results: dict) -> None:
    (row,) = results["thinning"]
    assert row["ratio"] > 1


def test_every_metric_is_timed_and_none_takes_long(results: dict) -> None:
    rows = {row["metric"]: row for row in results["metrics"]}
    assert {"pfm", "cldice", "path_similarity", "betti1"} <= rows.keys()
    assert rows["pfm"]["additive"] == "yes"
    assert rows["cldice"]["additive"] == "no"
    assert all(0 < row["first, ms"] < 10_000 for row in rows.values())


def test_the_machine_is_named(results: dict) -> None:
    assert results["machine"]["threads"] == 1


def test_a_table_for_people_and_unknown_sections() -> None:
    done = bench("--small", "thinning")
    assert done.returncode == 0, done.stderr
    assert "scikit-image, s" in done.stdout
    wrong = bench("speed")
    assert wrong.returncode == 2
    assert "no section speed" in wrong.stderr
