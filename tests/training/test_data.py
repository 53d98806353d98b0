import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linerefine.config import AugmentationConfig, TilingConfig
from linerefine.errors import DataError
from linerefine.samples import Sample
from linerefine.training import data
from linerefine.training.data import TrainingPatches, ValidationPatches, _pick


def take(patches, count, **where):
    return list(itertools.islice(patches.batches(2, 3, **where), count))


def same(first, second):
    return all(
        torch.equal(a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one[:3], two[:3], strict=True)
    )


def with_lines(lines, roi=None):
    lines = np.asarray(lines, bool)
    rows, cols = np.indices(lines.shape).astype(np.float32)
    roi = np.ones_like(lines) if roi is None else roi
    return Sample("given", np.stack([rows, cols]), roi, lines)


def test_a_patch_depends_on_seed_epoch_and_index_alone(drawn, tiling):
    first, again = (TrainingPatches([drawn(0), drawn(1)], tiling, seed=3) for _ in range(2))
    again.patch(5, 7)
    for epoch, index in ((0, 0), (1, 3), (0, 200)):
        a, b = first.patch(epoch, index), again.patch(epoch, index)
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.lines, b.lines)


@pytest.mark.parametrize("other", [(4, 0, 0), (3, 1, 0), (3, 0, 1)], ids=["seed", "epoch", "index"])
def test_another_seed_epoch_or_index_gives_another_patch(drawn, tiling, other):
    def image(seed, epoch, index):
        return TrainingPatches([drawn(0)], tiling, seed=seed).patch(epoch, index).image

    assert not np.array_equal(image(3, 0, 0), image(*other))


def test_batches_are_the_same_from_any_step_on(drawn, tiling):
    patches = TrainingPatches([drawn(0)], tiling, seed=1)
    whole = take(patches, 7)
    assert same(whole[4:], take(patches, 3, epoch=1, step=1))


def test_two_workers_deliver_what_the_main_process_does(drawn, tiling):
    patches = TrainingPatches([drawn(0)], tiling, seed=1)
    assert same(take(patches, 4), take(patches, 4, workers=2))


def test_batches_leave_the_global_random_state_alone(drawn, tiling):
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())
    take(TrainingPatches([drawn(0)], tiling), 3)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == pickle.dumps(np.random.get_state())


def test_a_batch_has_images_lines_and_roi_in_one_shape(drawn, tiling):
    batch = take(TrainingPatches([drawn(0)], tiling), 1)[0]
    assert batch.image.shape == batch.lines.shape == batch.roi.shape == (2, 1, 64, 64)
    assert batch.image.dtype == torch.float32
    assert batch.lines.dtype == batch.roi.dtype == torch.bool


def test_every_tile_gives_its_patches_once_per_epoch_in_another_order_each(plain):
    # Two tiles, told apart by the column their only lines are in.
    lines = np.zeros((64, 128), bool)
    lines[:, 20] = lines[:, 100] = True
    tiling = TilingConfig(patch=32, train_rows=64, train_cols=64, patches_per_tile=6)
    patches = TrainingPatches([with_lines(lines)], tiling, plain, seed=0)

    def sides(epoch):
        drawn = (patches.patch(epoch, index).image[1] for index in range(len(patches)))
        return ["right" if image.mean() > 60 else "left" for image in drawn]

    # Tiles begin at columns 0, 32 and 64; the middle one holds no line.
    assert len(patches) == 2 * 6
    assert sorted(sides(0)) == ["left"] * 6 + ["right"] * 6
    assert sides(0) != sides(1)


def test_past_the_end_of_an_epoch_another_shuffled_pass_begins(drawn, tiling):
    patches = TrainingPatches([drawn(0), drawn(1)], tiling, seed=0)
    first = patches.patch(0, 0).image
    assert not np.array_equal(first, patches.patch(0, len(patches)).image)


@pytest.mark.parametrize("seed", range(5))
def test_every_patch_holds_an_annotated_pixel_however_rare(seed):
    lines = np.zeros((200, 300), bool)
    lines[2, 297] = True
    config = AugmentationConfig(affine=1)
    tiling = TilingConfig(patch=64, train_rows=200, train_cols=300, patches_per_tile=3)
    patches = TrainingPatches([with_lines(lines)], tiling, config, seed=seed)
    for index in range(len(patches)):
        patch = patches.patch(0, index)
        assert (patch.lines & patch.roi).any()


def test_lines_outside_the_roi_are_no_annotation(tiling):
    lines = np.zeros((96, 96), bool)
    lines[:40] = True
    roi = np.zeros((96, 96), bool)
    with pytest.raises(DataError, match=r"none of 1 training samples has a line pixel inside"):
        TrainingPatches([with_lines(lines, roi)], tiling)


