"""The public kit: what it draws, and that its checks find what is wrong."""

from __future__ import annotations

import dataclasses
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from linerefine.errors import DataError, ShapeError
from linerefine.geometry.hints import merge_hints
from linerefine.interfaces import Metric, UserSimulator
from linerefine.metrics.standard import IoU, PseudoFMeasure
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.manual import Manual
from linerefine.samples import Sample
from linerefine.simulators.longest import Longest
from linerefine.testing import (
    KINDS,
    DrawnLoader,
    FixedSimulator,
    NoisyRefiner,
    OracleRefiner,
    check_loader,
    check_metric,
    check_refiner,
    check_sample,
    check_simulator,
    drawn_sample,
)
from linerefine.types import Operation, Stroke

# ---------------------------------------------------------------- drawings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 64, (48, 80)])
def test_drawn_lines_are_the_bright_pixels(kind, size):
    sample = drawn_sample(kind, size, channels=2, rng=np.random.default_rng(5))
    shape = (size, size) if isinstance(size, int) else size
    assert sample.image.shape == (2, *shape)
    assert sample.name == kind
    assert sample.roi.all()
    for channel in sample.image:
        assert np.array_equal(channel > 0.5, sample.lines)
    assert sample.lines.any() == (kind != "empty")
    check_sample(sample, channels=2)


def test_drawings_repeat_and_their_noise_follows_the_generator():
    first, again = drawn_sample("vee"), drawn_sample("vee")
    assert np.array_equal(first.image, again.image)
    other = drawn_sample("vee", rng=np.random.default_rng(1))
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(first.lines, other.lines)


def test_importing_the_kit_imports_no_torch():
    code = (
        "import sys, linerefine.testing as kit; assert 'torch' not in sys.modules;"
        "assert 'OracleRefiner' in dir(kit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_kit_offers_nothing_else():
    import linerefine.testing as kit

    with pytest.raises(AttributeError, match="has no attribute 'check_everything'"):
        _ = kit.check_everything


# ---------------------------------------------------------------- stand-ins


def dot(row, col, operation):
    return Stroke(np.array([(row, col)]), 2.0, operation)


def test_fixed_simulator_draws_its_strokes_in_order():
    strokes = [dot(5, 5, Operation.ADD), dot(9, 9, Operation.ERASE), dot(5, 5, Operation.ERASE)]
    simulator, target = FixedSimulator(strokes), drawn_sample("cross").target
    hints = np.zeros((64, 64), np.int8)
    drawn = []
    for _ in range(4):
        for operation in Operation:
            stroke = simulator.next_stroke(
                target.mask,
                target,
                hints,
                operations=frozenset({operation}),
                rng=np.random.default_rng(),
            )
            if stroke is not None:
                drawn.append(stroke)
                hints = merge_hints(hints, stroke)
                break
    assert drawn == strokes


def test_drawn_loader_keeps_the_promises_of_a_loader():
    loader = DrawnLoader(size=32, channels=2)
    check_loader(loader, per_split=9)
    assert len(loader.names("train")) == 8
    assert loader.notes() == {"data": "sample"}
    with pytest.raises(DataError, match="no drawn sample named 'x'. Available: train_cross_0"):
        loader.load("x")


def prompt_for(image):
    initial = torch.zeros((len(image), 1, *image.shape[-2:]))
    return Prompt(initial, torch.zeros_like(initial))


def test_oracle_reads_the_lines_off_a_drawn_image_or_knows_a_mask():
    sample = drawn_sample("ring")
    image = torch.from_numpy(sample.image)[None].repeat(2, 1, 1, 1)
    for oracle in (OracleRefiner(), OracleRefiner(sample.lines)):
        answer = oracle(image, prompt_for(image))
        assert np.array_equal(answer[1, 0].numpy() > 0, sample.lines)
        assert not oracle.is_trainable
    crop = image[..., :32, 32:]
    answer = OracleRefiner()(crop, prompt_for(crop))
    assert np.array_equal(answer[0, 0].numpy() > 0, sample.lines[:32, 32:])
    with pytest.raises(ShapeError, match=r"knows a mask of shape \(64, 64\)"):
        OracleRefiner(sample.lines)(crop, prompt_for(crop))


def test_noisy_refiner_repeats_itself_and_harms():
    image = torch.zeros((1, 1, 64, 64))
    first = NoisyRefiner(2.0)(image, prompt_for(image))
    assert torch.equal(first, NoisyRefiner(2.0)(image, prompt_for(image)))
    assert not torch.equal(first, NoisyRefiner(2.0, seed=1)(image, prompt_for(image)))
    assert 1.8 < first.std() < 2.2


# ---------------------------------------------------------------- checks pass


def test_checks_pass_what_keeps_its_promises():
    check_simulator(Longest())
    check_metric(IoU())
    check_metric(PseudoFMeasure())
    for refiner in (OracleRefiner(), NoisyRefiner(), Manual()):
        check_refiner(refiner)


class SmallNetwork(Refiner):
    """Layers that behave differently in training: batch statistics and dropout."""

    def __init__(self, channels):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.Dropout()
        )
        self.head = torch.nn.Conv2d(6, 1, 3, padding=1)

    def encode(self, image, initial):
        return self.encoder(image)

    def refine(self, features, prompt):
        return self.head(torch.cat([features, prompt.initial, prompt.hints], dim=1))


