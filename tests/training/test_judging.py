"""What a refiner's answer is charged for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from linerefine.training.judging import TOUCH, touched, wanted_changes

MASKS = arrays(np.bool_, (12, 15))
SQUARE = np.ones((3, 3), dtype=bool)


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS)
def test_touched_mistakes_are_whole_components_near_a_stroke(mistakes, strokes):
    near = ndimage.binary_dilation(strokes, np.ones((2 * TOUCH + 1,) * 2))
    labels, count = ndimage.label(mistakes, SQUARE)
    expected = np.zeros_like(mistakes)
    for number in range(1, count + 1):
        component = labels == number
        if (component & near).any():
            expected |= component
    assert np.array_equal(touched(mistakes, strokes), expected)


@pytest.fixture
def case():
    """Return a target of one row, of which the prediction has the left part and a false row."""
    lines, before, hints = (torch.zeros(1, 1, 40, 40) for _ in range(3))
    lines[..., 10, :] = 1
    before[..., 10, :15] = 1
    before[..., 30, 5:25] = 1
    lines[..., 20, 30:] = 1
    hints[..., 9:12, 20:24] = 1
    return lines.bool(), 4 * (2 * before - 1), hints


def test_wanted_are_the_mistakes_that_a_stroke_of_their_kind_touches(case):
    lines, before, hints = case
    everywhere = torch.ones_like(lines)
    _, wanted, counted = wanted_changes(before, hints, lines, everywhere, 0.0)
    expected = torch.zeros_like(lines)
    expected[..., 10, 15:] = True
    expected[..., 10, 20:24] = False
    assert torch.equal(wanted, expected)
    # Mistakes out of reach of any stroke count neither way, nor do pixels under strokes.
    assert not counted[..., 20, 30:].any()
    assert not counted[..., 30, 5:25].any()
    assert not counted[..., 9:12, 20:24].any()
    assert counted.sum() == 40 * 40 - 10 - 20 - 12


def test_an_erasing_stroke_wants_what_is_superfluous_only(case):
    lines, before, hints = case
    hints = hints.clone()
    hints[..., 29:32, 10:14] = -1
    _, wanted, _ = wanted_changes(before, hints, lines, torch.ones_like(lines), 0.0)
    assert wanted[..., 30, 5:10].all()
    assert wanted[..., 30, 14:25].all()
    asked = wanted_changes(before, -hints, lines, torch.ones_like(lines), 0.0)
    assert not asked.wanted.any()
    assert (asked.change(before, 0.0) < 0).all()


def test_change_is_the_log_odds_of_the_other_answer(case):
    lines, before, hints = case
    answer = torch.randn(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    asked = wanted_changes(before, hints, lines, torch.ones_like(lines), 0.5)
    change = asked.change(answer, 0.5)
    flipped = (answer > 0.5) != (before > 0.5)
    assert torch.equal(change > 0, flipped)


def test_outside_the_roi_nothing_counts(case):
    lines, before, hints = case
    _, wanted, counted = wanted_changes(before, hints, lines, torch.zeros_like(lines), 0.0)
    assert not wanted.any()
    assert not counted.any()
