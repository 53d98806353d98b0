import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linerefine.config import NetworkConfig, TilingConfig
from linerefine.errors import ConfigError, DataError, RunError, ShapeError
from linerefine.models.inference import OUTSIDE_LOGIT, predict_image
from linerefine.models.segmenter import Segmenter, build_network

TILING = TilingConfig(patch=32, overlap=8)


class Constant(torch.nn.Module):
    """Answers one number everywhere, and notes what it was asked."""

    def __init__(self, value=1.7):
        super().__init__()
        self.value, self.seen = value, []

    def forward(self, image):
        self.seen.append(tuple(image.shape))
        return torch.full((len(image), 1, *image.shape[2:]), self.value)


class Copy(torch.nn.Module):
    """Answers its first channel: a network that looks at nothing but the pixel itself."""

    def forward(self, image):
        return image[:, :1] * 1.0


class Blur(torch.nn.Module):
    """Answers the mean of a neighbourhood of radius three."""

    def forward(self, image):
        return torch.nn.functional.avg_pool2d(image[:, :1], 7, 1, 3, count_include_pad=False)


@pytest.fixture(scope="module")
def network():
    config = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return Segmenter(build_network(config, 1))


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)


sizes = st.integers(1, 90)


@settings(deadline=None, max_examples=25)
@given(sizes, sizes, st.sampled_from([0, 1, 8, 31]))
def test_a_constant_network_gives_a_constant_image(height, width, overlap):
    tiling = TilingConfig(patch=32, overlap=overlap)
    logits = predict_image(Constant(), noise((height, width)), tiling)
    assert logits.shape == (height, width)
    assert logits.dtype == np.float32
    assert np.all(logits == np.float32(1.7))


@settings(deadline=None, max_examples=25)
@given(sizes, sizes, st.integers(1, 5))
def test_a_network_that_copies_gives_the_image_borders_included(height, width, batch_size):
    image = noise((height, width))
    logits = predict_image(Copy(), image, TILING, batch_size=batch_size)
    np.testing.assert_allclose(logits, image[0], atol=1e-6)


def test_windows_leave_no_seams_where_the_overlap_exceeds_what_a_network_sees():
    image = noise((100, 120))
    whole = Blur()(torch.from_numpy(image)[None])[0, 0].numpy()
    logits = predict_image(Blur(), image, TilingConfig(patch=32, overlap=16))
    # Window borders weigh next to nothing, so what they cannot see hardly counts.
    assert np.abs(logits - whole).max() < 0.1 * np.abs(whole).max()
    assert np.abs(logits - whole).mean() < 0.01 * np.abs(whole).max()


