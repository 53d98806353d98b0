"""What a person at a terminal sees of a run, and how reports are printed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from linerefine.events import (
    EpochFinished,
    Event,
    ModelTrained,
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
from linerefine.tracking.tables import format_table, percent, print_report, report_text, say
from linerefine.tracking.work import BETWEEN_LINES, Bars, Lines, Tasks, duration
from linerefine.types import Round

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ConsoleObserver", "epoch_line", "format_table", "print_report", "report_text"]

_LABELS = {"pfm": "pFM", "iou": "IoU", "dice": "Dice", "f_measure": "F-measure"}


class ConsoleObserver:
    """Observer that writes readable lines, and bars with the time left on a terminal.

    Parameters
    ----------
    console : rich.console.Console
        Normally on stderr. Where it is no terminal, slow work leaves a plain
        line now and then instead of a bar.
    clock : callable
        Seconds that only rise.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._tasks: Tasks = (
            Bars(console, clock) if console.is_terminal else Lines(self._say, clock)
        )
        self._started = clock()
        self._start: RunStarted | None = None
        self._network = ""
        self._epoch_said = -math.inf
        self._epoch_unsaid = ""
        self._budgets: dict[SessionKey, int] = {}
        self._first: dict[SessionKey, Round] = {}
        self._last: dict[SessionKey, Round] = {}
        self._planned = 0
        self._finished = 0
        self._at_work_since: float | None = None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Working():
                self._tasks.update(event.what, event.done, event.total)
            case EpochFinished():
                self._epoch(event)
            case SessionsPlanned() | SessionStarted() | RoundFinished() | SessionFinished():
                self._say_epoch()
                self._play(event)
            case _:
                self._say_epoch()
                self._report(event)

    def _report(self, event: Event) -> None:
        """Show what concerns the run as a whole."""
        match event:
            case RunStarted():
                self._begin(event)
            case Note():
                self._note(event)
            case ModelTrained():
                self._say(f"{event.refiner} is trained: {event.path}")
            case RunFinished():
                self._end(event)
            case _:
                pass

    def _play(self, event: Event) -> None:
        """Show what concerns sessions."""
        match event:
            case SessionsPlanned():
                self._planned = len(event.keys)
            case SessionStarted():
                self._budgets[event.key] = event.budget
                if self._at_work_since is None:
                    self._at_work_since = self._clock()
            case RoundFinished():
                self._round(event)
            case SessionFinished():
                self._session(event)
            case _:
                pass

    def close(self) -> None:
        """Take bars off the screen; for when no end is announced."""
        self._tasks.close()

    def _say(self, text: str, style: str = "") -> None:
        say(self._console, text, style)

    def _begin(self, event: RunStarted) -> None:
        self._start = event
        self._started = self._clock()
        data = event.tags.get("data", "")
        facts = [f"{data} data" if data else "", event.tags.get("device", "")]
        profile = event.config.get("profile", "")
        facts.insert(1, f"profile {profile}" if profile else "")
        verb = "goes on" if event.resumed else "starts"
        said = ", ".join(fact for fact in facts if fact)
        self._say(f"{event.experiment} {verb}{': ' if said else ''}{said}; into {event.output}")

    def _note(self, event: Note) -> None:
        is_warning = event.level == "warning"
        self._say(
            f"warning: {event.message}" if is_warning else event.message,
            "yellow" if is_warning else "",
        )

    def _end(self, event: RunFinished) -> None:
        self._tasks.close()
        taken = duration(self._clock() - self._started)
        name = self._start.experiment if self._start else "the run"
        where = self._start.output if self._start else None
        # Whoever catches the error prints it; here is only what became of the run.
        if event.status == "finished":
            self._say(f"{name} finished in {taken}{f'; all of it is in {where}' if where else ''}")
        else:
            kept = f"; what is finished is kept in {where}, --resume goes on" if where else ""
            self._say(f"{name} {event.status} after {taken}{kept}", "red")

    # -------------------------------------------------------------- training

    def _epoch(self, event: EpochFinished) -> None:
        """Write an epoch's line; without a terminal, not more often than every few seconds."""
        if event.network != self._network:
            self._say_epoch()
            self._network = event.network
            self._say(f"training {event.network}, at most {event.max_epochs} epochs")
            self._epoch_said = -math.inf
        self._epoch_unsaid = epoch_line(event)
        now = self._clock()
        if self._console.is_terminal or now - self._epoch_said >= BETWEEN_LINES:
            self._say_epoch()
            self._epoch_said = now

    def _say_epoch(self) -> None:
        if self._epoch_unsaid:
            self._say(self._epoch_unsaid)
        self._epoch_unsaid = ""

    # -------------------------------------------------------------- sessions

    def _round(self, event: RoundFinished) -> None:
        key, round_ = event.key, event.round
        self._first.setdefault(key, round_)
        self._last[key] = round_
        name, manual, refined = _scores(round_)
        detail = f"{name} {self._side} {percent(manual)} refined {percent(refined)}"
        budget = self._budgets.get(key, round_.index)
        self._tasks.update(self._title(key), round_.index, budget, detail, ends=False)

    def _session(self, event: SessionFinished) -> None:
        key, title = event.key, self._title(event.key)
        self._finished += 1
        self._tasks.drop(title)
        first, last = self._first.pop(key, None), self._last.pop(key, None)
        self._budgets.pop(key, None)
        words = [f"{event.rounds} rounds"]
        if first is not None and last is not None:
            name, manual, refined = _scores(last)
            initial = percent(_scores(first)[1])
            words.append(
                f"{name} {initial} -> {self._side} {percent(manual)}, refined {percent(refined)}"
            )
        best = event.numbers.get("manual_best", math.nan)
        if self._is_apart and not math.isnan(best):
            words.append(f"manual person's best {percent(best)}")
        gain = event.numbers.get("max_gain", math.nan)
        if not math.isnan(gain):
            words.append(f"max gain {percent(gain, signed=True)}")
        self._say(f"{title}: {', '.join(words)} ({event.reason}){self._time_left()}")

    def _time_left(self) -> str:
        """Return how long the sessions that are left will take, as far as it can be told."""
        left = self._planned - self._finished
        taken = 0.0 if self._at_work_since is None else self._clock() - self._at_work_since
        if left <= 0 or round(taken) == 0:
            return ""
        return f"; {left} more take {duration(taken / self._finished * left)}"

    @property
    def _is_apart(self) -> bool:
        """Whether two people work apart, one of them by hand."""
        config = self._start.config if self._start else {}
        return bool(config.get("evaluation", {}).get("loop") == "independent")

    @property
    def _side(self) -> str:
        """Return what the curve of the same strokes without a refiner is called."""
        return "pasted" if self._is_apart else "manual"

    def _title(self, key: SessionKey) -> str:
        count = f"[{self._finished + 1}/{self._planned}] " if self._planned else ""
        return f"{count}{key.refiner} · repeat {key.repeat + 1} · {key.image}"


def epoch_line(event: EpochFinished) -> str:
    """Return the line of an epoch: loss, what was measured on validation, and whether it is best.

    Examples
    --------
    >>> epoch_line(EpochFinished("unet", 3, 40, {"train/loss": 0.4123, "val/pfm": 0.612}, True))
    'epoch 3/40  loss 0.412  val pfm 61.2 %  best'
    """
    words = [f"epoch {event.epoch}/{event.max_epochs}"]
    for key, value in event.metrics.items():
        name = key.replace("_", " ").replace("/", " ")
        if name.endswith("loss"):
            words.append(f"{name.removeprefix('train ')} {value:.3f}")
        elif name.startswith("val "):
            words.append(f"{name} {percent(value, signed=name.endswith('gain'))}")
    return "  ".join([*words, *(["best"] if event.is_best else [])])


def _scores(round_: Round) -> tuple[str, float, float]:
    """Return the label, manual and refined score of the steering metric, the first one."""
    name = next(iter(round_.manual), "score")
    manual, refined = (side.get(name, math.nan) for side in (round_.manual, round_.refined))
    return _LABELS.get(name, name), manual, refined
