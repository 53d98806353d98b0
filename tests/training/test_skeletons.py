"""Soft skeletons: centrelines of what is sharp, something in between of what is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.geometry.centreline import centreline
from linerefine.training.skeletons import soft_skeleton

from .references import plain_soft_skeleton


def soft(mask, roi=None, **options):
    """Return the soft skeleton of a NumPy array, shape (H, W)."""
    chance = torch.from_numpy(np.asarray(mask, dtype=np.float32))[None, None]
    inside = torch.ones_like(chance) if roi is None else torch.from_numpy(roi)[None, None]
    return soft_skeleton(chance, inside.bool(), **options)[0, 0].numpy()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10), st.integers(1, 10), st.integers(0, 4))
def test_it_equals_the_algorithm_of_the_paper_written_out(seed, rows, cols, iterations):
    rng = np.random.default_rng(seed)
    chance, roi = rng.random((rows, cols), dtype=np.float32), rng.random((rows, cols)) > 0.2
    expected = plain_soft_skeleton(chance, roi, iterations)
    np.testing.assert_allclose(soft(chance, roi, iterations=iterations), expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_it_lies_between_nothing_and_the_lines_and_outside_the_roi_is_nothing(seed):
    rng = np.random.default_rng(seed)
    chance, roi = rng.random((16, 16), dtype=np.float32), rng.random((16, 16)) > 0.3
    skeleton = soft(chance, roi)
    assert (skeleton >= 0).all()
    assert (skeleton <= chance + 1e-6).all()
    assert (skeleton[~roi] == 0).all()
    assert np.array_equal(skeleton, soft(np.where(roi, chance, 1 - chance), roi))


@pytest.mark.parametrize("width", [1, 3, 5, 11, 17])
def test_a_bar_of_any_width_leaves_its_middle_row(width):
    bar = np.zeros((25, 40))
    bar[12 - width // 2 : 13 + width // 2] = 1
    expected = np.zeros_like(bar)
    expected[12] = 1
    assert np.array_equal(soft(bar), expected)


def test_a_bar_wider_than_the_iterations_reach_leaves_nothing():
    bar = np.zeros((25, 40))
    bar[3:22] = 1
    assert soft(bar).sum() == 0
    assert soft(bar, iterations=9).sum() == 40


def test_a_line_that_leaves_the_roi_is_not_cut_short():
    bar = np.zeros((9, 40))
    bar[2:7] = 1
    roi = np.zeros(bar.shape, bool)
    roi[:, 10:30] = True
    assert np.array_equal(np.argwhere(soft(bar, roi)), [[4, col] for col in range(10, 30)])


def test_it_runs_along_the_centreline_of_drawn_lines(drawn):
    lines = drawn(4).lines
    skeleton, middle = soft(lines) > 0, centreline(lines)
    rows, cols = np.nonzero(skeleton)
    nearest = [
        np.hypot(*(np.argwhere(middle) - place).T).min() for place in zip(rows, cols, strict=True)
    ]
    assert np.mean(nearest) < 0.5
    assert skeleton.sum() < 0.4 * lines.sum()


def test_gradients_reach_the_lines_and_only_inside_the_roi():
    generator = torch.Generator().manual_seed(0)
    chance = torch.rand((1, 1, 12, 12), generator=generator).requires_grad_()
    roi = torch.rand((1, 1, 12, 12), generator=generator) > 0.3
    soft_skeleton(chance, roi).sum().backward()
    assert torch.isfinite(chance.grad).all()
    assert chance.grad[roi].abs().sum() > 1
    assert (chance.grad[~roi] == 0).all()