def test_an_unannotated_sample_is_refused_by_name(tiling):
    sample = Sample("blank", np.zeros((1, 96, 96), np.float32), np.ones((96, 96), bool))
    for patches in (TrainingPatches, ValidationPatches):
        with pytest.raises(DataError, match="sample 'blank' has no lines"):
            patches([sample], tiling)


def test_an_image_smaller_than_a_patch_is_reflected_to_fill_it(plain):
    lines = np.zeros((40, 50), bool)
    lines[20] = True
    patches = TrainingPatches([with_lines(lines)], TilingConfig(patch=64), plain)
    patch = patches.patch(0, 0)
    assert patch.image.shape == (2, 64, 64)
    assert patch.roi.sum() == 40 * 50


def test_memory_maps_are_read_but_never_copied_whole(tmp_path, tiling):
    path = tmp_path / "image.npy"
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1, 96, 96))
    stored[:] = 1.5
    image = np.load(path, mmap_mode="r")
    sample = Sample("mapped", image, np.ones((96, 96), bool), np.ones((96, 96), bool))
    patches = TrainingPatches([sample], tiling)
    assert patches.patch(0, 0).image.max() == 1.5
    assert patches._samples[0].image is image


def test_samples_may_be_loaded_on_demand(drawn, tiling):
    class OnDemand:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            if index >= 2:
                raise IndexError
            return drawn(index)

    lazy = TrainingPatches(OnDemand(), tiling, seed=1)
    eager = TrainingPatches([drawn(0), drawn(1)], tiling, seed=1)
    np.testing.assert_array_equal(lazy.patch(2, 5).image, eager.patch(2, 5).image)


def test_validation_patches_cover_every_pixel_that_counts_once(drawn):
    sample = drawn(0, (100, 150))
    patches = ValidationPatches([sample], TilingConfig(patch=32))
    assert len(patches) == 4 * 5
    assert sum(patches.target(index).roi.sum() for index in range(len(patches))) == 100 * 150
    counted = sum(
        (patches.target(i).mask & patches.target(i).roi).sum() for i in range(len(patches))
    )
    assert counted == sample.lines.sum()


def test_validation_patches_without_roi_are_dropped(drawn):
    sample = drawn(0)
    roi = np.zeros_like(sample.roi)
    roi[:10, :10] = True
    sample = Sample("corner", sample.image, roi, sample.lines)
    assert len(ValidationPatches([sample], TilingConfig(patch=32))) == 1
    with pytest.raises(DataError, match="none of 1 samples has a pixel inside its ROI"):
        ValidationPatches(
            [Sample("none", sample.image, np.zeros_like(roi), sample.lines)], TilingConfig(patch=32)
        )


@pytest.mark.parametrize("limit", [1, 3, 8, 9, 20])
def test_a_limit_thins_validation_patches_evenly(drawn, limit):
    samples = [drawn(0), drawn(1)]
    whole = ValidationPatches(samples, TilingConfig(patch=64))
    thinned = ValidationPatches(samples, TilingConfig(patch=64), limit)
    assert len(whole) == 8
    assert len(thinned) == min(limit, 8)
    kept = [
        next(j for j in range(8) if np.array_equal(whole.patch(j).image, thinned.patch(i).image))
        for i in range(len(thinned))
    ]
    assert kept == sorted(set(kept))
    if limit == 3:
        assert kept == [1, 4, 6]


def test_validation_images_come_in_order_and_whole(drawn):
    patches = ValidationPatches([drawn(0, (64, 96))], TilingConfig(patch=32))
    seen = [(indices, images) for indices, images in patches.images(4)]
    assert [list(indices) for indices, _ in seen] == [[0, 1, 2, 3], [4, 5]]
    np.testing.assert_array_equal(seen[1][1][0].numpy(), patches.patch(4).image)


@given(st.integers(0, 2**32))
def test_a_line_pixel_is_picked_as_from_the_list_of_all(seed):
    rng = np.random.default_rng(seed)
    lines, roi = rng.random((2, 12, 15)) < 0.2
    lines[3, 4] = roi[3, 4] = True
    counts = (lines & roi).sum(axis=1).cumsum()
    rows, cols = np.nonzero(lines & roi)
    for again in range(5):
        pick = int(np.random.default_rng(again).integers(rows.size))
        found = _pick(lines, roi, counts, np.random.default_rng(again))
        assert found == (rows[pick], cols[pick])


def test_no_more_workers_than_shared_memory_holds_batches_of(tmp_path, monkeypatch, caplog):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(data, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(data.shutil, "disk_usage", lambda _: usage)
    assert [data._fitting(2, 150), data._fitting(0, 9999)] == [2, 0]
    assert not caplog.records
    assert [data._fitting(4, 150), data._fitting(4, 334)] == [2, 0]
    assert "too few for 4 processes" in caplog.text
    monkeypatch.setattr(data, "SHARED_MEMORY", tmp_path / "absent")
    assert data._fitting(4, 334) == 4
