"""From events to runs: which numbers belong to which run of a store, once each."""

from __future__ import annotations

import atexit
import getpass
import json
import logging
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from linerefine.cache import atomic_write
from linerefine.errors import DataError, RunError
from linerefine.events import (
    ArtifactWritten,
    EpochFinished,
    Event,
    ModelTrained,
    RoundFinished,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionKey,
    SessionsPlanned,
    SessionStarted,
)
from linerefine.tracking.curves import ByHand, SessionCurves, best_numbers, round_numbers
from linerefine.tracking.flatten import flat_settings, metric_key, numeric_leaves
from linerefine.tracking.store import claim
from linerefine.tracking.writer import MetricWriter, Point

__all__ = ["PART", "RunRecorder", "Store"]

log = logging.getLogger(__name__)

PART = "linerefine.part"
"""Tag that says what a run is: ``command``, ``<refiner>/training`` or ``<refiner>/<repeat>``."""

COMMAND = "command"
_USUAL = {"", "default"}  # settings that a run's name need not mention
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class Store(Protocol):
    """What a recorder asks of the place where runs are kept; each raises RunError on failure."""

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, made if absent; mark its abandoned runs as failed."""

    def create(
        self, experiment: str, name: str, tags: Mapping[str, str], params: Mapping[str, str]
    ) -> str:
        """Start a run and return its id."""

    def reopen(self, run: str) -> bool:
        """Mark a run as running again; False if it is not there any more."""

    def children(self, experiment: str, parent: str) -> dict[str, tuple[str, bool]]:
        """Return a run's children by their `PART`: id, and whether it is finished."""

    def latest(self, run: str) -> dict[str, tuple[int, float]]:
        """Return the last step and value of every metric."""

    def send(self, run: str, points: Sequence[Point]) -> None:
        """Record numbers."""

    def artifact(self, run: str, path: Path, folder: str) -> None:
        """Keep a copy of a file."""

    def model(self, run: str, refiner: Any, channels: int, edge: int) -> None:  # noqa: ANN401
        """Keep a trained refiner, unless the run has one."""

    def end(self, run: str, status: str) -> None:
        """Mark a run as ended."""

    def hurry(self) -> None:
        """Try again at once, even if the last try failed."""


