"""Division by object, by file, and into the paper's halves of patches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.errors import DataError
from linerefine.types import Tile
from linerefine_etruscan_mirrors.splits import divide, patch_halves, read_split_file, roi_of

OBJECTS = {f"{name}_{side}": name for name in "ABCDEFGHIJ" for side in "RA"}


class TestDivide:
    @given(st.integers(0, 1000), st.integers(3, 20), st.floats(0.05, 0.6), st.floats(0.05, 0.4))
    @settings(deadline=None)
    def test_no_object_is_in_two_splits(
        self, seed: int, count: int, test_fraction: float, val_fraction: float
    ) -> None:
        objects = {f"{i}_{side}": str(i) for i in range(count) for side in "RA"}
        division = divide(
            objects, test_fraction=test_fraction, val_fraction=val_fraction, seed=seed
        )
        parts = [division.train, division.val, division.test]
        owners = [{objects[view] for view in part} for part in parts]
        assert all(parts)
        assert sum(map(len, owners)) == len(set().union(*owners))
        assert sorted(view for part in parts for view in part) == sorted(objects)

    def test_the_same_seed_gives_the_same_division(self) -> None:
        assert divide(OBJECTS, seed=1) == divide(OBJECTS, seed=1)
        assert divide(OBJECTS, seed=1) != divide(OBJECTS, seed=2)

    def test_further_sides_of_test_objects_neither_train_nor_test(self) -> None:
        division = divide(OBJECTS, test_views=("A_R", "C_R"))
        assert division.test == ("A_R", "C_R")
        assert division.unused == ("A_A", "C_A")
        assert not {"A_A", "C_A"} & {*division.train, *division.val}

    def test_without_validation_all_others_train(self) -> None:
        division = divide(OBJECTS, test_views=("A_R",), val_fraction=0)
        assert division.val == ()
        assert len(division.train) == 18

    def test_an_unknown_test_view_is_refused_with_a_suggestion(self) -> None:
        with pytest.raises(DataError, match=r"test_views names 'A_X', .* Did you mean 'A_"):
            divide(OBJECTS, test_views=("A_X",))

    def test_too_few_objects_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"1 left, expected at least 2 for training and val"):
            divide({"A_R": "A", "B_R": "B"})
        with pytest.raises(DataError, match=r"0 left, expected at least 1 for training\."):
            divide({"A_R": "A"}, val_fraction=0)


class TestSplitFile:
    def write(self, tmp_path: Path, content: Any) -> Path:
        path = tmp_path / "splits.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def test_is_taken_at_its_word(self, tmp_path: Path) -> None:
        stated = {"train": ["B_R", "A_R"], "val": ["C_R"], "test": ["D_R", "D_A"]}
        division = read_split_file(self.write(tmp_path, stated), OBJECTS)
        assert division.train == ("A_R", "B_R")
        assert division.test == ("D_A", "D_R")
        assert "A_A" in division.unused

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", r"is no JSON"),
            ({"train": []}, r"must hold lists of view names under train, val and test"),
            ({"train": ["A_R"], "val": "C_R", "test": ["D_R"]}, r"must hold lists"),
            ({"train": ["A_R"], "val": [], "test": ["D_R"]}, r"leaves 'val' empty"),
            (
                {"train": ["A_R"], "val": ["A_A"], "test": ["D_R"]},
                r"views of object 'A' in 'train' and 'val'",
            ),
            (
                {"train": ["A_R"], "val": ["Z_R"], "test": ["D_R"]},
                r"splits.json \(val\) names 'Z_R'",
            ),
        ],
    )
    def test_a_bad_one_is_refused(self, tmp_path: Path, content: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_split_file(self.write(tmp_path, content), OBJECTS)

    def test_a_missing_one_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"none\.json cannot be read: No such file"):
            read_split_file(tmp_path / "none.json", OBJECTS)


class TestPatchHalves:
    def test_the_papers_mirrors_give_331_and_332_patches(self) -> None:
        val, test = patch_halves(dict.fromkeys("XYZ", (3358, 4482)), 256, seed=0)
        assert sum(map(len, val.values())) == 331
        assert sum(map(len, test.values())) == 332
        assert len(val["X"]) + len(test["X"]) == 221

    def test_patches_are_disjoint_and_inside(self) -> None:
        val, test = patch_halves({"X": (100, 70)}, 32, seed=3)
        covered = np.zeros((100, 70), dtype=int)
        for tile in val["X"] + test["X"]:
            covered[tile.index] += 1
        assert covered.max() == 1
        assert covered.sum() == 6 * 32 * 32

    def test_another_seed_deals_otherwise(self) -> None:
        shapes = {"X": (320, 320)}
        assert patch_halves(shapes, 32, 0) == patch_halves(shapes, 32, 0)
        assert patch_halves(shapes, 32, 0) != patch_halves(shapes, 32, 1)

    def test_roi_is_kept_inside_the_patches_only(self) -> None:
        roi = np.ones((4, 4), dtype=bool)
        roi[0, 0] = False
        found = roi_of([Tile(0, 0, 2, 2)], roi)
        assert found.sum() == 3
        assert not found[2:].any()