def test_refiner_check_passes_a_network_and_leaves_it_as_it_was():
    refiner = SmallNetwork(channels=2)
    refiner.train()
    refiner.head.eval()
    before = {key: value.clone() for key, value in refiner.state_dict().items()}
    check_refiner(refiner, channels=2)
    assert refiner.encoder[2].training
    assert not refiner.head.training
    assert all(torch.equal(value, before[key]) for key, value in refiner.state_dict().items())
    assert all(parameter.grad is None for parameter in refiner.parameters())


# ---------------------------------------------------------------- checks find loaders


class Changed(DrawnLoader):
    """A loader of which one thing is replaced."""

    def __init__(self, **replaced):
        super().__init__(size=32)
        for name, value in replaced.items():
            setattr(self, name, value)


def sample_with(**changes):
    def load(name):
        return dataclasses.replace(DrawnLoader(size=32).load(name), **changes)

    return load


def load_at_random(name):
    sample = DrawnLoader(size=32).load(name)
    noise = np.random.default_rng().normal(size=sample.image.shape).astype(np.float32)
    return dataclasses.replace(sample, image=noise)


def load_by_seeding(name):
    np.random.seed(54321)
    return DrawnLoader(size=32).load(name)


def accept_anything(name):
    return drawn_sample("cross", 32)


def refuse_badly(name):
    raise KeyError(name)


NOT_A_NUMBER = np.full((1, 32, 32), np.nan, np.float32)
BROKEN_LOADERS = {
    "is ('a', 'a'), expected a tuple of different names": {"channels": ("a", "a")},
    "reported progress ('work', 3, 2)": {"prepare": lambda progress: progress("work", 3, 2)},
    "names('train') is empty": {"names": lambda split: []},
    "expected different names, sorted": {"names": lambda split: ["b", "a"]},
    "splits must not share": {"names": lambda split: ["train_ring_0"]},
    "returned dict, expected a Sample": {"load": lambda name: {"name": name}},
    "returned a sample named 'other'": {"load": sample_with(name="other")},
    "has 2 channels, its loader names 1": {
        "load": sample_with(image=np.zeros((2, 32, 32), np.float32))
    },
    "its image holds NaN": {"load": sample_with(image=NOT_A_NUMBER)},
    "lines is uint8, expected bool": {"load": sample_with(lines=np.zeros((32, 32), np.uint8))},
    "its ROI is empty": {"load": sample_with(roi=np.zeros((32, 32), bool))},
    "pixel_size_mm is 0.0": {"load": sample_with(pixel_size_mm=0.0)},
    "differs from call to call; draw nothing at random": {"load": load_at_random},
    "seeded the global random state of numpy.random": {"load": load_by_seeding},
    "returned; expected a DataError": {"open": accept_anything},
    "raised KeyError; expected a DataError": {"open": refuse_badly},
    "patch_names() returned unknown names: ['x']": {"patch_names": lambda: ["x"]},
    "notes() holds 'data': 1": {"notes": lambda: {"data": 1}},
}


