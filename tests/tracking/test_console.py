from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from linerefine.events import (
    EpochFinished,
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
from linerefine.tracking.console import ConsoleObserver, epoch_line

KEY = SessionKey("unet", 1, "mirror 2")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Screen:
    """A console that keeps what was written."""

    def __init__(self, clock, *, is_terminal=False, width=80):
        self.file = io.StringIO()
        self.console = Console(
            file=self.file, force_terminal=is_terminal, width=width, color_system=None
        )
        self.observer = ConsoleObserver(self.console, clock=clock)

    def __call__(self, *events):
        for event in events:
            self.observer(event)
        return self

    @property
    def text(self):
        return self.file.getvalue()

    @property
    def lines(self):
        return self.text.splitlines()


@pytest.fixture
def screen(clock):
    return Screen(clock)


@pytest.fixture
def terminal(clock):
    screen = Screen(clock, is_terminal=True, width=100)
    yield screen
    screen.observer.close()


def test_a_whole_run_reads_like_a_story(screen, tmp_path, stream):
    for event in stream(tmp_path, stop_after=1):
        screen(event)
    assert screen.lines == [
        f"mirrors starts: phantom data, profile quick, cpu; into {tmp_path}",
        "warning: phantoms only",
        "training segmenter, at most 3 epochs",
        "epoch 1/3  loss 1.000  val pfm 20.0 %  best",
        "epoch 3/3  loss 0.333  val pfm 60.0 %  best",
        "training unet, at most 3 epochs",
        "epoch 1/3  loss 1.000  val pfm 20.0 %  best",
        "epoch 3/3  loss 0.333  val pfm 60.0 %  best",
        "[1/8] unet · repeat 1 · mirror 1: 6 rounds, pFM 50.0 % -> manual 68.0 %, "
        "refined 73.4 %, max gain +8.0 % (budget spent)",
        f"mirrors finished in 0:00; all of it is in {tmp_path}",
    ]


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_did_not_finish_says_what_is_kept(screen, clock, tmp_path, status):
    screen(RunStarted("mirrors", tmp_path, {}, {}))
    clock.now = 3725
    screen(RunFinished(status, message="the caller prints it"))
    assert screen.lines[-1] == (
        f"mirrors {status} after 1:02:05; what is finished is kept in {tmp_path}, --resume goes on"
    )
    assert "the caller prints it" not in screen.text


def test_an_end_before_any_start_is_said_too(screen):
    assert screen(RunFinished("failed")).lines == ["the run failed after 0:00"]


def test_a_resumed_run_goes_on(screen, tmp_path):
    screen(RunStarted("mirrors", tmp_path, {}, {}, resumed=True))
    assert screen.lines[0].startswith("mirrors goes on; into")


def test_lines_are_neither_wrapped_nor_marked_up(screen):
    long = "[red]" + "word " * 60 + "[/red] :smile:"
    assert screen(Note(long)).lines == [long]


def test_a_trained_model_is_named(screen, tmp_path):
    screen(ModelTrained("unet", None, 1, tmp_path / "unet.safetensors"))
    assert screen.lines == [f"unet is trained: {tmp_path / 'unet.safetensors'}"]


def test_quick_work_leaves_no_line(screen, clock):
    for done in range(5):
        clock.now += 0.3
        screen(Working("checking files", done, 4))
    assert screen.text == ""


def test_slow_work_leaves_a_line_now_and_then_and_one_at_the_end(screen, clock):
    for done in range(31):
        clock.now = float(done)
        screen(Working("drawing phantoms", done, 30))
    assert screen.lines == [
        "drawing phantoms: 2 of 30, 0:28 left",
        "drawing phantoms: 7 of 30, 0:23 left",
        "drawing phantoms: 12 of 30, 0:18 left",
        "drawing phantoms: 17 of 30, 0:13 left",
        "drawing phantoms: 22 of 30, 0:08 left",
        "drawing phantoms: 27 of 30, 0:03 left",
        "drawing phantoms: done in 0:30",
    ]


def test_one_long_step_is_said_when_it_is_done(screen, clock):
    screen(Working("loading", 0, 1))
    clock.now = 40.0
    screen(Working("loading", 1, 1))
    assert screen.lines == ["loading: done in 0:40"]


def test_work_within_work_is_silent(screen, clock):
    screen(Working("training unet", 0, 100))
    for step in range(20):
        clock.now = float(step)
        screen(Working("training unet", step, 100), Working("validating unet", step, 30))
    clock.now = 30.0
    screen(Working("validating unet", 30, 30))
    assert not any("validating" in line for line in screen.lines)


def test_work_that_was_never_ended_silences_nothing_for_ever(screen, clock):
    screen(Working("forgotten", 0, 100))
    clock.now = 100.0
    screen(Working("predicting", 0, 10))
    clock.now = 104.0
    screen(Working("predicting", 3, 10))
    assert screen.lines == ["predicting: 3 of 10, 0:09 left"]


def test_epochs_do_not_flood_and_the_last_one_is_said(screen, clock):
    for epoch in range(1, 101):
        clock.now = epoch * 1.0
        screen(EpochFinished("unet", epoch, 1000, {"loss": 0.5}, is_best=False))
    screen(Note("next"))
    numbers = [
        int(found.group(1)) for line in screen.lines if (found := re.match(r"epoch (\d+)", line))
    ]
    assert numbers == [*range(1, 100, 5), 100]
    assert screen.lines[-1] == "next"


def test_another_network_begins_with_a_line(screen):
    screen(EpochFinished("segmenter", 1, 5, {"loss": 0.5}, is_best=True))
    screen(EpochFinished("unet", 1, 5, {"loss": 0.5}, is_best=True))
    assert [line for line in screen.lines if line.startswith("training")] == [
        "training segmenter, at most 5 epochs",
        "training unet, at most 5 epochs",
    ]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"train/loss": 0.41234, "val/pfm": 0.712}, "loss 0.412  val pfm 71.2 %"),
        (
            {"val/relative_gain": 0.018, "learning_rate": 3e-4, "seconds": 9.0},
            "val relative gain +1.8 %",
        ),
        ({"val/loss": 0.5, "val/iou": float("nan")}, "val loss 0.500  val iou \N{EN DASH}"),
    ],
)
def test_an_epoch_shows_loss_and_validation_scores(metrics, words):
    assert (
        epoch_line(EpochFinished("unet", 3, 40, metrics, is_best=False)) == f"epoch 3/40  {words}"
    )


