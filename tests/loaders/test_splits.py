"""Divisions: by file, by name, groups kept together."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.errors import DataError
from linerefine.loaders.splits import divide, grouping, read_split_file, split_file_of

NAMES = [f"{number:02}" for number in range(10)]
SHARES = (0.6, 0.2, 0.2)
ALONE = grouping(None)


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_sorted_names_are_cut_60_20_20():
    division = divide(reversed(NAMES), ALONE, SHARES)
    assert division.train == tuple(NAMES[:6])
    assert division.val == tuple(NAMES[6:8])
    assert division.test == tuple(NAMES[8:])
    assert division.rule == "by sorted name, 60/20/20 %"
    assert division.names("val") == division.val


def test_groups_stay_together():
    names = [f"Image_{child:02}{eye}" for child in range(5) for eye in "LR"]
    division = divide(names, grouping(r"(Image_\d+)"), SHARES)
    assert division.test == ("Image_04L", "Image_04R")
    assert division.val == ("Image_03L", "Image_03R")
    assert "of 5 groups that stay together" in division.rule


@settings(deadline=None)
@given(
    st.sets(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=30),
    st.tuples(*[st.floats(0.01, 1)] * 3),
)
def test_every_name_is_in_one_split_and_no_split_is_empty(names, weights):
    fractions = tuple(weight / sum(weights) for weight in weights)
    group = grouping("(.)")
    if len({group(name) for name in names}) < 3:
        with pytest.raises(DataError, match="too few to divide"):
            divide(names, group, fractions)
        return
    division = divide(names, group, fractions)
    parts = [division.train, division.val, division.test]
    assert sorted(sum(parts, ())) == sorted(names)
    assert all(parts)
    owners = [{group(name) for name in part} for part in parts]
    assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (None, "a_1", "a_1"),
        (r"([a-z])_\d", "a_1", "a"),
        (r"[a-z]", "a_1", "a"),
        (r"(x)?a", "a_1", "a"),
        (r"(b)_", "a_1", "a_1"),
    ],
)
def test_groups_are_what_the_pattern_matches(pattern, name, expected):
    assert grouping(pattern)(name) == expected


def test_a_file_inside_the_root_goes_before_one_beside_it(tmp_path):
    root = tmp_path / "veins"
    root.mkdir()
    assert split_file_of(root) is None
    beside = written(tmp_path / "splits.json", {"other": {}})
    assert split_file_of(root) is None
    written(beside, {"veins": {}})
    assert split_file_of(root) == beside
    inside = written(root / "splits.json", {})
    assert split_file_of(root) == inside


@pytest.mark.parametrize("is_keyed", [False, True])
def test_a_file_with_three_splits_is_taken_as_it_is(tmp_path, is_keyed):
    content = {"train": NAMES[:4], "val": NAMES[4:6], "test": NAMES[6:9]}
    file = written(tmp_path / "s.json", {"veins": content, "x": 1} if is_keyed else content)
    division = read_split_file(file, tmp_path / "veins", NAMES, ALONE)
    assert division.train == tuple(NAMES[:4])
    assert division.val == tuple(NAMES[4:6])
    assert division.test == tuple(NAMES[6:9])
    assert division.rule == f"as {file} says, 1 images that it does not name left out"


def test_without_test_val_is_reported_on_and_train_gives_early_stopping(tmp_path):
    names = [f"{child}{eye}" for child in range(6) for eye in "LR"]
    file = written(tmp_path / "s.json", {"train": names[:10], "val": names[10:]})
    division = read_split_file(file, tmp_path, names, grouping(r"(\d)"))
    assert division.test == ("5L", "5R")
    assert division.val == ("4L", "4R")
    assert division.train == tuple(names[:8])
    assert "'val' being reported on as test" in division.rule
    assert "the last fifth of its 'train' held back" in division.rule


def test_without_val_train_gives_early_stopping(tmp_path):
    file = written(tmp_path / "s.json", {"train": NAMES[:5], "test": NAMES[5:]})
    division = read_split_file(file, tmp_path, NAMES, ALONE)
    assert (division.train, division.val) == (tuple(NAMES[:4]), (NAMES[4],))
    assert division.test == tuple(NAMES[5:])


def test_all_wrong_names_are_listed_at_once(tmp_path):
    content = {"train": ["00", "01", "02a"], "val": ["00", "absent"]}
    file = written(tmp_path / "s.json", content)
    with pytest.raises(DataError) as caught:
        read_split_file(file, tmp_path, NAMES, ALONE)
    message = str(caught.value)
    assert message.startswith("3 mistakes in ")
    assert f"{file}: 'train' names '02a', not in {tmp_path}. Did you mean '02'?" in message
    assert f"{file}: 'val' names 'absent', not in {tmp_path}." in message
    assert f"{file}: '00' is in 'train' and again in 'val'." in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ([], "has no keys, expected"),
        ({}, "expected"),
        ({"training": []}, "has 'training', expected"),
        ({"train": "00"}, "'train' is not a list of names"),
        ({"train": [1]}, "'train' is not a list of names"),
        ({"train": [], "val": ["00"]}, "'train' is missing or empty"),
        ({"train": ["00"]}, "'val' and 'test' are both missing or empty"),
        ({"train": ["00"], "val": ["01"]}, "has one group in 'train' and no 'val'"),
    ],
)
def test_other_forms_are_refused(tmp_path, content, message):
    file = written(tmp_path / "s.json", content)
    with pytest.raises(DataError, match=re.escape(message)):
        read_split_file(file, tmp_path, NAMES, ALONE)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"split file .*absent\.json does not exist\."):
        read_split_file(tmp_path / "absent.json", tmp_path, NAMES, ALONE)
