"""What another process is sent, and when it refuses to work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from linerefine.errors import RunError
from linerefine.events import SessionKey
from linerefine.experiment import away
from linerefine.experiment.away import Failure, do_away, pack
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.sessions import Played
from linerefine.experiment.work import SessionWork
from linerefine.registry import Registry
from linerefine.report import RunResult
from linerefine.simulators.longest import Longest

from .conftest import CONFIG, registry


@pytest.fixture
def bench(trained: Path) -> Iterator[Bench]:
    yield Bench.build(CONFIG, registry(), RunFolder(trained), Notifier([]))
    away._at_work.clear()


def unit(bench: Bench) -> SessionWork:
    return SessionWork(SessionKey("manual", 0, bench.loader.names("test")[0]))


def test_a_session_elsewhere_is_the_session_here(alone: RunResult, bench: Bench) -> None:
    work = unit(bench)
    with pack(bench, 1) as parcel:
        played = do_away(parcel, work)
    assert isinstance(played, Played)
    mine = alone.rounds[(alone.rounds["refiner"] == "manual") & (alone.rounds["repeat"] == 0)]
    mine = mine[mine["image"] == work.key.image]
    assert [round_.refined["pfm"] for round_ in played.rounds] == list(mine["refined_pfm"])
    assert played.masks is not None


def test_a_run_folder_that_is_not_shared_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "SEEN_SECONDS", 0.1)
    with pack(bench, 1) as parcel:
        pass  # the mark goes with the block: as if this were another machine's folder
    answer = do_away(parcel, unit(bench))
    assert isinstance(answer, Failure)
    assert "does not see" in answer.reason
    assert "file system that all workers share" in answer.reason


def test_other_versions_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pack(bench, 1) as parcel:
        theirs = away._versions() | {"torch": "1.0"}
        monkeypatch.setattr(away, "_versions", lambda: theirs)
        answer = do_away(parcel, unit(bench))
    assert isinstance(answer, Failure)
    assert "torch 1.0 instead of" in answer.reason
    assert "Install the same versions" in answer.reason


class Telephone(Longest):
    """Holds what no pickle can hold."""

    def __init__(self) -> None:
        self.line = contextlib.nullcontext(number for number in range(3))


def test_a_simulator_that_cannot_be_sent_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bench.__dict__, "simulator", Telephone())
    with (
        pytest.raises(RunError, match=r"simulator 'longest' .* cannot be sent .*without --jobs"),
        pack(bench, 1),
    ):
        pass


def test_a_registry_of_what_is_installed_is_made_again_from_what_is_installed_there() -> None:
    found = Registry.discover()
    make, arguments = found.__reduce__()
    assert make(*arguments).describe() == found.describe()
    assert arguments == ((),)
