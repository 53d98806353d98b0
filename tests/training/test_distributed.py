"""Several processes that train one network: the same patches, losses and weights as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from linerefine.errors import ConfigError
from linerefine.events import Working
from linerefine.training.distributed import ALONE, Group, Launched, training_group

from . import together


def group_of(rank: int, size: int) -> Group:
    group = Group()
    group.rank, group.size = rank, size
    return group


def test_shares_make_up_the_batch():
    shares = [group_of(rank, 3).share(12) for rank in range(3)]
    assert [index for share in shares for index in share] == list(range(12))


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ConfigError, match=r"batch_size is 8, expected a multiple of 3"):
        group_of(0, 3).share(8)


def test_shares_hold_the_patches_of_the_whole_batch():
    train, _ = together.sets()
    whole = train.batches(6, 2)
    shares = [train.batches(6, 2, share=group_of(rank, 2).share(6)) for rank in range(2)]
    for _ in range(4):
        batch, parts = next(whole), [next(share) for share in shares]
        assert [part.first for part in parts] == [0, 3]
        assert batch.first == 0
        torch.testing.assert_close(torch.cat([part.image for part in parts]), batch.image)
        assert torch.equal(torch.cat([part.lines for part in parts]), batch.lines)


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with training_group() as group:
        assert group is ALONE
        assert group.is_first


@pytest.fixture
def group_of_one(tmp_path):
    """Return a group that goes all the way through torch.distributed, with one process."""
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield Launched()
    dist.destroy_process_group()


def test_one_launched_process_trains_as_one_alone(group_of_one, tmp_path):
    ends = []
    for name, group in (("alone", ALONE), ("launched", group_of_one)):
        module = together.seeded(together.plain_segmenter)
        result = together.train_segmenter(tmp_path / name, module, group, max_epochs=1)
        ends.append((module.state_dict(), result.history[0]["train/loss"]))
    assert ends[0][1] == ends[1][1]
    torch.testing.assert_close(ends[0][0], ends[1][0])


def losses(folder: Path, name: str = "segmenter") -> list[float]:
    history = json.loads((folder / f"{name}.json").read_text())["result"]["history"]
    return [epoch["train/loss"] for epoch in history]


def scores(folder: Path, key: str, name: str = "segmenter") -> list[float]:
    history = json.loads((folder / f"{name}.json").read_text())["result"]["history"]
    return [epoch[key] for epoch in history]


class StopAt:
    """Presses Ctrl-C after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, event):
        if (
            isinstance(event, Working)
            and event.what.startswith("training")
            and event.done == self.steps
        ):
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_as_one(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    together.train_all(one, ALONE)
    module = together.seeded(together.plain_segmenter)
    with pytest.raises(KeyboardInterrupt):
        together.train_segmenter(two / "begun", module, observers=[StopAt(6)])
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *command, together.__file__, str(two)],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    alone = torch.load(one / "0.pt")
    first, second = torch.load(two / "0.pt"), torch.load(two / "1.pt")
    for name, weights in first.items():
        assert all(torch.equal(value, second[name][key]) for key, value in weights.items()), name
    # Nothing but the order of sums differs ...
    for name in ("plain", "begun", "refiner", "rounds", "again"):
        torch.testing.assert_close(first[name], alone[name], rtol=1e-3, atol=1e-4)
    trained = {"plain": "segmenter", "begun": "segmenter", "refiner": "plain", "rounds": "plain"}
    for folder, network in trained.items():
        assert losses(two / folder, network) == pytest.approx(
            losses(one / folder, network), rel=1e-4
        )
    key = "val/relative_gain"
    assert scores(two / "refiner", key, "plain") == pytest.approx(
        scores(one / "refiner", key, "plain"), abs=1e-3
    )
    # ... except where layers look at their batch: each process normalises its own share.
    assert losses(two / "usual") == pytest.approx(losses(one / "usual"), rel=0.1)
    assert losses(two / "usual") != losses(one / "usual")
