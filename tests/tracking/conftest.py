"""A run that never happened, as events: two refiners, two repeats, two images."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from linerefine.events import (
    EpochFinished,
    Event,
    Note,
    RoundFinished,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionKey,
    SessionsPlanned,
    SessionStarted,
    Working,
)
from linerefine.tracking.rounds import session_frame
from linerefine.tracking.store import sqlite_uri
from linerefine.types import Operation, Round, Stroke, Tile

CONFIG = {
    "profile": "quick",
    "seed": 0,
    "loader": {"name": "mirrors", "options": {"root": None, "channels": ["depth"]}},
    "refiners": (
        {"name": "unet", "options": {"network": {"encoder": "tiny"}}},
        {"name": "echo", "options": {}},
    ),
    "metrics": ({"name": "pfm", "options": {}}, {"name": "iou", "options": {}}),
    "session": {"crop": 64},
}
TAGS = {"data": "phantom", "profile": "quick", "device": "cpu", "git": "abc123"}
SUMMARY = {
    "metric": "pfm",
    "refiners": {
        "unet": {
            "images": {"mirror 1": {"max_gain": 0.071, "workload_reduction": float("nan")}},
            "mean": {"max_gain": 0.0625, "reached": 3},
        }
    },
    "seconds": 12.5,
    "finished": True,
}
IMAGES = {"mirror 1": 6, "mirror 2": 4}
GAINS = {"unet": 0.08, "echo": 0.0}


def fake_rounds(key: SessionKey, count: int | None = None) -> list[Round]:
    """Return the rounds of a session; any key has numbers of its own, always the same."""
    count = IMAGES[key.image] if count is None else count
    chance = np.random.default_rng([key.repeat, len(key.refiner), *key.image.encode()])
    rounds = []
    effort, length = 0, 0.0
    for index in range(count + 1):
        stroke = tile = None
        if index:
            path = np.cumsum(chance.integers(0, 2, (5, 2)), axis=0) + 32 * index
            operation = Operation.ADD if index % 3 else Operation.ERASE
            stroke = Stroke(path, 2.5, operation, "disc" if index % 2 else "cross")
            tile = Tile(0, 64 * index, 64, 64 * index + 64)
            effort += int(chance.integers(20, 40))
            length += stroke.length
        manual = 0.5 + 0.03 * index + 0.001 * key.repeat
        refined = manual * (1 + GAINS[key.refiner] * index / count) if count else manual
        iou = float("nan") if index == 0 else manual / 2
        rounds.append(
            Round(
                index,
                tile,
                stroke,
                effort,
                length,
                {"pfm": manual, "iou": iou},
                {"pfm": refined, "iou": iou},
                {"network": 0.01 * index, "score": 0.002} if index else {},
                *((2 * index, 30 - index, 1 / index) if index else ()),
            )
        )
    return rounds


def all_keys() -> list[SessionKey]:
    """Return the sessions in the order a run does them."""
    return [
        SessionKey(refiner, repeat, image)
        for refiner in GAINS
        for image in IMAGES
        for repeat in range(2)
    ]


def session_events(key: SessionKey) -> list[Event]:
    """Return what one session announces."""
    rounds = fake_rounds(key)
    finished = SessionFinished(
        key, len(rounds) - 1, "budget spent", {"max_gain": GAINS[key.refiner]}
    )
    return [SessionStarted(key, 10), *(RoundFinished(key, r) for r in rounds), finished]


def epoch_events(network: str, first: int = 1, last: int = 3) -> list[Event]:
    """Return the epochs of one network."""
    return [
        EpochFinished(network, epoch, 3, {"loss": 1 / epoch, "val_pfm": 0.2 * epoch}, epoch != 2)
        for epoch in range(first, last + 1)
    ]


def stream_of(
    output: Path,
    *,
    status: str = "finished",
    stop_after: int | None = None,
    planned: bool = True,
    resumed: bool = False,
) -> list[Event]:
    """Return the events of a whole run, or of one that stops after some sessions."""
    keys = all_keys()
    events: list[Event] = [
        Working("reading", 0, 2),
        RunStarted("mirrors", output, CONFIG, TAGS, resumed),
        Note("phantoms only", "warning"),
        *epoch_events("segmenter"),
        *epoch_events("unet"),
    ]
    events += [SessionsPlanned(tuple(keys))] if planned else []
    for key in keys[:stop_after]:
        events += session_events(key)
    summary = SUMMARY if status == "finished" else {}
    return [*events, RunFinished(status, summary, "" if status == "finished" else "why")]


@pytest.fixture(scope="session")
def stream_maker():
    """Return `stream_of` to fixtures that outlive a test."""
    return stream_of


@pytest.fixture
def stream():
    """Return a maker of whole runs: ``stream(output, **changes)`` gives the events."""
    return stream_of


@pytest.fixture
def rounds_of():
    """Return the rounds that a session of `stream` holds."""
    return fake_rounds


@pytest.fixture
def keys():
    """Return the sessions of `stream`."""
    return all_keys()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """Return a database that MLflow has just made; making one takes seconds."""
    from linerefine.tracking.mlflow_client import open_client

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    open_client(sqlite_uri(path))
    return path


@pytest.fixture
def store(empty_store, tmp_path):
    """Return the URI of an empty store in a folder with a space in its name."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return sqlite_uri(folder / "mlflow.db")


@pytest.fixture
def masks():
    """Return an image, a target, and three predictions: each better than the one before."""
    image = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
    target = np.zeros((60, 80), dtype=bool)
    target[30, 10:70] = True
    initial = np.zeros_like(target)
    initial[30, 10:30] = initial[10, 10:20] = True
    manual = initial.copy()
    manual[30, 30:50] = True
    refined = target.copy()
    return image, target, initial, manual, refined


@pytest.fixture
def rounds():
    """Return the table of the sessions of `stream`."""
    return pd.concat([session_frame(key, fake_rounds(key), "pfm") for key in all_keys()])


@pytest.fixture
def texts():
    """Return a function that lists every text of a figure."""

    def of(figure):
        figure.canvas.draw()
        return [t.get_text() for t in figure.findobj(mpl.text.Text) if t.get_text()]

    return of


@pytest.fixture
def pixels():
    """Return a function that draws a figure."""

    def of(figure):
        file = io.BytesIO()
        figure.savefig(file, format="png")
        return np.asarray(Image.open(file).convert("RGB"))

    return of