@pytest.mark.parametrize("message", BROKEN_LOADERS)
def test_loader_check_finds(message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_loader(Changed(**BROKEN_LOADERS[message]))


# ---------------------------------------------------------------- checks find simulators


class Drawing(UserSimulator):
    """A simulator that draws what a function says."""

    def __init__(self, draw):
        self.draw = draw

    def next_stroke(self, prediction, target, hints, *, operations, rng):
        return self.draw(prediction, target, hints, operations, rng)


def first_error(target, prediction):
    return np.argwhere((target.mask != prediction) & target.roi)


def honest(prediction, target, hints, operations, rng):
    error = first_error(target, prediction)
    return dot(*error[0], min(operations)) if len(error) else None


def forgetful(prediction, target, hints, operations, rng):
    error = first_error(target, prediction)
    random_half_width = float(np.random.default_rng().uniform(1, 9))
    return Stroke(error[:1], random_half_width, min(operations)) if len(error) else None


def greedy(prediction, target, hints, operations, rng):
    prediction[:] = False
    return honest(prediction, target, hints, operations, rng)


def gambler(prediction, target, hints, operations, rng):
    random.random()
    return honest(prediction, target, hints, operations, rng)


BROKEN_SIMULATORS = {
    "drew two strokes from equal generators": forgetful,
    "changed its argument `prediction`": greedy,
    "drew from or seeded the global random state of random": gambler,
    "drew on a perfect prediction": lambda *given: dot(5, 5, min(given[3])),
    "drew ERASE where only ['ADD'] was allowed": lambda *given: (
        None if (given[0] == given[1].mask).all() else dot(5, 5, Operation.ERASE)
    ),
    "drew a path that leaves the ROI": lambda *given: (
        None if (given[0] == given[1].mask).all() else dot(5, 99, min(given[3]))
    ),
}


def test_simulator_check_passes_an_honest_one():
    check_simulator(Drawing(honest))


@pytest.mark.parametrize("message", BROKEN_SIMULATORS)
def test_simulator_check_finds(message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_simulator(Drawing(BROKEN_SIMULATORS[message]))


def test_simulator_check_finds_wrong_notes():
    simulator = Longest()
    simulator.notes = lambda: {"mean": "6.2"}
    with pytest.raises(AssertionError, match="expected names and numbers"):
        check_simulator(simulator)


# ---------------------------------------------------------------- checks find metrics


class Counting(Metric):
    """A metric made of two functions."""

    def __init__(self, measure, reduce):
        self._measure, self._reduce = measure, reduce

    def measure(self, prediction, target):
        return self._measure(prediction, target)

    def reduce(self, statistics):
        return self._reduce(*statistics)


def hits(prediction, target):
    inside = prediction & target.roi
    return np.array([(inside & target.mask).sum(), (inside ^ target.mask).sum()], float)


def counts(prediction, target):
    return hits(prediction, dataclasses.replace(target, mask=target.mask & target.roi))


def share(right, wrong):
    return right / (right + wrong) if right + wrong else float("nan")


BROKEN_METRICS = {
    "expected finite float64": (lambda p, t: counts(p, t).astype(np.int64), share),
    "count pixel by pixel": (lambda p, t: counts(p, t) / p.size, share),
    "counts pixels outside the ROI": (
        lambda p, t: np.array([(p & t.mask).sum(), (p ^ t.mask).sum()], float),
        share,
    ),
    "undefined must be nan": (counts, lambda r, w: r / (r + w) if r + w else 0.0),
    "check the formula and `higher_is_better`": (counts, lambda r, w: 1 - share(r, w)),
    "scores nan for a perfect prediction": (counts, lambda r, w: float("nan")),
}


def test_metric_check_passes_an_honest_one():
    check_metric(Counting(counts, share))


class Whole(Counting):
    """The same, of whole masks only."""

    is_additive = False


def areas(prediction, target):
    masks = (prediction & target.roi, target.mask & target.roi)
    return np.array([*(np.count_nonzero(mask) for mask in masks), 1], float)


def excess(ours, theirs, _):
    return -abs(ours - theirs) / theirs if theirs else float("nan")


BROKEN_WHOLE_METRICS = {
    "counted twice scores": (areas, lambda a, b, n: excess(a, b, n) / n if b else float("nan")),
    "counts pixels outside the ROI": (
        lambda p, t: np.array([p.sum(), (t.mask & t.roi).sum(), 1], float),
        excess,
    ),
    "undefined must be nan": (areas, lambda a, b, n: -abs(a - b) / n),
    "check the formula and `higher_is_better`": (areas, lambda a, b, n: -excess(a, b, n)),
    "scores nothing worse than a perfect": (areas, lambda a, b, n: 1.0 if b else float("nan")),
}


def test_metric_check_lets_a_metric_of_whole_masks_look_at_one_side():
    # Lines elsewhere have the right area, and no window's areas are looked at.
    check_metric(Whole(areas, excess))


@pytest.mark.parametrize("message", BROKEN_WHOLE_METRICS)
def test_metric_check_finds_in_a_metric_of_whole_masks(message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_metric(Whole(*BROKEN_WHOLE_METRICS[message]))


def test_metric_check_finds_an_additive_metric_that_is_blind_to_one_side():
    with pytest.raises(AssertionError, match="check the formula and `higher_is_better`"):
        check_metric(Counting(lambda p, t: areas(p, t)[:2], lambda a, b: excess(a, b, 1)))


@pytest.mark.parametrize("message", BROKEN_METRICS)
def test_metric_check_finds(message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_metric(Counting(*BROKEN_METRICS[message]))


# ---------------------------------------------------------------- checks find refiners


class Answering(Refiner):
    """A refiner that answers what a function says."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.calls = 0

    def refine(self, features, prompt):
        self.calls += 1
        return self.answer(self, features, prompt)


class Trainable(Answering):
    """The same with a weight."""

    def __init__(self, answer):
        super().__init__(answer)
        self.weight = torch.nn.Parameter(torch.ones(()))


class Judged(Answering):
    """Answers one thing, and has training judge another."""

    def __init__(self, judged):
        super().__init__(lambda r, f, p: p.initial.clone())
        self.judged = judged

    def answers(self, features, prompt):
        return self.judged(self.refine(features, prompt))


class Hasty(Answering):
    """Leaves strokes alone, and revises as a function says."""

    revises = True

    def __init__(self, revision):
        super().__init__(lambda r, f, p: p.initial.clone())
        self.revision = revision
        self.looks = 0

    def revise(self, features, initial):
        self.looks += 1
        return self.revision(self, initial)


class Twofold(Hasty):
    """Shows training something else than a session."""

    def revisions(self, features, initial):
        return [] if self.revision is None else [self.revise(features, initial) + 1]

    def revise(self, features, initial):
        return 2 * initial


def spoil(refiner, features, prompt):
    return prompt.initial.add_(1)


def remember(refiner, features, prompt):
    return prompt.initial + refiner.calls


BROKEN_REFINERS = {
    "returned shape (2, 64, 64)": Answering(lambda r, f, p: p.initial[:, 0]),
    "values that are not finite": Answering(lambda r, f, p: p.initial / 0),
    "changed `initial`; work on a copy": Answering(spoil),
    "answers the same question differently": Answering(remember),
    "must not change `features`": Answering(lambda r, f, p: f.mul_(0.5) + p.initial),
    "alone and in a batch": Answering(lambda r, f, p: p.initial - p.initial.mean()),
    "global random state of torch": Answering(
        lambda r, f, p: (torch.rand(1), p.initial.clone())[1]
    ),
    "Judged.answers returned none": Judged(lambda answer: []),
    "Judged.answers returned shape (2, 1, 32, 64)": Judged(lambda a: [a[:, :, ::2], a]),
    "Judged.refine and the last of Judged.answers": Judged(lambda a: [a, a + 1]),
    "Hasty.revise returned shape (2, 64, 64)": Hasty(lambda r, i: i[:, 0]),
    "Hasty.revise returned torch.float32 or values": Hasty(lambda r, i: i / 0),
    "Hasty.revise answers differently": Hasty(lambda r, i: i + r.looks),
    "Hasty.revise alone and in a batch": Hasty(lambda r, i: i - i.mean()),
    "Twofold.revisions returned none": Twofold(None),
    "Twofold.revise and the last of Twofold.revisions": Twofold(lambda r, i: i),
    "no gradient reaches them": Trainable(lambda r, f, p: (r.weight * p.initial).detach()),
}


@pytest.mark.parametrize("message", BROKEN_REFINERS)
def test_refiner_check_finds(message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_refiner(BROKEN_REFINERS[message])


def test_refiner_check_finds_what_is_no_refiner():
    with pytest.raises(AssertionError, match="Conv2d is no Refiner; derive it from"):
        check_refiner(torch.nn.Conv2d(1, 1, 1))


def test_refiner_check_passes_a_weight_that_learns():
    check_refiner(Trainable(lambda r, f, p: r.weight * p.initial))


def test_refiner_check_passes_an_opinion_before_there_are_strokes():
    check_refiner(Hasty(lambda r, i: 2 * i))


def test_refiner_check_passes_answers_of_which_the_last_is_used():
    check_refiner(Judged(lambda answer: [answer + 1, answer - 1, answer]))


def test_sample_check_names_the_sample():
    sample = drawn_sample("cross", 32)
    wrong = Sample("leaf", sample.image, sample.roi, sample.lines.astype(np.uint8))
    with pytest.raises(AssertionError, match="sample 'leaf': lines is uint8"):
        check_sample(wrong, channels=1)
