import math

import numpy as np
import pytest
import torch

from linerefine.config import TilingConfig
from linerefine.refiners.base import Refiner
from linerefine.refiners.manual import Manual
from linerefine.simulators.longest import Longest
from linerefine.training.data import ValidationPatches
from linerefine.training.patches import PatchTrials, mean_defined, predict_patches, score_patches

CPU = torch.device("cpu")


class Threshold(torch.nn.Module):
    """A first prediction that sees what is bright."""

    def forward(self, image):
        return image[:, :1] - 1.0


class Blind(torch.nn.Module):
    """A first prediction without a line."""

    def forward(self, image):
        return image[:, :1] * 0 - 1


class Answer(Refiner):
    """Answers one number everywhere."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def refine(self, features, prompt):
        return torch.full_like(prompt.initial, self.value)


class Counting(Manual):
    """The baseline, noting how often it is asked for what."""

    def __init__(self):
        super().__init__()
        self.encoded = self.refined = 0

    def encode(self, image, initial):
        self.encoded += 1
        self.shown = initial
        return super().encode(image, initial)

    def refine(self, features, prompt):
        self.refined += 1
        assert torch.equal(self.shown, prompt.initial)
        assert torch.equal(prompt.previous, prompt.initial)
        assert set(prompt.hints.unique().tolist()) <= {-1, 0, 1}
        return super().refine(features, prompt)


@pytest.fixture
def patches(drawn):
    return ValidationPatches([drawn(0, (64, 96)), drawn(1, (64, 64))], TilingConfig(patch=32))


@pytest.fixture
def trials_of(patches, overlap):
    def trials(simulator=None, **settings):
        settings = {"passes": 1, "threshold": 0.5, "device": CPU, "seed": 0} | settings
        return PatchTrials(
            Threshold(), patches, simulator or Longest(), {"iou": overlap}, **settings
        )

    return trials


@pytest.fixture
def score(patches, overlap):
    def rows(refiner, simulator=None, seed=0, passes=3, metrics=None, threshold=0.5):
        return score_patches(
            refiner,
            Threshold(),
            patches,
            simulator or Longest(),
            metrics or {"iou": overlap},
            passes=passes,
            threshold=threshold,
            device=CPU,
            seed=seed,
            batch_size=4,
        )

    return rows


def test_pasting_by_hand_gains_nothing_over_itself(score):
    rows = score(Manual())
    assert [row["pass"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["refined_iou"] == row["manual_iou"]
        assert row["relative_gain"] == 0
        assert row["manual_iou"] != row["initial_iou"]


def test_scores_are_pooled_over_patches(score, patches, overlap):
    masks = [patches.patch(i).image[0] > 1 for i in range(len(patches))]
    sums = sum(overlap.measure(mask, patches.target(i)) for i, mask in enumerate(masks))
    assert score(Manual())[0]["initial_iou"] == pytest.approx(overlap.reduce(sums))


def test_passes_differ_and_a_seed_repeats_them(score):
    first, again, other = (score(Manual(), seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len({row["manual_iou"] for row in first}) > 1


def test_the_image_is_encoded_once_for_all_passes(score, patches):
    refiner = Counting()
    score(refiner, passes=3)
    batches = math.ceil(len(patches) / 4)
    assert (refiner.encoded, refiner.refined) == (batches, 3 * batches)


def test_the_batch_size_changes_no_score(trials_of):
    def rows(size):
        return trials_of(passes=2, batch_size=size).rows(Answer(1.0))

    assert rows(1) == rows(7)


def test_strokes_are_hard_constraints_in_the_refined_mask(patches, overlap):
    # Neither network ever sees a line: only what was added by hand is left.
    row = score_patches(
        Answer(-5.0),
        Blind(),
        patches,
        Longest(),
        {"iou": overlap},
        passes=1,
        threshold=0.5,
        device=CPU,
        seed=0,
    )[0]
    assert row["initial_iou"] == 0
    assert row["refined_iou"] == row["manual_iou"] > 0


def test_gain_is_refined_over_manual_minus_one(score):
    row = score(Answer(-5.0), passes=1)[0]
    assert 0 < row["refined_iou"] < row["manual_iou"]
    assert row["relative_gain"] == pytest.approx(row["refined_iou"] / row["manual_iou"] - 1)


def test_where_nothing_is_left_to_draw_the_refiner_is_not_asked(score):
    class Idle(Longest):
        def next_stroke(self, *args, **kwargs):
            return None

    row = score(Answer(5.0), Idle(), passes=1)[0]
    assert row["refined_iou"] == row["manual_iou"] == row["initial_iou"]


def test_strokes_are_drawn_on_the_first_prediction_one_per_patch(score, patches):
    shown = []

    class Seen(Longest):
        def next_stroke(self, prediction, target, hints, **kwargs):
            assert not hints.any()
            shown.append((prediction, target))
            return super().next_stroke(prediction, target, hints, **kwargs)

    score(Manual(), Seen(), passes=1)
    targets = {id(target) for _, target in shown}
    assert len(targets) == len(patches)
    for prediction, target in shown:
        index = next(i for i in range(len(patches)) if patches.target(i) is target)
        np.testing.assert_array_equal(prediction, patches.patch(index).image[0] > 1)


def test_every_metric_has_its_columns_and_the_first_gives_the_gain(score, overlap):
    class Misses(type(overlap)):
        higher_is_better = False

        def reduce(self, statistics):
            return 1 - super().reduce(statistics)

    row = score(Answer(-5.0), passes=1, metrics={"misses": Misses(), "iou": overlap})[0]
    assert list(row) == [
        "pass",
        "initial_misses",
        "initial_iou",
        "manual_misses",
        "manual_iou",
        "refined_misses",
        "refined_iou",
        "relative_gain",
    ]
    assert row["refined_misses"] == 1 - row["refined_iou"]
    assert row["relative_gain"] == row["refined_misses"] / row["manual_misses"] - 1


def test_the_threshold_holds_for_first_manual_and_refined_prediction(score):
    rows = score(Answer(1.0), passes=1, threshold=0.9)
    assert rows[0]["refined_iou"] < score(Answer(1.0), passes=1, threshold=0.6)[0]["refined_iou"]


def test_an_undefined_score_gives_an_undefined_gain(drawn, overlap):
    sample = drawn(0, (32, 32))
    blank = type(sample)("blank", sample.image * 0 - 9, sample.roi, np.zeros_like(sample.roi))
    rows = score_patches(
        Manual(),
        Threshold(),
        ValidationPatches([blank], TilingConfig(patch=32)),
        Longest(),
        {"iou": overlap},
        passes=2,
        threshold=0.5,
        device=CPU,
        seed=0,
    )
    assert all(math.isnan(row["relative_gain"]) for row in rows)
    assert math.isnan(mean_defined([row["relative_gain"] for row in rows]))


def test_a_mean_leaves_undefined_values_out():
    assert mean_defined([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(mean_defined([]))


def test_modules_are_left_in_the_mode_they_were_in(patches, overlap):
    for is_training in (True, False):
        segmenter, refiner = Threshold().train(is_training), Manual().train(is_training)
        score_patches(
            refiner,
            segmenter,
            patches,
            Longest(),
            {"iou": overlap},
            passes=1,
            threshold=0.5,
            device=CPU,
            seed=0,
        )
        assert segmenter.training is refiner.training is is_training


def test_progress_is_told(trials_of, patches):
    told = []
    trials = trials_of(passes=2, batch_size=4, tick=lambda *a: told.append(a))
    assert told[-1] == (2 * len(patches), 2 * len(patches))
    told.clear()
    trials.rows(Manual(), tick=lambda *a: told.append(a))
    assert told[-1] == (len(patches), len(patches))


def test_predicted_patches_equal_one_call_each(patches):
    for index, logits in enumerate(predict_patches(Threshold(), patches, CPU, batch_size=4)):
        np.testing.assert_allclose(logits, patches.patch(index).image[0] - 1, atol=1e-6)


def test_the_simulator_may_decide_between_add_and_erase(trials_of):
    asked = []

    class Asked(Longest):
        def next_stroke(self, *args, operations, **kwargs):
            asked.append(len(operations))
            return super().next_stroke(*args, operations=operations, **kwargs)

    for even in (True, False):
        trials_of(Asked(), even=even)
        assert set(asked) == ({1} if even else {2})
        asked.clear()
