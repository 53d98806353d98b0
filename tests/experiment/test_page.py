"""The page of a run: what is on it, and that it is announced."""

from __future__ import annotations

import html
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from linerefine.configure import load_config
from linerefine.events import ArtifactWritten, Event, SessionKey
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.page import run_page
from linerefine.experiment.replay import replay
from linerefine.report import Picture, Report, RunResult, Table

from .conftest import CONFIG, EXPERIMENT, registry, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, list[Event]]:
    events: list[Event] = []
    return run(tmp_path_factory.mktemp("a run") / "out", events.append), events


@pytest.fixture
def bench(finished: tuple[RunResult, list[Event]]) -> Bench:
    return Bench.build(CONFIG, registry(), RunFolder(finished[0].output), Notifier([]))


def test_a_run_writes_and_announces_its_page(finished: tuple[RunResult, list[Event]]) -> None:
    result, events = finished
    path = result.output / "report.html"
    assert path in [event.path for event in events if isinstance(event, ArtifactWritten)]
    text = html.unescape(path.read_text(encoding="utf-8"))
    for table in result.report.tables:
        assert f">{table.title}<" in text
    assert text.count("<figure>") >= 8


def test_the_command_names_settings_that_repeat_the_run(
    finished: tuple[RunResult, list[Event]], bench: Bench
) -> None:
    words = shlex.split(run_page(bench, EXPERIMENT, finished[0]).command)
    assert words[:4] == ["linerefine", "run", "drawn", "--config"]
    assert load_config(Path(words[4])) == load_config(finished[0].output / "config.toml")


def test_sections_hold_tables_then_pictures_that_exist(
    finished: tuple[RunResult, list[Event]], bench: Bench
) -> None:
    result, _ = finished
    page = run_page(bench, EXPERIMENT, result)
    titles = [section.title for section in page.sections]
    assert titles == [
        "Tables", "Curves", "Best and worst image", "A tile, stroke by stroke", "Training",
    ]  # fmt: skip
    assert page.sections[0].parts == result.report.tables
    pictures = [p for s in page.sections for p in s.parts if not isinstance(p, Table)]
    assert all(isinstance(p, Picture) and p.path.exists() and p.caption for p in pictures)
    names = {picture.path.name for picture in pictures}
    assert {
        "score-bands.png", "gain-bands.png", "effort.png", "extremes-unet.png", "tile-unet.gif",
        "tile-unet.png", "training-unet.png", "stroke-widths.png",
    } <= names  # fmt: skip
    # A refiner that changes nothing has no best and worst image.
    assert "extremes-manual.png" not in names


def test_the_summary_begins_with_the_kind_of_data_and_holds_the_verdict(
    finished: tuple[RunResult, list[Event]], bench: Bench
) -> None:
    result, _ = finished
    said = run_page(bench, EXPERIMENT, replace(result, tags={"data": "phantom"})).summary
    assert said.startswith("Drawn phantoms, which say something about the program")
    assert said.split("\n\n")[1:] == list(result.report.verdict)
    assert "than manual: after the same strokes pFM is" in said
    text = (result.output / "report.txt").read_text(encoding="utf-8")
    assert text.endswith("\n".join([*result.report.verdict, ""]))


def test_facts_are_small_print(finished: tuple[RunResult, list[Event]], bench: Bench) -> None:
    facts = run_page(bench, EXPERIMENT, finished[0]).facts
    assert facts["seed"] == "0"
    assert facts["sessions"] == "2 per image and refiner, 4 strokes each"
    assert re.fullmatch(r"\d+", facts["images"])
    assert {"device", "git", "torch", "protocol", "simulator"} <= set(facts)


def test_without_sessions_the_page_says_so(
    finished: tuple[RunResult, list[Event]], bench: Bench
) -> None:
    empty = replace(finished[0], rounds=pd.DataFrame(), tags={}, report=Report(()))
    assert run_page(bench, EXPERIMENT, empty).summary == "No sessions were run."


def test_two_people_apart_are_compared_in_words_of_their_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    evaluation = CONFIG.evaluation.model_copy(update={"loop": "independent"})
    config = CONFIG.model_copy(update={"evaluation": evaluation})
    result = run(tmp_path_factory.mktemp("apart") / "out", evaluation=evaluation)
    bench = Bench.build(config, registry(), RunFolder(result.output), Notifier([]))
    page = run_page(bench, EXPERIMENT, result)
    assert "that of the manual person after as many interactions" in page.summary
    assert "same strokes pasted" in page.sections[1].text
    names = {part.path.name for section in page.sections[1:] for part in section.parts}
    assert {"score-bands.png", "effort.png", "extremes-unet.png", "tile-unet.gif"} <= names
    assert "workload.png" not in names  # its curves share their strokes
    key = SessionKey("unet", 0, bench.loader.names("test")[0])
    for round_, session in replay(bench, key):
        score = bench.metrics["pfm"].score(session.mask, bench.loaded(key.image).target)
        assert score == pytest.approx(round_.refined["pfm"], nan_ok=True)
