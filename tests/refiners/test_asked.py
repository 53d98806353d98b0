"""What a prompt asks: what is new, what a stroke means, where lines have their middle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import label, uniform_filter
from torch.nn import functional

from linerefine.refiners.asked import ALONG, HELD, Asked, _meant, middles


def test_a_crop_without_lines_is_expected_to_be_right():
    nothing = torch.full((1, 1, 128, 128), -8.0)
    asked = Asked(nothing, torch.zeros_like(nothing), nothing)
    assert float(asked.expected_f(nothing)) > 0.8
    assert float(asked.expected_f(-nothing)) < 0.02


def test_an_erase_stroke_means_what_is_joined_to_it():
    """By labels of squares of two pixels, for there the pieces are looked at."""
    lines = (torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(5)) < 0.16).float()
    erased = torch.zeros_like(lines)
    erased[..., 19:23, 19:23] = 1
    assert ALONG > 24  # enough to cross half of it
    squares = functional.max_pool2d(torch.maximum(lines, erased), 2)[0, 0].numpy()
    pieces, count = label(squares, np.ones((3, 3)))
    joined = np.isin(pieces, np.unique(pieces[9:12, 9:12])) & (pieces > 0)
    expected = np.kron(joined, np.ones((2, 2), bool)) & (lines[0, 0] > 0).numpy()
    meant = _meant(erased, lines)[0, 0].numpy()
    assert np.array_equal(meant, expected)
    assert count > 3
    assert 0 < meant.sum() < lines.sum()


def test_an_erase_stroke_means_a_line_as_far_as_it_is_one():
    lines = torch.zeros(1, 1, 48, 96)
    lines[..., 20:24, 4:30] = 1
    lines[..., 20:24, 36:90] = 1
    erased = torch.zeros_like(lines)
    erased[..., 20:24, 6:10] = 1
    assert _meant(erased, lines)[0, 0, 21].nonzero()[:, 0].tolist() == list(range(4, 30))
    lines[..., 20:24, 30:36] = 1
    assert _meant(erased, lines)[0, 0, 21].nonzero().max() == 9 + 2 * ALONG


def test_the_middle_of_a_line_is_where_its_likelihood_is_largest_across_it():
    """However unlikely the line, whatever its direction; it is a pixel or two wide."""
    belief = torch.full((1, 1, 40, 40), -6.0)
    belief[..., 9:12, 4:36] = -3.0
    belief[..., 10, 4:36] = -2.0
    for step in range(16):
        belief[..., 18 + step, 8 + step] = -1.0
    found = middles(belief)[0, 0]
    assert found[10, 6:34].all()
    assert not found[[7, 8, 9, 11, 12, 13], 8:32].any()
    assert all(found[18 + step, 8 + step] for step in range(2, 14))
    assert not any(found[18 + step, 11 + step] for step in range(3, 12))


def test_rounding_moves_no_middle():
    belief = torch.full((1, 1, 32, 32), -3.0)
    belief[..., 10:20, :] = 2.0
    noise = 1e-6 * torch.randn(belief.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(middles(belief), middles(belief + noise))
    assert middles(belief)[..., 14, 5:27].all()


def test_a_slope_has_no_middle():
    slope = torch.arange(40.0).expand(40, 40)[None, None] / 10 - 2
    uneven = slope + slope.transpose(2, 3) / 3
    assert not middles(uneven)[..., 4:-4, 4:-4].any()


def test_a_middle_is_the_largest_within_three_pixels_along_two_of_four_ways():
    belief = 2 * torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(6))
    smooth = uniform_filter(np.pad(belief[0, 0].clamp(-HELD, HELD).double(), 1), 3)[1:-1, 1:-1] * 9
    smooth /= uniform_filter(np.pad(np.ones((24, 24)), 1), 3)[1:-1, 1:-1] * 9
    found = middles(belief)[0, 0]
    for row, column in itertools.product(range(3, 21), repeat=2):
        square = smooth[row - 3 : row + 4, column - 3 : column + 4]
        ways = (square[3], square[:, 3], square.diagonal(), square[::-1].diagonal())
        largest = sum(square[3, 3] >= way.max() - 1e-5 for way in ways)
        assert bool(found[row, column]) == (largest >= 2)


def test_only_new_strokes_are_taken_away_to_see_what_they_say():
    initial = 3 * torch.randn(1, 1, 48, 48, generator=torch.Generator().manual_seed(2))
    old, new = torch.zeros(1, 1, 48, 48), torch.zeros(1, 1, 48, 48)
    old[..., 9:12, 10:30] = 1
    new[..., 30:33, 10:30] = 1
    held = torch.where(old != 0, HELD, initial.clamp(-6, 6))
    asked = Asked(initial, old + new, held)
    assert torch.equal(asked.without_new().hints, old)
    assert asked.adds.all()
    assert not Asked(initial, old, held).adds.any()
    assert not Asked(initial, old - new, held).adds.any()


def crossing(*angles: float, edge: int = 96) -> np.ndarray:
    """Return the logits of lines five pixels wide through one point, as a network draws them."""
    rows, columns = np.mgrid[:edge, :edge] - edge / 2 + 0.3
    away = [np.abs(rows * np.cos(a) - columns * np.sin(a)) for a in np.radians(angles)]
    return np.clip(2 * (3 - np.min(away, axis=0)), -6, 6)


def pieces(lines: np.ndarray) -> int:
    """Return how many pieces of 20 pixels or more there are."""
    return int((np.bincount(label(lines, np.ones((3, 3)))[0].ravel())[1:] >= 20).sum())


def spines(logits: np.ndarray) -> np.ndarray:
    before = torch.from_numpy(logits).float()[None, None]
    return Asked(before, torch.zeros_like(before), before).spines()[0, 0].numpy()


@pytest.mark.parametrize("turn", range(0, 90, 9))
@pytest.mark.parametrize("between", [20, 35, 50, 65, 90])
def test_what_stays_of_lines_that_cross_is_in_one_piece(turn, between):
    logits = crossing(turn, turn + between)
    found = spines(logits)
    assert pieces(found) == pieces(logits > 0) == 1
    assert 0.3 < found.sum() / (logits > 0).sum() < 0.8
