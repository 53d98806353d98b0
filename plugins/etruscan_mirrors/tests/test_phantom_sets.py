"""Sets of drawn mirrors: written once, whole or not at all, read by the loader's own code."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linerefine.errors import ConfigError, DataError
from linerefine_etruscan_mirrors.files import (
    Layout,
    discover,
    orphan_drawings,
    pixels_per_mm,
    read_channel,
    read_drawing,
    read_mask,
    size,
)
from linerefine_etruscan_mirrors.phantom import (
    CONDITIONS,
    LARGEST,
    SETS,
    TEST_OBJECTS,
    TEST_VIEWS,
    Engraving,
    MirrorSpec,
    draw_mirror,
    ensure_phantoms,
    sets,
    write_phantoms,
)

SPECS = tuple(
    MirrorSpec(f"PHANTOM-0{index}", index, (256, 300), 6.0, Engraving(1), CONDITIONS["fair"])
    for index in (1, 2, 3)
)


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def drawing(monkeypatch: pytest.MonkeyPatch, then: Callable[[int], None]) -> list[int]:
    """Count the mirrors drawn; call `then` with the seed before each."""
    seeds: list[int] = []

    def draw(seed: int, *args: Any, **kwargs: Any) -> object:
        then(seed)
        seeds.append(seed)
        return draw_mirror(seed, *args, **kwargs)

    monkeypatch.setattr(sets, "draw_mirror", draw)
    return seeds


class TestWriting:
    def test_mirrors_are_read_back_as_drawn(self, tmp_path: Path) -> None:
        write_phantoms(tmp_path, SPECS[:1], silent)
        (view,) = discover(tmp_path, Layout())
        assert (view.object_name, view.name) == ("PHANTOM-01", "PHANTOM-01_R")
        assert view == SPECS[0].view(tmp_path)
        spec = SPECS[0]
        drawn = draw_mirror(
            spec.seed, spec.shape, 6.0, engraving=spec.engraving, condition=spec.condition
        )
        np.testing.assert_array_equal(read_channel(view.depth), drawn.depth)
        np.testing.assert_array_equal(read_channel(view.normals), drawn.normals)
        np.testing.assert_array_equal(read_channel(view.albedo), drawn.albedo)
        np.testing.assert_array_equal(read_drawing(view.drawing), drawn.lines)
        np.testing.assert_array_equal(read_mask(view.mask), drawn.mask)
        assert pixels_per_mm(view.normals) == pytest.approx(6.0, rel=1e-3)
        assert size(view.depth) == (256, 300)
        assert not orphan_drawings(tmp_path, Layout())

    def test_progress_tells_how_many_are_done(self, tmp_path: Path) -> None:
        told: list[tuple[str, int, int]] = []
        write_phantoms(tmp_path, SPECS[:2], lambda *report: told.append(report))
        assert told == [("drawing phantoms", done, 2) for done in (0, 1, 2)]

    def test_killed_run_leaves_whole_mirrors_only_and_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(seed: int) -> None:
            if seed == 2:
                raise KeyboardInterrupt

        drawing(monkeypatch, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_phantoms(tmp_path, SPECS, silent)
        assert [view.object_name for view in discover(tmp_path, Layout())] == ["PHANTOM-01"]
        seeds = drawing(monkeypatch, lambda seed: None)
        write_phantoms(tmp_path, SPECS, silent)
        assert seeds == [2, 3]
        assert len(discover(tmp_path, Layout())) == 3

    def test_mirror_half_written_is_not_taken_for_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(view: Any, **channels: Any) -> None:
            view.depth.parent.mkdir(parents=True)
            view.depth.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(sets, "write_view", full)
        with pytest.raises(
            DataError, match=r"PHANTOM-01 cannot be written: No space left .* 4 byt"
        ):
            write_phantoms(tmp_path, SPECS[:1], silent)
        assert not list(tmp_path.iterdir())

    def test_two_writers_at_once_do_no_harm(self, tmp_path: Path) -> None:
        failures: list[BaseException] = []

        def write() -> None:
            try:
                write_phantoms(tmp_path, SPECS[:2], silent)
            except BaseException as error:
                failures.append(error)

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert not failures
        assert sorted(path.name for path in tmp_path.iterdir()) == ["PHANTOM-01", "PHANTOM-02"]
        assert all(read_channel(view.depth).any() for view in discover(tmp_path, Layout()))


class TestCache:
    @pytest.fixture(autouse=True)
    def small_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(SETS, "small", SPECS[:2])

    def test_set_is_drawn_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seeds = drawing(monkeypatch, lambda seed: None)
        root = ensure_phantoms(tmp_path, "small", silent)
        assert ensure_phantoms(tmp_path, "small", silent) == root
        assert seeds == [1, 2]
        assert root.is_relative_to(tmp_path)
        assert len(discover(root, Layout())) == 2
        assert "nothing measured on them" in (root / "README.txt").read_text(encoding="utf-8")

    @pytest.mark.parametrize("change", ["specs", "generator"])
    def test_other_parameters_get_a_folder_of_their_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        before = ensure_phantoms(tmp_path, "small", silent)
        if change == "specs":
            monkeypatch.setitem(SETS, "small", (replace(SPECS[0], pixels_per_mm=9.0), SPECS[1]))
        else:
            monkeypatch.setattr(sets, "GENERATOR", sets.GENERATOR + 1)
        assert ensure_phantoms(tmp_path, "small", silent) != before

    def test_unknown_set_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigError, match=r"named 'large'\. Available: full, quick, ship, small\."
        ):
            ensure_phantoms(tmp_path, "large", silent)


class TestSets:
    @pytest.mark.parametrize("name", SETS)
    def test_names_and_seeds_are_unique_and_the_test_objects_there(self, name: str) -> None:
        objects = [spec.object_name for spec in SETS[name]]
        assert len(set(objects)) == len({spec.seed for spec in SETS[name]}) == len(objects)
        assert set(TEST_OBJECTS) < set(objects)
        assert tuple(f"{name}_R" for name in TEST_OBJECTS) == TEST_VIEWS
        assert len(objects) - len(TEST_OBJECTS) >= 5

    def test_quick_mirrors_have_the_grid_that_full_ones_are_worked_on_at(self) -> None:
        assert {spec.shape for spec in SETS["full"]} == {LARGEST}
        (full,) = {spec.pixels_per_mm for spec in SETS["full"]}
        (quick,) = {spec.pixels_per_mm for spec in SETS["quick"]}
        assert quick == full / 2

    def test_networks_that_ship_are_trained_on_other_mirrors_than_they_are_tested_on(self) -> None:
        quick, ship = (
            {spec.object_name: spec for spec in SETS[name]} for name in ("quick", "ship")
        )
        assert all(ship[name] == quick[name] for name in quick)  # the test mirrors too
        tested = {quick[name].seed for name in TEST_OBJECTS}
        rest = [spec for name, spec in ship.items() if name not in TEST_OBJECTS]
        assert len(rest) == 21
        assert tested.isdisjoint(spec.seed for spec in rest)
