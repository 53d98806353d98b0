"""What a refiner is asked in a training step: rounds of strokes, and answers judged together."""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from linerefine.config import TrainingConfig
from linerefine.errors import RunError
from linerefine.geometry.hints import constrain
from linerefine.interfaces import UserSimulator
from linerefine.refiners.base import Prompt, Refiner
from linerefine.simulators.longest import Longest
from linerefine.training.data import TrainingPatches, ValidationPatches
from linerefine.training.feeding import Course
from linerefine.training.loop import fit_refiner
from linerefine.training.losses import dice_loss
from linerefine.training.tasks import RefinerTask
from linerefine.types import Stroke

CPU = torch.device("cpu")


@dataclass
class Call:
    """What a refiner was asked, how, and what it said."""

    prompt: Prompt
    answer: torch.Tensor
    learns: bool
    training: bool


class Watched(Refiner):
    """A network with batch statistics and dropout that keeps what it is asked."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(4, 8, 3, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.2),
            torch.nn.Conv2d(8, 1, 3, padding=1),
        )
        self.calls = []
        self.encoded = 0

    def encode(self, image, initial):
        self.encoded += 1
        return image

    def refine(self, features, prompt):
        stacked = torch.cat([features, prompt.initial, prompt.hints, prompt.previous], dim=1)
        answer = prompt.previous + self.body(stacked)
        self.calls.append(Call(prompt, answer, torch.is_grad_enabled(), self.training))
        return answer


class Looking(Watched):
    """Looks at the whole patch first, and says in two steps what it makes of it."""

    revises = True

    def revise(self, features, initial):
        return self.refine(features, Prompt(initial, torch.zeros_like(initial), initial)) + 0.1

    def revisions(self, features, initial):
        answer = self.revise(features, initial)
        return [answer - 1, answer]


class Blurred(torch.nn.Module):
    """A first prediction with mistakes of both kinds."""

    def forward(self, image):
        return 4 * torch.nn.functional.avg_pool2d(image[:, :1], 5, 1, 2) - 2


def seeded(make, seed=0):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return make()


@pytest.fixture
def task_of(sets, brief, overlap):
    """Return a function that makes the task of a refiner."""

    def make(refiner, *, simulator=None, overwrite_hints=False, **settings):
        return RefinerTask(
            refiner,
            Blurred(),
            sets[1],
            brief.model_copy(update=settings),
            name="watched",
            simulator=simulator or Longest(),
            metric=overlap,
            metric_name="iou",
            threshold=0.5,
            overwrite_hints=overwrite_hints,
            device=CPU,
            seed=0,
        )

    return make


@pytest.fixture
def batch(sets):
    return next(sets[0].batches(4, 3))


def step_with(task, rounds):
    """Return a step of the first epoch that has so many rounds."""
    return next(step for step in range(1000) if task._rounds(0, step) == rounds)


def test_rounds_are_drawn_from_one_to_the_most_and_from_the_place_alone(task_of):
    task, other = task_of(Watched(), rounds=3), task_of(Watched(), rounds=3)
    drawn = Counter(task._rounds(epoch, step) for epoch in range(3) for step in range(100))
    assert set(drawn) == {1, 2, 3}
    assert min(drawn.values()) > 70
    assert [task._rounds(1, step) for step in range(9)] == [
        other._rounds(1, step) for step in range(9)
    ]
    assert {task_of(Watched())._rounds(0, step) for step in range(20)} == {1}


def test_one_round_asks_once_and_leaves_the_prompt_as_it_is(task_of, batch):
    refiner = Watched().train()
    task_of(refiner, rounds=1).loss(batch, 0, 0)
    (call,) = refiner.calls
    assert call.learns
    assert call.training
    assert call.prompt.previous is call.prompt.initial


def test_answers_are_fed_back_and_hints_accumulate(task_of, batch):
    refiner = seeded(Watched).train()
    task = task_of(refiner, rounds=4)
    task.loss(batch, 0, step_with(task, 4))
    calls = refiner.calls
    assert len(calls) == 4
    assert torch.equal(calls[0].prompt.previous, calls[0].prompt.initial)
    for before, after in pairwise(calls):
        assert torch.equal(after.prompt.initial, calls[0].prompt.initial)
        assert torch.equal(after.prompt.previous, before.answer)
        old, new = before.prompt.hints, after.prompt.hints
        assert torch.equal(new[old != 0], old[old != 0])
        assert (new != 0).sum() > (old != 0).sum()


def test_later_strokes_correct_the_last_answer_with_the_hints_pasted(task_of, batch):
    refiner = seeded(Watched).train()
    task = task_of(refiner, rounds=3)
    task.loss(batch, 0, step_with(task, 3))
    differs = 0
    for before, after in pairwise(refiner.calls):
        old = before.prompt.hints[:, 0].numpy().astype(np.int8)
        fresh = after.prompt.hints[:, 0].numpy() * (old == 0)
        for at, stroke in enumerate(fresh):
            seen = constrain(before.answer[at, 0].detach().numpy() > 0, old[at])
            lines = batch.lines[at, 0].numpy()
            # A stroke lies on a mistake of its kind.
            wrong = (lines & ~seen) if (stroke > 0).any() else (seen & ~lines)
            assert wrong[stroke != 0].any()
            first = before.prompt.initial[at, 0].numpy() > 0
            differs += not np.array_equal(first, seen)
    assert differs > 4


class Dots(UserSimulator):
    """Always finds something to draw, and counts."""

    def __init__(self):
        self.drawn = 0

    def next_stroke(self, prediction, target, hints, *, operations, rng):
        self.drawn += 1
        (operation,) = operations
        return Stroke([rng.integers(0, 64, size=2)], half_width=2, operation=operation)


def test_only_the_last_round_learns_and_the_others_leave_no_trace(task_of, batch):
    refiner = seeded(Watched).train()
    task = task_of(refiner, rounds=3)
    task.loss(batch, 0, step_with(task, 3))
    assert [(call.learns, call.training) for call in refiner.calls] == [
        (False, False),
        (False, False),
        (True, True),
    ]
    assert refiner.encoded == 2
    assert int(refiner.body[1].num_batches_tracked) == 1
    assert all(module.training for module in refiner.modules())
    assert not refiner.calls[-1].prompt.previous.requires_grad


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_gradient_is_that_of_the_last_answer_to_its_prompt(task_of, batch, precision):
    refiner = seeded(Watched).train()
    twin = copy.deepcopy(refiner)
    task = task_of(refiner, rounds=3)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.random.fork_rng([]), autocast:
        torch.manual_seed(1)
        task.loss(batch, 0, step_with(task, 3)).backward()
    with torch.random.fork_rng([]), autocast:
        torch.manual_seed(1)
        dice_loss(twin(batch.image, refiner.calls[-1].prompt), batch.lines, batch.roi).backward()
    for one, other in zip(refiner.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
        assert one.grad.abs().sum() > 0


def test_what_is_drawn_depends_on_seed_and_place_alone(task_of, batch):
    def last(step):
        refiner = seeded(Watched).train()
        task_of(refiner, rounds=3).loss(batch, 0, step)
        return refiner.calls[-1].prompt

    step = step_with(task_of(Watched(), rounds=3), 3)
    again = next(s for s in range(step + 1, 99) if task_of(Watched(), rounds=3)._rounds(0, s) == 3)
    assert torch.equal(last(step).hints, last(step).hints)
    assert torch.equal(last(step).previous, last(step).previous)
    assert not torch.equal(last(step).hints, last(again).hints)


@pytest.mark.parametrize("make", [Watched, Looking])
def test_processes_draw_the_strokes_of_later_rounds_too(task_of, sets, make):
    prompts = []
    for workers in (0, 2):
        refiner = seeded(make).train()
        task = task_of(refiner, rounds=3)
        course = Course(
            0, 0, 4, CPU, lambda: torch.autocast("cpu", torch.bfloat16, enabled=False), workers
        )
        with closing(task.feed(sets[0].batches(4, 4), course)) as fed:
            for step in range(4):
                task.loss(next(fed), 0, step)
            assert (task._pool is None) == (workers == 0)
        assert task._pool is None
        prompts.append([call.prompt for call in refiner.calls])
    assert len(prompts[0]) > 4
    for alone, helped in zip(*prompts, strict=True):
        assert torch.equal(alone.hints, helped.hints)
        assert torch.equal(alone.previous, helped.previous)


def test_any_number_of_workers_trains_the_same_weights(sets, brief, overlap, tmp_path):
    ends = []
    for workers in (0, 1, 2):
        refiner = seeded(Watched)
        fit_refiner(
            refiner,
            Blurred(),
            *sets,
            brief.model_copy(update={"rounds": 3, "workers": workers, "max_epochs": 1}),
            name="watched",
            simulator=Longest(),
            metric=overlap,
            metric_name="iou",
            device=CPU,
            seed=0,
            folder=tmp_path / str(workers),
        )
        ends.append(refiner.state_dict())
    for end in ends[1:]:
        assert all(torch.equal(ends[0][name], value) for name, value in end.items())


# ---------------------------------------------------------------- a look before the first stroke


def test_a_step_begins_with_the_look_and_strokes_correct_what_it_said(task_of, batch):
    refiner, encoded = seeded(Looking), []
    refiner.encode = lambda image, initial: encoded.append(initial) or image
    loss = task_of(refiner, loss="dice", rounds=2, learn="every").loss(batch, 0, 0)
    look, first, second = refiner.calls
    assert len(encoded) == 1
    assert not look.prompt.hints.any()
    assert torch.equal(first.prompt.previous, look.answer.detach() + 0.1)
    assert torch.equal(first.prompt.initial, look.prompt.initial)
    assert torch.equal(second.prompt.previous, first.answer.detach())
    shown = (look.answer.detach() + 0.1)[:, 0].numpy() > 0
    lines = batch.lines[:, 0].numpy()
    for at, stroke in enumerate(first.prompt.hints[:, 0].numpy()):
        assert ((shown[at] != lines[at]) & (stroke != 0)).any()
    of_look = [dice_loss(look.answer + add, batch.lines, batch.roi) for add in (-0.9, 0.1)]
    of_rounds = [dice_loss(call.answer, batch.lines, batch.roi) for call in (first, second)]
    expected = torch.stack([torch.stack(of_look).mean(), *of_rounds]).mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_the_look_may_be_all_that_a_step_learns_from(task_of, batch, last):
    refiner = seeded(Looking).train()
    task = task_of(refiner, loss="dice", rounds=2)
    step = step_with(task, last)
    loss = task.loss(batch, 0, step)
    assert len(refiner.calls) == last + 1
    assert [call.learns for call in refiner.calls] == [False] * last + [True]
    assert not refiner.calls[0].prompt.hints.any()
    assert all(call.prompt.hints.any() for call in refiner.calls[1:])
    answer = refiner.calls[-1].answer
    if last == 0:
        expected = sum(dice_loss(answer + add, batch.lines, batch.roi) for add in (-0.9, 0.1)) / 2
    else:
        expected = dice_loss(answer, batch.lines, batch.roi)
    torch.testing.assert_close(loss, expected)


# ---------------------------------------------------------------- deep supervision


class InSteps(Watched):
    """Answers three times, each time better informed."""

    def answers(self, features, prompt):
        first = self.refine(features, prompt)
        second = self.refine(features, Prompt(prompt.initial, prompt.hints, first))
        return [first, second, second + 1]


def test_a_refiner_answers_once_unless_it_says_otherwise(batch):
    refiner = seeded(Watched).eval()
    prompt = Prompt(*[torch.randn_like(batch.image) for _ in range(3)])
    (answer,) = refiner.answers(batch.image, prompt)
    assert torch.equal(answer, refiner(batch.image, prompt))


def test_training_judges_the_mean_of_all_answers(task_of, batch):
    refiner = seeded(InSteps).eval()
    loss = task_of(refiner, loss="dice").loss(batch, 0, 0)
    prompt = refiner.calls[0].prompt
    answers = refiner.answers(batch.image, prompt)
    losses = [dice_loss(answer, batch.lines, batch.roi) for answer in answers]
    assert loss.item() == pytest.approx(sum(value.item() for value in losses) / 3)
    assert len({round(value.item(), 6) for value in losses}) == 3
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in refiner.parameters())


def test_rounds_go_on_from_the_answer_that_is_used(task_of, batch):
    refiner = seeded(InSteps).train()
    task = task_of(refiner, rounds=2)
    task.loss(batch, 0, step_with(task, 2))
    assert torch.equal(refiner.calls[1].prompt.previous, refiner.calls[0].answer)


# ---------------------------------------------------------------- all of it


def test_a_refiner_trained_in_rounds_learns_a_drawn_patch_by_heart(
    drawn, tiling, plain, overlap, new_refiner, tmp_path
):
    samples = [drawn(0, (64, 64)), drawn(1, (64, 64))]
    config = TrainingConfig(
        batch_size=2,
        steps_per_epoch=20,
        max_epochs=3,
        validation_passes=2,
        learning_rate=3e-3,
        rounds=3,
        loss="dice_bce",
    )
    result = fit_refiner(
        new_refiner(),
        Blurred(),
        TrainingPatches(samples, tiling, plain, seed=0),
        ValidationPatches(samples, tiling),
        config,
        name="unet",
        simulator=Longest(),
        metric=overlap,
        metric_name="iou",
        device=CPU,
        seed=0,
        folder=tmp_path,
    )
    best = result.history[result.best_epoch - 1]
    assert best["val/refined_iou"] > best["val/manual_iou"] > best["val/initial_iou"]
    assert result.history[-1]["train/loss"] < result.history[0]["train/loss"]


def test_a_checkpoint_from_before_there_were_rounds_goes_on(
    sets, brief, overlap, tmp_path, monkeypatch
):
    def fit(**settings):
        return fit_refiner(
            seeded(Watched),
            Blurred(),
            *sets,
            brief.model_copy(update=settings),
            name="watched",
            simulator=Longest(),
            metric=overlap,
            metric_name="iou",
            device=CPU,
            seed=0,
            folder=tmp_path,
        )

    with monkeypatch.context() as patch:
        dump = TrainingConfig.model_dump
        patch.setattr(
            TrainingConfig,
            "model_dump",
            lambda self, **options: {
                k: v for k, v in dump(self, **options).items() if k != "rounds"
            },
        )
        old = fit()
    assert '"rounds"' not in (tmp_path / "watched.json").read_text()
    assert fit() == old
    with pytest.raises(RunError, match="written with rounds 1, this run has 2"):
        fit(rounds=2)


@pytest.mark.parametrize("keep", [0.0, 2.5])
def test_undoing_costs_what_was_right_once_more(task_of, batch, keep):
    refiner = seeded(Watched)
    loss = task_of(refiner, loss="dice", keep=keep).loss(batch, 0, 0)
    (call,) = refiner.calls
    was_right = (call.prompt.previous > 0) == batch.lines
    assert was_right.any()
    assert not was_right.all()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        call.answer[was_right & batch.roi], batch.lines[was_right & batch.roi].float()
    )
    expected = dice_loss(call.answer, batch.lines, batch.roi) + keep * entropy
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("rounds", [1, 3])
def test_pixels_near_strokes_count_once_more(task_of, batch, rounds):
    refiner = seeded(Watched)
    task = task_of(refiner, near=2.5, loss="dice", rounds=rounds, learn="every")
    loss = task.loss(batch, 0, 0)
    losses = []
    for call in refiner.calls:
        is_near = torch.from_numpy(
            np.stack([around(hints[0].numpy() != 0) for hints in call.prompt.hints])
        )[:, None]
        assert is_near.any()
        assert not is_near.all()
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(
            call.answer[is_near & batch.roi], batch.lines[is_near & batch.roi].float()
        )
        losses.append(dice_loss(call.answer, batch.lines, batch.roi) + 2.5 * entropy)
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def around(marked):
    """Return the squares of four pixels that lie within seven squares of a marked one."""
    squares = marked.reshape(marked.shape[0] // 4, 4, marked.shape[1] // 4, 4).any(axis=(1, 3))
    grown = ndimage.binary_dilation(squares, np.ones((15, 15)))
    return np.kron(grown, np.ones((4, 4), dtype=bool))


def test_every_round_is_learnt_from_and_the_image_encoded_once(task_of, batch):
    refiner, encoded = seeded(Watched), []
    refiner.encode = lambda image, initial: encoded.append(initial) or image
    loss = task_of(refiner, loss="dice", rounds=3, learn="every").loss(batch, 0, 0)
    assert len(encoded) == 1
    assert torch.equal(encoded[0], refiner.calls[0].prompt.initial)
    assert [call.learns for call in refiner.calls] == [True] * 3
    losses = [dice_loss(call.answer, batch.lines, batch.roi) for call in refiner.calls]
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    for one, other in pairwise(refiner.calls):
        assert torch.equal(other.prompt.previous, one.answer.detach())
        assert ((other.prompt.hints != 0) >= (one.prompt.hints != 0)).all()
        assert not torch.equal(other.prompt.hints, one.prompt.hints)


def test_every_round_has_as_many_strokes_as_allowed(task_of, batch):
    strokes = {"few": [], "many": []}
    for name, most in (("few", 1), ("many", 4)):
        refiner = seeded(Watched)
        task_of(refiner, rounds=2, learn="every", strokes_per_patch=most).loss(batch, 0, 0)
        strokes[name] = [int((call.prompt.hints != 0).sum()) for call in refiner.calls]
    assert strokes["many"][0] > strokes["few"][0]
    assert strokes["many"][1] - strokes["many"][0] > strokes["few"][1] - strokes["few"][0]