class RunRecorder:
    """Observer that keeps a command as one parent run and its parts as children.

    Parameters
    ----------
    store : Store
        Where to.
    uri : str
        Its address, to recognise it when a run is resumed.
    log_model : bool
        Whether trained refiners are kept.
    seconds : float
        Longest time that numbers wait in memory.

    Notes
    -----
    A store that fails in the middle of a run is reported and costs the run
    nothing. A process that dies leaves its run marked as failed; a resumed
    command goes on with the same runs, and what they hold already is not
    recorded again.
    """

    def __init__(
        self, store: Store, *, uri: str, log_model: bool = True, seconds: float = 5.0
    ) -> None:
        self._store = store
        self._uri = uri
        self._log_model = log_model
        self._writer = MetricWriter(self._send, seconds=seconds)
        self._mutex = threading.RLock()
        self._start: RunStarted | None = None
        self._metric = ""
        self._experiment = ""
        self._lock: FileLock | None = None
        self._runs: dict[str, str] = {}  # by part
        self._ended: set[str] = set()
        self._held: dict[str, dict[str, tuple[int, float]]] = {}  # of continued runs, by id
        self._curves: dict[str, SessionCurves] = {}
        self._planned: dict[str, set[str]] = {}
        self._by_hand = ByHand({}, "")

    def __call__(self, event: Event) -> None:
        """Record one event.

        Raises
        ------
        RunError
            If a run cannot be begun: the store does not take it, or another
            process works in the same run folder. Later failures are logged.
        """
        with self._mutex:
            if isinstance(event, RunStarted):
                self._begin(event)
            elif self._start is not None:  # what happens before a run is nobody's
                with _reported(f"{type(event).__name__} is not recorded"):
                    self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case EpochFinished():
                self._epoch(event)
            case ModelTrained():
                self._trained(event)
            case SessionsPlanned():
                for key in event.keys:
                    self._planned.setdefault(_part(key), set()).add(key.image)
            case SessionStarted():
                self._curves_of(event.key).begin(event.key.image)
            case RoundFinished():
                self._round(event)
            case SessionFinished():
                self._session(event)
            case ArtifactWritten():
                self._artifact(event)
            case RunFinished():
                self._finish(event.status, event.summary)
            case _:
                pass

    # ------------------------------------------------------------ beginning

    def _begin(self, event: RunStarted) -> None:
        """Claim the run folder; open the parent run, the old one if resumed."""
        self._lock = claim(event.output)
        try:
            self._start = event
            self._metric = _first_name(event.config.get("metrics"))
            self._by_hand = ByHand(event.config, self._metric)
            self._experiment = self._store.experiment(event.experiment)
            if not (event.resumed and self._continue(event.output)):
                self._runs = {}
                tags = {"mlflow.note.content": _description(event)}
                self._open(COMMAND, _run_name(event), tags)
                self._remember(event.output)
        except RunError:
            self._start = None
            self._lock.release()
            raise
        atexit.register(self._abandon)

    def _continue(self, output: Path) -> bool:
        """Take up the runs of an earlier command in this folder; False if there are none."""
        try:
            memory = json.loads((output / "mlflow.json").read_text(encoding="utf-8"))
            parent = str(memory["run"])
            if memory["uri"] != self._uri or not self._store.reopen(parent):
                return False
        except (OSError, ValueError, KeyError, TypeError):
            return False
        children = self._store.children(self._experiment, parent)
        self._runs = {COMMAND: parent} | {part: run for part, (run, _) in children.items()}
        self._ended = {part for part, (_, is_finished) in children.items() if is_finished}
        for part in children.keys() - self._ended:
            self._store.reopen(self._runs[part])
        self._held = {run: self._store.latest(run) for run in self._runs.values()}
        return True

    def _remember(self, output: Path) -> None:
        memory = {"uri": self._uri, "experiment": self._experiment, "run": self._runs[COMMAND]}
        try:
            with atomic_write(output / "mlflow.json") as temporary:
                temporary.write_text(json.dumps(memory, indent=2) + "\n", encoding="utf-8")
        except DataError as error:
            raise RunError(str(error)) from error

    def _run(self, part: str) -> str:
        """Return the run of a part, started if there is none yet."""
        if part in self._runs and part not in self._ended:
            return self._runs[part]
        refiner, _, kind = part.partition("/")
        tags = {"refiner": refiner, "mlflow.parentRunId": self._runs[COMMAND]}
        # MLflow shows some fifteen characters of a child's name; labels are longer.
        name = f"train · {refiner}"
        if kind.isdigit():
            tags["repeat"] = str(int(kind) + 1)
            name = f"{tags['repeat']} · {refiner}"
        return self._open(part, name, tags)

    def _open(self, part: str, name: str, tags: Mapping[str, str]) -> str:
        if part in self._runs:
            self._store.reopen(self._runs[part])
            self._ended.discard(part)
            return self._runs[part]
        assert self._start is not None
        where = {
            PART: part,
            "linerefine.output": str(self._start.output.absolute()),
            "linerefine.host": platform.node(),
            "mlflow.user": _user(),
            "mlflow.source.name": "linerefine",
        }
        own = {key: value for key, value in tags.items() if key in {"refiner", "repeat"}}
        params = flat_settings(self._start.config) | own
        everything = {**self._start.tags, **where, **tags}
        self._runs[part] = self._store.create(self._experiment, name, everything, params)
        return self._runs[part]

    # -------------------------------------------------------------- numbers

    def _epoch(self, event: EpochFinished) -> None:
        is_first = event.network == "segmenter"
        part = COMMAND if is_first else f"{event.network}/training"
        group = "segmenter" if is_first else "training"
        numbers = {metric_key(group, name): value for name, value in event.metrics.items()}
        self._writer.add(part, event.epoch, numbers)

    def _round(self, event: RoundFinished) -> None:
        image = event.key.image
        self._by_hand.add(event.key, event.round)
        compared = self._by_hand.score(event.key, event.round.index)
        numbers = round_numbers(event.round, self._metric, compared)
        self._curves_of(event.key).add(image, numbers)
        of_image = {metric_key("image", image, name): value for name, value in numbers.items()}
        self._writer.add(_part(event.key), event.round.index, of_image)

    def _session(self, event: SessionFinished) -> None:
        """Record what a session achieved; average the repeat once its images are through."""
        part, image = _part(event.key), event.key.image
        curves = self._curves_of(event.key)
        curve = curves.curve(image)
        numbers = (best_numbers(curve, self._metric) if curve else {}) | dict(event.numbers)
        # Hinted pixels are a curve already; one name cannot be both.
        numbers.pop("hinted_pixels", None)
        for point in list(self._by_hand.carried(event.key, curve)):
            curves.add(image, point)
        curves.finish(image, numbers)
        if part in self._planned and curves.finished >= self._planned[part]:
            self._complete(part)
        self._writer.flush()

    def _complete(self, part: str) -> None:
        """Record the means over images and end the child."""
        curves = self._curves.pop(part)
        for step, numbers in enumerate(curves.mean()):
            self._writer.add(part, step, numbers)
        self._writer.add(part, 0, curves.mean_numbers(), is_final=True)
        self._writer.flush()
        self._end(part, "FINISHED")

    def _curves_of(self, key: SessionKey) -> SessionCurves:
        return self._curves.setdefault(_part(key), SessionCurves())

    def _send(self, part: str, points: Sequence[Point]) -> None:
        """Record numbers, except what a continued run holds already."""
        held = self._held.get(self._runs.get(part, ""), {})
        news = [point for point in points if _is_news(point, held.get(point.key))]
        if news:
            self._store.send(self._run(part), news)

    # ---------------------------------------------------- files, models, end

    def _trained(self, event: ModelTrained) -> None:
        assert self._start is not None
        part = f"{event.refiner}/training"
        self._writer.flush()
        if self._log_model:
            edge = int(self._start.config.get("session", {}).get("crop", 256))
            with _reported(f"the refiner '{event.refiner}' is not kept as a model"):
                self._store.model(self._run(part), event.model, event.channels, edge)
        self._end(part, "FINISHED")

    def _artifact(self, event: ArtifactWritten) -> None:
        part = COMMAND
        if event.refiner is not None and event.repeat is not None:
            part = f"{event.refiner}/{event.repeat}"
        elif f"{event.refiner}/training" in self._runs:
            part = f"{event.refiner}/training"
        run = self._runs.get(part) or self._run(part)
        self._store.artifact(run, event.path, event.folder)

    def _end(self, part: str, status: str) -> None:
        if part in self._runs and part not in self._ended:
            with _reported(f"the run of {part} is not marked as ended"):
                self._store.end(self._runs[part], status)
                self._ended.add(part)

    def _finish(self, status: str, summary: Mapping[str, Any]) -> None:
        """Record the summary and mark all runs as ended."""
        self._store.hurry()
        if status == "finished":
            for part in list(self._curves):
                self._complete(part)
        self._writer.add(COMMAND, 0, numeric_leaves(summary), is_final=True)
        self._writer.flush()
        if self._writer.waiting:
            log.warning("%d numbers are not recorded in MLflow", self._writer.waiting)
        for part in sorted(self._runs, key=COMMAND.__eq__):  # the parent last
            self._end(part, _STATUS.get(status, "FAILED"))
        self._start = None
        atexit.unregister(self._abandon)
        if self._lock is not None:
            self._lock.release()

    def _abandon(self) -> None:
        """Mark the run as failed if the process ends without saying how."""
        if self._start is not None:
            with _reported("the run is not marked as failed"):
                self._finish("failed", {})


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """Turn a failing store into a line in the log."""
    try:
        yield
    except RunError as error:
        log.warning("%s: %s", what, error)


