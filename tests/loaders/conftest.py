"""Folders with a few drawn images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


def write_layout(root: Path, names: list[str], *, shape=(20, 30), second=False, roi=False) -> Path:
    """Write noise images with a horizontal line each; names decide the noise."""
    folders = ["images", "masks", *(["masks2"] * second), *(["fov"] * roi)]
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        mask = np.zeros(shape, np.uint8)
        mask[shape[0] // 2, 2:-2] = 255
        image = rng.integers(40, 200, (*shape, 3), dtype=np.uint8)
        cv2.imwrite(str(root / "images" / f"{name}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{name}.png"), mask)
        if second:
            cv2.imwrite(str(root / "masks2" / f"{name}.png"), np.roll(mask, 1, axis=0))
        if roi:
            field = np.zeros(shape, np.uint8)
            field[3:-3, 3:-3] = 255
            cv2.imwrite(str(root / "fov" / f"{name}.png"), field)
    return root


@pytest.fixture
def layout(tmp_path):
    """A folder with ten images, all four parts."""
    names = [f"{number:02}" for number in range(10)]
    return write_layout(tmp_path / "leaf veins", names, second=True, roi=True)


@pytest.fixture
def draw_layout():
    """The function that writes such folders."""
    return write_layout
