import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.training.disputes import CLEAREST, dispute


def crossing(size=64):
    """Two lines, three pixels wide, that cross: four pieces of line."""
    lines = np.zeros((size, size), bool)
    lines[30:33, 4:60] = lines[4:60, 30:33] = True
    return lines


LINES = crossing()
GRAIN = np.random.default_rng(0).normal(scale=0.2, size=LINES.shape).astype(np.float32)
IMAGE = np.stack([2.0 * LINES + GRAIN, -3.0 * LINES + GRAIN]).astype(np.float32)
ARMS = (np.s_[30:33, 8:20], np.s_[30:33, 44:56], np.s_[8:20, 30:33], np.s_[44:56, 30:33])


def disputed(seed, share=1.0, image=IMAGE, lines=LINES):
    return dispute(image, lines, np.random.default_rng(seed), share=share)


def contrasts(image, channel=0):
    """Return what is left of the contrast of each arm of the crossing, as a share."""
    return [float(image[channel][arm].mean() / IMAGE[channel][arm].mean()) for arm in ARMS]


def wanted(lines):
    return [bool(lines[arm].all()) for arm in ARMS]


def test_nothing_is_disputed_without_a_share():
    image, lines = disputed(0, share=0.0)
    assert image is IMAGE
    assert lines is LINES


def test_where_there_are_no_lines_nothing_is_disputed():
    image, lines = disputed(0, lines=np.zeros_like(LINES))
    assert image is IMAGE
    assert not lines.any()


def test_of_what_fades_a_coin_decides_whether_it_is_wanted():
    kept = []
    for seed in range(100):
        image, lines = disputed(seed)
        assert max(contrasts(image)) < 0.9
        kept += wanted(lines)
    # 200 of 400 are expected; five deviations away is one chance in a million.
    assert abs(sum(kept) - 200) < 5 * 10


def test_what_is_clear_is_wanted():
    for seed in range(50):
        image, lines = disputed(seed, share=0.5)
        for left, is_wanted in zip(contrasts(image), wanted(lines), strict=True):
            assert is_wanted or left < 0.9


def test_a_share_of_all_pieces_is_disputed():
    unwanted = [not each for seed in range(100) for each in wanted(disputed(seed, 0.4)[1])]
    assert np.mean(unwanted) == pytest.approx(0.4 / 2, abs=0.1)


def test_a_piece_that_nobody_wants_goes_as_a_whole():
    for seed in range(20):
        lines = disputed(seed)[1]
        for arm in ARMS:
            assert lines[arm].all() or not lines[arm].any()


def test_a_faded_piece_keeps_its_grain_and_little_of_its_contrast():
    image, _ = disputed(3)
    left = [min(shares) for shares in zip(contrasts(image), contrasts(image, 1), strict=True)]
    faded = [arm for arm, share in zip(ARMS, left, strict=True) if share < 0.9]
    assert faded
    for arm, share in zip(ARMS, left, strict=True):
        assert share > 0.9 or share < CLEAREST + 0.2
    for arm in faded:
        grain = image[0][arm] - image[0][arm].mean()
        assert np.corrcoef(grain.ravel(), GRAIN[arm].ravel())[0, 1] > 0.4


def test_what_is_far_from_every_piece_that_fades_stays_as_it_is():
    for seed in range(10):
        assert (disputed(seed)[0][:, :20, :20] == IMAGE[:, :20, :20]).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    strokes=st.lists(st.tuples(*[st.integers(0, 39)] * 4), max_size=4),
)
def test_no_line_is_added_and_inputs_stay_as_they_are(seed, share, strokes):
    drawn = np.zeros((40, 40), np.uint8)
    for top, left, bottom, right in strokes:
        cv2.line(drawn, (left, top), (right, bottom), 1, 3)
    given_lines = drawn.astype(bool)
    rng = np.random.default_rng(seed)
    given_image = rng.normal(size=(1, *drawn.shape)).astype(np.float32)
    before = given_image.copy(), given_lines.copy()
    image, lines = dispute(given_image, given_lines, rng, share=share)
    assert (given_image == before[0]).all()
    assert (given_lines == before[1]).all()
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert not (lines & ~given_lines).any()


def test_the_same_chance_gives_the_same():
    for one, other in zip(disputed(5), disputed(5), strict=True):
        assert np.array_equal(one, other)
