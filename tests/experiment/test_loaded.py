"""No image is read twice while it fits, and no more is kept than may be."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linerefine as lr
from linerefine import builtin
from linerefine.experiment import run_experiment
from linerefine.experiment.loaded import Loaded, sample_bytes
from linerefine.registry import Registry
from linerefine.samples import Sample
from linerefine.testing import DrawnLoader

from .conftest import CONFIG, EXPERIMENT


def sample(name: str = "any", edge: int = 10) -> Sample:
    shape = (edge, edge)
    return Sample(
        name, np.zeros((1, *shape), np.float32), np.ones(shape, bool), np.ones(shape, bool)
    )


SIZE = sample_bytes(sample())


class Counting(DrawnLoader):
    def __init__(self, reads: Counter[str]) -> None:
        super().__init__()
        self.reads = reads

    def load(self, name: str) -> Sample:
        self.reads[name] += 1
        return super().load(name)


@pytest.mark.parametrize(("share", "most"), [(0.25, 1), (0.0, 14)])
def test_a_whole_run_reads_each_image_once_if_they_fit(
    tmp_path: Path, share: float, most: int
) -> None:
    reads: Counter[str] = Counter()

    class Plugin:
        @lr.hookimpl
        def linerefine_loaders(self) -> Iterator[lr.Entry[Any]]:
            yield lr.Entry("drawn", "drawn samples", lambda options: Counting(reads))

    config = CONFIG.model_copy(update={"image_memory": share})
    run_experiment(EXPERIMENT, config, Registry([builtin, Plugin()]), tmp_path / "run")
    assert set(reads) == set(DrawnLoader()._kinds)
    assert max(reads.values()) <= most
    assert (max(reads.values()) == 1) == (most == 1)


def test_pixels_masks_and_the_skeletons_to_come_are_counted() -> None:
    assert SIZE == 100 * (4 + 1 + 1 + 2)
    several = Sample("s", sample().image, sample().roi, sample().lines, other_lines=(sample().roi,))
    assert sample_bytes(several) == SIZE + 100


def test_memory_maps_cost_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((1, 10, 10), np.float32))
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    for image in (mapped, mapped[:], np.asarray(mapped)):
        assert sample_bytes(Sample("m", image, np.ones((10, 10), bool))) == 100


def test_the_least_recently_used_goes_first() -> None:
    reads: list[str] = []
    loaded = Loaded(lambda name: reads.append(name) or sample(name), limit=2 * SIZE)  # type: ignore[func-returns-value]
    for name in ("a", "b", "a", "c", "a", "b"):
        assert loaded(name).name == name
    assert reads == ["a", "b", "c", "b"]


@given(st.lists(st.integers(1, 6), max_size=30), st.integers(0, 4 * SIZE))
def test_never_more_is_kept_than_may_be_and_all_are_right(edges: list[int], limit: int) -> None:
    loaded = Loaded(lambda name: sample(name, int(name)), limit)
    for edge in edges:
        assert loaded(str(edge)).shape == (edge, edge)
        assert loaded.bytes <= limit


def test_another_process_begins_with_nothing_kept() -> None:
    loaded = Loaded(DrawnLoader().load, limit=1 << 20)
    loaded("val_cross_0")
    copy = pickle.loads(pickle.dumps(loaded))
    assert copy.bytes == 0 < loaded.bytes
    assert copy("val_cross_0").name == "val_cross_0"
