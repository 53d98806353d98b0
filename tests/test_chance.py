"""Streams are found again by name and differ by name."""

from __future__ import annotations

from linerefine.chance import seed_for, stream


def test_a_name_gives_its_stream_in_any_order() -> None:
    first = [stream(3, "session", i).random() for i in range(4)]
    again = [stream(3, "session", i).random() for i in reversed(range(4))][::-1]
    assert first == again
    assert len(set(first)) == 4


def test_seed_and_words_both_matter() -> None:
    numbers = {seed_for(s, *w) for s in (0, 1) for w in [("a",), ("b",), ("a", "b"), ("b", "a")]}
    assert len(numbers) == 8
