"""Samples and targets refuse what does not fit, and keep their skeletons."""

from __future__ import annotations

import numpy as np
import pytest

from linerefine.errors import ShapeError
from linerefine.samples import Sample, Target
from linerefine.types import Tile


def line(size: int = 40) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[10:15, 5:35] = True
    return mask


def test_a_window_slices_the_skeletons_of_the_whole() -> None:
    target = Target(line(), np.ones((40, 40), dtype=bool))
    tile = Tile(5, 20, 25, 40)
    window, crop = target.window(tile), target.crop(tile)
    np.testing.assert_array_equal(window.thinned, target.thinned[tile.index])
    np.testing.assert_array_equal(window.centreline, target.centreline[tile.index])
    np.testing.assert_array_equal(window.mask, crop.mask)
    assert not np.array_equal(window.thinned, crop.thinned)


def test_skeletons_are_computed_once() -> None:
    target = Target(line(), np.ones((40, 40), dtype=bool))
    assert target.thinned is target.thinned
    assert target.centreline is target.centreline


def test_a_target_refuses_shapes_and_types_that_differ() -> None:
    with pytest.raises(ShapeError, match=r"target mask has shape \(40, 40\), roi \(39, 40\)"):
        Target(line(), np.ones((39, 40), dtype=bool))
    with pytest.raises(ShapeError, match="target mask is uint8, roi bool"):
        Target(line().astype(np.uint8), np.ones((40, 40), dtype=bool))


def test_a_sample_refuses_what_does_not_fit() -> None:
    roi = np.ones((40, 40), dtype=bool)
    with pytest.raises(ShapeError, match=r"sample 'x': image has shape \(40, 40\)"):
        Sample("x", np.zeros((40, 40), np.float32), roi)
    with pytest.raises(ShapeError, match=r"sample 'x': lines has shape \(39, 40\)"):
        Sample("x", np.zeros((1, 40, 40), np.float32), roi, lines=line()[1:])
    with pytest.raises(ShapeError, match=r"sample 'x': other_lines\[0\] has shape \(39, 40\)"):
        Sample("x", np.zeros((1, 40, 40), np.float32), roi, other_lines=(line()[1:],))


def test_a_sample_nobody_traced_has_no_target() -> None:
    roi = np.ones((40, 40), dtype=bool)
    assert Sample("x", np.zeros((1, 40, 40), np.float32), roi).target is None
    assert Sample("x", np.zeros((1, 40, 40), np.float32), roi, lines=line()).target is not None
