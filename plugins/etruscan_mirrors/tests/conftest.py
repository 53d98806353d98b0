"""Tiny scans in the real file layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linerefine_etruscan_mirrors.files import Layout, View, write_view
from linerefine_etruscan_mirrors.loader import MirrorLoader
from linerefine_etruscan_mirrors.options import MirrorOptions

SHAPE = (96, 128)
RESOLUTION = 4.0
VIEWS = ("A_R", "B_R", "C_R", "D_R", "F_A", "F_R")


def disc(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - shape[0] / 2, cols - shape[1] / 2) < 0.45 * min(shape)


def grooves(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Three crossing straight lines, three pixels wide."""
    rng = np.random.default_rng(seed)
    lines = np.zeros(shape, dtype=bool)
    for _ in range(3):
        row, col = rng.integers(30, 66), rng.integers(40, 88)
        lines[row - 1 : row + 2, 30:100] = True
        lines[20:76, col - 1 : col + 2] = True
    return lines


def channels(seed: int, lines: np.ndarray) -> dict[str, np.ndarray]:
    """Depth, normals and albedo that go with some lines."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: lines.shape[0], : lines.shape[1]].astype(np.float32)
    bend = 1e-3 * (rows - 40) ** 2 + 0.02 * cols
    depth = bend - 0.3 * lines + rng.normal(0, 0.02, lines.shape)
    normals = rng.normal(0, 0.1, (3, *lines.shape))
    normals[2] += 1
    albedo = np.where(disc(lines.shape), 0.7, 0.1) + rng.normal(0, 0.02, lines.shape)
    return {
        name: array.astype(np.float32)
        for name, array in (("depth", depth), ("normals", normals), ("albedo", albedo))
    }


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of each test's own; its files need not survive a power cut."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setenv("LINEREFINE_CACHE", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "scans"


WriteView = Callable[..., View]


@pytest.fixture
def add_view(root: Path) -> WriteView:
    """Write one view; without mask if told so."""

    def add(name: str, *, seed: int = 0, has_mask: bool = True, **changed: Any) -> View:
        object_name = name.rpartition("_")[0]
        view = View(object_name, name, root, Layout())
        lines = grooves(seed)
        arrays = channels(seed, lines) | {
            "lines": lines,
            "mask": disc() if has_mask else None,
            "resolution": RESOLUTION,
        }
        write_view(view, **(arrays | changed))
        return view

    return add


@pytest.fixture
def collection(root: Path, add_view: WriteView) -> Path:
    """Five objects, one of them with two annotated sides."""
    for seed, name in enumerate(VIEWS):
        add_view(name, seed=seed)
    return root


@pytest.fixture
def make_loader(root: Path) -> Callable[..., MirrorLoader]:
    def make(**options: Any) -> MirrorLoader:
        return MirrorLoader(MirrorOptions(**({"root": root, "scale": 1} | options)))

    return make
