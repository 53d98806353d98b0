"""What happens around the sessions of a run."""

from __future__ import annotations

import pytest
import torch

from linerefine.config import SessionConfig
from linerefine.events import Event, SessionKey, Working
from linerefine.experiment import sessions
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.sessions import play, settle_backend
from linerefine.refiners.base import Prompt, Refiner
from linerefine.report import RunResult

from .conftest import CONFIG, registry


class Looking(Refiner):
    """Has an opinion before there are strokes, and counts what it was shown."""

    revises = True

    def __init__(self) -> None:
        super().__init__()
        self.looked = self.asked = 0

    def revise(self, features: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        self.looked += 1
        return initial

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        self.asked += 1
        return prompt.initial


def bench(alone: RunResult, *observers) -> Bench:
    config = CONFIG.model_copy(update={"session": SessionConfig(crop=32, margin=4)})
    return Bench.build(config, registry(), RunFolder(alone.output), Notifier(observers))


def test_a_backend_is_chosen_on_one_crop_however_large_the_image(
    alone: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = Looking()
    monkeypatch.setattr(sessions, "stored_refiner", lambda *_: refiner)
    settle_backend(bench(alone), "unet")
    assert (refiner.looked, refiner.asked) == (1, 1)


def test_who_looks_at_what_is_told(alone: RunResult) -> None:
    told: list[Event] = []
    where, refiner = bench(alone, told.append), Looking()
    where.prepare_simulators()
    name = where.loader.names("test")[0]
    play(where, SessionKey("unet", 0, name), refiner, where.loaded(name))
    looks = [event for event in told if isinstance(event, Working)]
    assert refiner.looked > 1
    expected = [(done, refiner.looked) for done in range(refiner.looked + 1)]
    assert [(event.done, event.total) for event in looks] == expected
    assert {event.what for event in looks} == {f"unet looks at {name}"}