def test_a_finished_session_says_how_long_the_others_will_take(screen, clock):
    keys = [replace(KEY, repeat=repeat) for repeat in range(3)]
    screen(SessionsPlanned(tuple(keys)))
    for key, seconds in zip(keys, (20.0, 40.0, 10.0), strict=True):
        screen(SessionStarted(key, 40))
        clock.now += seconds
        screen(SessionFinished(key, 4, "budget spent"))
    assert [line.rpartition(" (")[2] for line in screen.lines] == [
        "budget spent); 2 more take 0:40",
        "budget spent); 1 more take 0:30",
        "budget spent)",
    ]


def test_a_session_is_followed_live(screen, clock, rounds_of):
    screen(SessionsPlanned((KEY,)), SessionStarted(KEY, 40))
    for round_ in rounds_of(KEY):
        clock.now += 2.0
        screen(RoundFinished(KEY, round_))
    assert screen.lines == [
        "[1/1] unet · repeat 2 · mirror 2: 1 of 40, pFM manual 53.1 % refined 54.2 %, 1:18 left",
        "[1/1] unet · repeat 2 · mirror 2: 4 of 40, pFM manual 62.1 % refined 67.1 %, 1:12 left",
    ]
    screen(SessionFinished(KEY, 4, "nothing left to improve"))
    assert screen.lines[-1] == (
        "[1/1] unet · repeat 2 · mirror 2: 4 rounds, pFM 50.1 % -> manual 62.1 %, "
        "refined 67.1 % (nothing left to improve)"
    )


def test_no_colour_and_no_bars_where_there_is_no_terminal(screen, tmp_path, stream):
    for event in stream(tmp_path):
        screen(event)
    assert "\x1b" not in screen.text


def test_bars_show_where_a_session_is(terminal, clock, rounds_of):
    terminal(SessionStarted(KEY, 40))
    for round_ in rounds_of(KEY):
        clock.now += 1.0
        terminal(RoundFinished(KEY, round_))
    terminal.observer._tasks._progress.refresh()
    shown = terminal.text.splitlines()[-1]
    assert "unet · repeat 2 · mirror 2" in shown
    assert "4/40" in shown
    assert "pFM manual 62.1 % refined 67.1 %" in shown


def test_on_a_narrow_terminal_the_name_gives_way(clock):
    screen = Screen(clock, is_terminal=True, width=80)
    key = SessionKey("unet", 0, "a mirror with a very long name indeed")
    screen.observer._tasks.update(
        f"unet · repeat 1 · {key.image}", 4, 40, "pFM manual 62.1 % refined 67.1 %"
    )
    screen.observer._tasks._progress.refresh()
    shown = screen.text.splitlines()[-1].rpartition("\x1b[2K")[2]
    assert "…" in shown
    assert shown.rstrip().endswith("pFM manual 62.1 % refined 67.1 %")
    assert len(shown.rstrip()) <= 80
    screen.observer.close()


def test_bars_leave_a_line_only_if_the_work_was_slow(terminal, clock):
    terminal(Working("quick", 0, 2), Working("quick", 2, 2))
    terminal(Working("slow", 0, 2))
    clock.now += 9
    terminal(Working("slow", 2, 2))
    assert "slow: done in 0:09" in terminal.text
    assert "quick: done" not in terminal.text


def test_the_screen_is_clean_when_work_has_ended(terminal, clock):
    terminal(Working("slow", 0, 2), Working("slow", 2, 2))
    assert terminal.observer._tasks._progress is None
    last = terminal.text.rpartition("\x1b[2K")[2]
    assert last == "\x1b[?25h\r"  # the bar's line is cleared, the cursor shown


def test_every_epoch_has_its_line_on_a_terminal(terminal):
    for epoch in range(1, 9):
        terminal(EpochFinished("unet", epoch, 8, {"loss": 0.5}, is_best=False))
    assert terminal.text.count("epoch ") == 8


def test_a_session_of_people_apart_is_told_beside_the_manual_person(screen, tmp_path, rounds_of):
    screen(RunStarted("mirrors", tmp_path, {"evaluation": {"loop": "independent"}}, {}))
    for round_ in rounds_of(KEY):
        screen(RoundFinished(KEY, round_))
    numbers = {"manual_best": 0.65, "max_gain": 0.032}
    screen(SessionFinished(KEY, 4, "budget spent", numbers))
    assert screen.lines[-1].endswith(
        "4 rounds, pFM 50.1 % -> pasted 62.1 %, refined 67.1 %, manual person's best 65.0 %, "
        "max gain +3.2 % (budget spent)"
    )