def test_moving_the_image_by_a_stride_moves_the_answer(network):
    image = noise((80, 80 + 24))
    left = predict_image(network, image[:, :, :80], TILING)
    right = predict_image(network, image[:, :, 24:], TILING)
    np.testing.assert_allclose(left[:, 48:72], right[:, 24:48], atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_does_not_change_the_answer(network, batch_size):
    image = noise((70, 90))
    expected = predict_image(network, image, TILING, batch_size=8)
    got = predict_image(network, image, TILING, batch_size=batch_size)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_network_is_used_in_evaluation_mode_and_left_as_it_was(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for is_training in (True, False):
        network.train(is_training)
        predict_image(network, noise((40, 40)), TILING)
        assert network.training is is_training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_windows_wholly_outside_the_roi_cost_nothing():
    roi = np.zeros((32, 128), bool)
    roi[:, :10] = True
    network = Constant()
    logits = predict_image(network, noise((32, 128)), TILING, roi=roi)
    assert sum(shape[0] for shape in network.seen) == 1
    assert np.all(logits[roi] == np.float32(1.7))
    assert np.all(logits[:, 32:] == OUTSIDE_LOGIT)


def test_an_empty_roi_asks_the_network_nothing():
    network = Constant()
    logits = predict_image(network, noise((40, 40)), TILING, roi=np.zeros((40, 40), bool))
    assert network.seen == []
    assert np.all(logits == OUTSIDE_LOGIT)


def test_a_memory_map_is_read_window_by_window(tmp_path):
    image = noise((70, 70))
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    np.testing.assert_allclose(predict_image(Copy(), mapped, TILING), image[0], atol=1e-6)


def test_progress_ends_at_the_total():
    told = []
    predict_image(
        Constant(), noise((60, 60)), TILING, batch_size=3, progress=lambda *a: told.append(a)
    )
    assert [done for _, done, _ in told] == [3, 6, 9]
    assert {(what, total) for what, _, total in told} == {("predicting", 9)}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_with_their_place(bad):
    image = noise((64, 64))
    image[0, 60, 60] = bad
    with pytest.raises(DataError, match="values that are not finite in rows 32-63, cols 32-63"):
        predict_image(Copy(), image, TilingConfig(patch=32, overlap=0))


def test_a_network_gone_wrong_is_an_error_not_an_empty_mask():
    with pytest.raises(RunError, match="network answers with values that are not finite"):
        predict_image(Constant(np.nan), noise((40, 40)), TILING)


@pytest.mark.parametrize("shape", [(40, 40), (1, 0, 40)])
def test_an_image_of_the_wrong_shape_is_refused(shape):
    with pytest.raises(ShapeError, match=r"image has shape .* expected \(C, H, W\)"):
        predict_image(Copy(), np.zeros(shape, np.float32), TILING)


def test_a_roi_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"roi has shape \(3, 3\), image \(1, 40, 40\)"):
        predict_image(Copy(), noise((40, 40)), TILING, roi=np.ones((3, 3), bool))


def test_an_overlap_as_wide_as_the_patch_is_refused():
    with pytest.raises(ConfigError, match="tiling.overlap is 32, expected less than tiling.patch"):
        predict_image(Copy(), noise((40, 40)), TilingConfig(patch=32, overlap=32))


@settings(deadline=None, max_examples=15)
@given(sizes, sizes, st.sampled_from([0, 8, 16]))
def test_the_authors_blending_covers_every_pixel_too(height, width, overlap):
    tiling = TilingConfig(patch=32, overlap=overlap, blend="paper")
    assert np.all(predict_image(Constant(), noise((height, width)), tiling) == np.float32(1.7))
    image = noise((height, width))
    np.testing.assert_allclose(predict_image(Copy(), image, tiling), image[0], atol=1e-6)


def test_the_authors_blending_against_a_sum_over_windows(network):
    image, patch, stride = noise((80, 112)), 32, 16
    logits = predict_image(network, image, TilingConfig(patch=32, overlap=16, blend="paper"))
    index = np.arange(patch)
    off = np.minimum(index, patch - 1 - index)
    weights = (np.minimum(np.minimum(off[:, None], off), 64) / 64) ** 2
    above, below = np.zeros((80, 112)), np.zeros((80, 112))
    network.eval()
    for top in range(0, 80 - patch + 1, stride):
        for left in range(0, 112 - patch + 1, stride):
            place = slice(top, top + patch), slice(left, left + patch)
            with torch.inference_mode():
                answer = network(torch.from_numpy(image[(slice(None), *place)])[None])[0, 0]
            above[place] += weights * answer.numpy()
            below[place] += weights
    seen = below > 0
    assert np.count_nonzero(~seen) == 2 * (80 + 112) - 4  # the border of the image alone
    np.testing.assert_allclose(logits[seen], above[seen] / below[seen], atol=1e-4)
    assert np.isfinite(logits[~seen]).all()


def test_blending_is_as_before_unless_asked_for():
    assert TilingConfig().blend == "taper"
    image = noise((60, 90))
    plain = predict_image(Blur(), image, TILING)
    assert not np.array_equal(
        plain, predict_image(Blur(), image, TILING.model_copy(update={"blend": "paper"}))
    )
