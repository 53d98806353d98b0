"""What a run announces, and who may listen.

Loops know nothing of consoles or MLflow: they call every observer with one of
these frozen events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from linerefine.types import Round

__all__ = [
    "ArtifactWritten",
    "EpochFinished",
    "Event",
    "ModelTrained",
    "Note",
    "Observer",
    "RoundFinished",
    "RunFinished",
    "RunStarted",
    "SessionFinished",
    "SessionKey",
    "SessionStarted",
    "SessionsPlanned",
    "Working",
]


@dataclass(frozen=True)
class SessionKey:
    """Which session of a run: refiner, repeat (from 0) and image."""

    refiner: str
    repeat: int
    image: str


@dataclass(frozen=True)
class RunStarted:
    """A command begins (or goes on, if ``resumed``)."""

    experiment: str
    output: Path
    config: Mapping[str, Any]
    tags: Mapping[str, str]
    resumed: bool = False


@dataclass(frozen=True)
class Note:
    """One line for the log; ``level`` is ``"info"`` or ``"warning"``."""

    message: str
    level: str = "info"


@dataclass(frozen=True)
class Working:
    """Slow work advances: ``done`` of ``total``; equal when finished."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class EpochFinished:
    """A network was trained for one more epoch.

    ``network`` is ``"segmenter"`` or the refiner's name.
    """

    network: str
    epoch: int
    max_epochs: int
    metrics: Mapping[str, float]
    is_best: bool


@dataclass(frozen=True)
class ModelTrained:
    """A refiner is trained; ``path`` holds its weights.

    ``model`` is the `linerefine.refiners.base.Refiner` itself, on whatever
    device it was trained; observers copy what they keep and leave it as it is.
    """

    refiner: str
    model: Any
    channels: int
    path: Path


@dataclass(frozen=True)
class SessionsPlanned:
    """Which sessions the run will hold, those of an earlier command included.

    Optional: observers that know it can say how far the run is, and average
    over images as soon as the last one is done instead of at the end.
    """

    keys: tuple[SessionKey, ...]


@dataclass(frozen=True)
class SessionStarted:
    """A simulated person begins an image."""

    key: SessionKey
    budget: int


@dataclass(frozen=True)
class RoundFinished:
    """One interaction is done; round 0 is the state before any."""

    key: SessionKey
    round: Round


@dataclass(frozen=True)
class SessionFinished:
    """Nothing improves any more, or the budget is spent.

    ``numbers`` says what the session achieved, such as ``max_gain`` or
    ``workload_reduction``; nan where undefined, empty if nobody counted.
    """

    key: SessionKey
    rounds: int
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ArtifactWritten:
    """A file that belongs to the run; ``refiner`` and ``repeat`` say to which part."""

    path: Path
    folder: str = ""
    refiner: str | None = None
    repeat: int | None = None


@dataclass(frozen=True)
class RunFinished:
    """The command ends; ``status`` is ``"finished"``, ``"failed"`` or ``"interrupted"``."""

    status: str
    summary: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


Event: TypeAlias = (
    RunStarted
    | Note
    | Working
    | EpochFinished
    | ModelTrained
    | SessionsPlanned
    | SessionStarted
    | RoundFinished
    | SessionFinished
    | ArtifactWritten
    | RunFinished
)


class Observer(Protocol):
    """Anything that can be called with an event."""

    def __call__(self, event: Event) -> None:
        """Take note of one event; must not raise for events it does not know."""