def _is_news(point: Point, held: tuple[int, float] | None) -> bool:
    if held is None:
        return True
    step, value = held
    return point.value != value if point.is_final else point.step > step


def _part(key: SessionKey) -> str:
    return f"{key.refiner}/{key.repeat}"


def _first_name(components: Any) -> str:  # noqa: ANN401 - part of a plain configuration
    return str(components[0]["name"]) if components else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without a user table
        return "unknown"


def _run_name(event: RunStarted) -> str:
    settings = (str(event.config.get(name, "")) for name in ("profile", "protocol"))
    # MLflow shows eighteen characters, below the name of the experiment and beside the age.
    return " ".join([time.strftime("%m-%d %H:%M"), *(s for s in settings if s not in _USUAL)])


_DATA_NOTES = {
    "phantom": "**Phantom data**: drawn, not scanned. No number here is about real objects.\n\n",
    "sample": "**Sample data**: drawn, not photographed.\n\n",
}


def _description(event: RunStarted) -> str:
    """Return what MLflow shows on the run's page, as Markdown."""
    refiners = ", ".join(
        str(part.get("label") or part["name"]) for part in event.config.get("refiners", ())
    )
    note = _DATA_NOTES.get(event.tags.get("data", ""), "")
    return f"{note}Refiners: {refiners or 'none'}.\n\nRun folder: `{event.output}`"
