import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.training.disputes import FAINTEST, REACH, dispute


def crossing(size=64):
    """Two lines, three pixels wide, that cross: four pieces of line."""
    lines = np.zeros((size, size), bool)
    lines[30:33, 4:60] = lines[4:60, 30:33] = True
    return lines


LINES = crossing()
INITIAL = np.where(LINES, np.float32(3), np.float32(-4))


def disputed(seed, share=1.0, initial=INITIAL, lines=LINES):
    return dispute(initial, lines, np.random.default_rng(seed), share=share)


def arms(mask):
    """Say which of the four arms of the crossing, away from its middle, hold a pixel."""
    return mask[31, 10], mask[31, 54], mask[10, 31], mask[54, 31]


def test_nothing_is_disputed_without_a_share():
    initial, lines = disputed(0, share=0.0)
    assert initial is INITIAL
    assert lines is LINES


def test_where_there_are_no_lines_nothing_is_disputed():
    nothing = np.zeros_like(LINES)
    initial, lines = disputed(0, initial=INITIAL, lines=nothing)
    assert initial is INITIAL
    assert not lines.any()


def test_coins_decide_for_every_piece_whether_it_is_predicted_and_whether_it_is_wanted():
    counts = np.zeros((2, 2), int)
    for seed in range(100):
        initial, lines = disputed(seed)
        for is_predicted, is_wanted in zip(arms(initial > 0), arms(lines), strict=True):
            counts[int(is_predicted), int(is_wanted)] += 1
    assert counts.sum() == 400
    # 100 are expected of each of the four; five deviations away is one chance in a million.
    assert (abs(counts - 100) < 5 * np.sqrt(400 * 3 / 16)).all()


def test_a_share_of_all_pieces_is_disputed():
    changed = [
        was_predicted != is_predicted or was_wanted != is_wanted
        for seed in range(100)
        for was_predicted, is_predicted, was_wanted, is_wanted in zip(
            arms(INITIAL > 0),
            arms(disputed(seed, 0.4)[0] > 0),
            arms(LINES),
            arms(disputed(seed, 0.4)[1]),
            strict=True,
        )
    ]
    assert np.mean(changed) == pytest.approx(0.4 * 3 / 4, abs=0.1)


def test_a_piece_goes_as_a_whole():
    """What is left of lines and prediction holds no stump longer than the crossing is wide."""
    for seed in range(20):
        for mask in (disputed(seed)[0] > 0, disputed(seed)[1]):
            for end in arms(mask):
                assert isinstance(end, np.bool_)
            left = mask[31, 4:24]
            assert left.all() or not left[:16].any()


def test_what_is_hidden_turns_into_a_fainter_opposite():
    initial, _ = disputed(3)
    turned = initial != INITIAL
    assert turned.any()
    assert (initial[turned] <= -FAINTEST * INITIAL[turned]).all()
    assert (initial[turned] >= -INITIAL[turned]).all()


def test_predictions_far_from_every_line_are_not_hidden():
    initial = INITIAL.copy()
    initial[8:12, 8:12] = 2.0
    for seed in range(10):
        assert (disputed(seed, initial=initial)[0][8:12, 8:12] == 2.0).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    strokes=st.lists(st.tuples(*[st.integers(0, 39)] * 4), max_size=4),
)
def test_nothing_is_added_and_inputs_stay_as_they_are(seed, share, strokes):
    drawn = np.zeros((40, 40), np.uint8)
    for top, left, bottom, right in strokes:
        cv2.line(drawn, (left, top), (right, bottom), 1, 3)
    given_lines = drawn.astype(bool)
    rng = np.random.default_rng(seed)
    given_initial = rng.normal(size=drawn.shape).astype(np.float32)
    before = given_initial.copy(), given_lines.copy()
    initial, lines = dispute(given_initial, given_lines, rng, share=share)
    assert (given_initial == before[0]).all()
    assert (given_lines == before[1]).all()
    assert initial.dtype == np.float32
    assert (initial <= given_initial).all()
    assert not (lines & ~given_lines).any()
    far = cv2.distanceTransform(1 - drawn, cv2.DIST_L2, 5) > REACH + 2
    assert (initial[far] == given_initial[far]).all() or not given_lines.any()


def test_the_same_chance_gives_the_same():
    for one, other in zip(disputed(5), disputed(5), strict=True):
        assert np.array_equal(one, other)
