"""Mistakes in words."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

import linerefine as lr
from linerefine.mistakes import Mistake, did_you_mean, dotted, mistakes_in, refusal, shown


class Inner(lr.Options):
    depth: int = Field(3, lt=9)


class Sample(lr.Options):
    share: float | Literal["auto"] = "auto"
    pair: tuple[int, int] = (1, 2)
    folder: Path = Path()
    inner: Inner | str = "none"
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    word: str = Field("abc", min_length=2, max_length=4)
    even: int = 2
    tags: frozenset[str] = frozenset()

    @field_validator("even")
    @classmethod
    def _check_even(cls, value: int) -> int:
        if value % 2:
            msg = "must be even."
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _check(self) -> Sample:
        if self.pair == (0, 0):
            msg = "pair and even do not go together."
            raise ValueError(msg)
        return self


def lines(data: object) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Sample.model_validate(data)
    return [m.line() for m in mistakes_in(raised.value, Sample, data, ("sample",))]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"share": "most"}, "sample.share is 'most', expected a number or 'auto'."),
        ({"share": None}, "sample.share is none, expected a number or 'auto'."),
        ({"pair": [1]}, "sample.pair.1 is missing."),
        ({"pair": [1, 2, 3]}, "sample.pair is [1, 2, 3], expected a list of length <= 2."),
        ({"folder": 3}, "sample.folder is 3, expected a path."),
        ({"inner": {"depth": 9}}, "sample.inner.depth is 9, expected < 9."),
        ({"many": [{}, {"dept": 1}]}, "sample.many.1.dept is not a setting. Did you mean 'depth'?"),
        (
            {"by_name": {"a": {"x": 1}}},
            "sample.by_name.a.x is not a setting. Available: depth.",
        ),
        ({"word": "a"}, "sample.word is 'a', expected text of length >= 2."),
        ({"word": "abcdef"}, "sample.word is 'abcdef', expected text of length <= 4."),
        ({"even": 3}, "sample.even is 3: must be even."),
        ({"pair": [0, 0]}, "sample: pair and even do not go together."),
        ({"tags": 3}, "sample.tags is 3, expected a list."),
        ({"Share": 1}, "sample.Share is not a setting. Did you mean 'share'?"),
    ],
)
def test_a_mistake_says_where_what_came_and_what_was_expected(data, line):
    assert line in lines(data)


def test_each_setting_is_named_once():
    assert len(lines({"share": "most", "even": 3})) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (1e-3, "0.001"),
        ("a b", "'a b'"),
        ({"a": 1}, "a table"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_are_shown_as_a_user_writes_them(value, text):
    assert shown(value) == text


def test_a_long_value_is_cut_to_sixty_characters():
    assert len(shown("x" * 100)) == 60


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("unett", "Did you mean 'unet'?"),
        ("UNET", "Did you mean 'unet'?"),
        ("unet-b6", "Did you mean 'unet_b6'?"),
        ("zebra", ""),
    ],
)
def test_the_nearest_name_is_suggested(name, suggestion):
    assert did_you_mean(name, ["manual", "unet", "unet_b6"]) == suggestion


def test_one_mistake_is_one_line_and_several_are_a_list():
    assert str(refusal(["a is 1."])) == "a is 1."
    assert str(refusal(["a is 1.", "b is 2."])) == (
        "2 mistakes in the configuration:\n  a is 1.\n  b is 2."
    )


def test_the_origin_comes_before_the_hint():
    mistake = Mistake(("a", 0), "is 1", "> 1", "Try 2.")
    assert mistake.line("set by --set") == "a.0 is 1, expected > 1 (set by --set). Try 2."
    assert dotted(mistake.where) == "a.0"
