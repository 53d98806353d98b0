"""What the two networks are taught: the part of training in which they differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from linerefine.chance import stream
from linerefine.config import TrainingConfig
from linerefine.interfaces import Metric, UserSimulator
from linerefine.models.inference import evaluating
from linerefine.refiners.asked import near
from linerefine.refiners.base import Prompt, Refiner
from linerefine.training.data import Batch, ValidationPatches
from linerefine.training.distributed import ALONE, Group
from linerefine.training.feeding import Ahead, Course, Host, batch_masks
from linerefine.training.losses import LOSSES, Loss, cross_entropy
from linerefine.training.patches import (
    PatchTrials,
    mean_defined,
    pooled_scores,
    predict_patches,
)
from linerefine.training.simulation import logit
from linerefine.training.strokes import Drawer, DrawingPool

__all__ = ["NEAR", "Announce", "RefinerTask", "SegmenterTask", "Task"]

NEAR = 32
"""Pixels from a stroke, along either axis, that count as near it (`TrainingConfig.near`).

Three times the length of a stroke: what a person means lies there.
"""


class Announce(Protocol):
    """Tells whoever listens how slow work advances."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of ``done`` of ``total``."""


class Task(ABC):
    """A network, its loss on a batch and its score on the validation patches.

    Attributes
    ----------
    name : str
        ``"segmenter"`` or the refiner's name.
    module : nn.Module
        What is trained.
    monitor : str
        Key of `validate`'s answer that training watches.
    sign : int
        +1 if a higher score is better, else -1.
    group : Group
        Who trains; the loss is that of the batch they share.
    """

    name: str
    module: nn.Module
    monitor: str
    sign: int
    group: Group = ALONE

    @abstractmethod
    def loss(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Return the loss of one batch; what is drawn depends on seed, epoch and step alone."""

    def feed(self, batches: Iterator[Batch], course: Course) -> Generator[Batch, None, None]:
        """Yield the batches on the device; whatever else `loss` needs may be begun ahead here.

        Parameters
        ----------
        batches : iterator of Batch
            In the order of the steps.
        course : Course
            Which step comes first, and how it is computed.
        """
        for batch in batches:
            yield batch.to(course.device)

    @abstractmethod
    def validate(self, announce: Announce) -> dict[str, float]:
        """Return scores on the validation patches."""

    def _pooled(self, loss: Loss, logits: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the whole batch: Dice is no mean over its shares."""
        return loss(*(self.group.whole(part) for part in (logits, batch.lines, batch.roi)))


class SegmenterTask(Task):
    """First prediction from the image alone, watched by a metric pooled over all patches."""

    def __init__(
        self,
        segmenter: nn.Module,
        patches: ValidationPatches,
        config: TrainingConfig,
        *,
        metric: Metric,
        metric_name: str,
        threshold: float,
        device: torch.device,
    ) -> None:
        self.name = "segmenter"
        self.module = segmenter
        self.monitor = f"val/{metric_name}"
        self.sign = 1 if metric.higher_is_better else -1
        self._patches = patches
        self._loss = LOSSES[config.loss]
        self._metrics = {metric_name: metric}
        self._cut = logit(threshold)
        self._device = device

    def loss(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Return the loss of the first prediction."""
        return self._pooled(self._loss, self.module(batch.image), batch)

    def validate(self, announce: Announce) -> dict[str, float]:
        """Return the pooled metric."""
        answers = predict_patches(
            self.module,
            self._patches,
            self._device,
            tick=lambda done, total: announce(f"validating {self.name}", done, total),
        )
        masks = [logits > self._cut for logits in answers]
        scores = pooled_scores(masks, self._patches, self._metrics)
        return {f"val/{name}": score for name, score in scores.items()}


class RefinerTask(Task):
    """Refined prediction after simulated strokes, watched by its gain over pasting them."""

    def __init__(
        self,
        refiner: Refiner,
        segmenter: nn.Module,
        patches: ValidationPatches,
        config: TrainingConfig,
        *,
        name: str,
        simulator: UserSimulator,
        metric: Metric,
        metric_name: str,
        threshold: float,
        overwrite_hints: bool,
        device: torch.device,
        seed: int,
    ) -> None:
        self.name = name
        self.module = self._refiner = refiner
        self.monitor = "val/relative_gain"
        self.sign = 1 if metric.higher_is_better else -1
        self._segmenter = segmenter
        self._patches = patches
        self._config = config
        self._loss = LOSSES[config.loss]
        self._simulator = simulator
        self._metrics = {metric_name: metric}
        self._threshold = threshold
        self._drawer = Drawer(
            simulator,
            seed,
            config.strokes_per_patch,
            overwrite_hints,
            even=config.operation == "chance",
        )
        self._cut = float(np.float32(logit(threshold)))
        # As in a session, before the first stroke there may be a look at the whole patch.
        self._begin = 0 if refiner.revises else 1
        self._device = device
        self._seed = seed
        self._prompts: dict[tuple[int, int], Prompt] = {}
        self._pool: DrawingPool | None = None
        self._trials: PatchTrials | None = None

    def loss(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Return the mean loss of the refiner's answers after the rounds of this step."""
        prompt = self._prompts.pop((epoch, step), None)
        if prompt is None:
            prompt = self._first_prompt(batch, epoch, step)
        if self._config.learn == "every":
            return self._loss_of_every_round(prompt, batch, epoch, step)
        last = self._rounds(epoch, step)
        prompt = self._advanced(prompt, batch, epoch, step, last)
        features = self._refiner.encode(batch.image, prompt.initial)
        return self._judged(self._answers(features, prompt, last), prompt, batch)

    def _loss_of_every_round(self, prompt: Prompt, batch: Batch, epoch: int, step: int) -> Tensor:
        """Return the mean loss of all rounds of a step; what the image says is computed once."""
        features = self._refiner.encode(batch.image, prompt.initial)
        answers = self._answers(features, prompt, self._begin)
        losses = [self._judged(answers, prompt, batch)]
        for number in range(self._begin + 1, self._config.rounds + 1):
            prompt = self._next(prompt, answers[-1].detach().float(), batch, epoch, step, number)
            answers = self._answers(features, prompt, number)
            losses.append(self._judged(answers, prompt, batch))
        return torch.stack(losses).mean()

    def _answers(self, features: object, prompt: Prompt, number: int) -> list[Tensor]:
        """Return what is judged of round `number`; in round 0 there are no strokes yet."""
        if number == 0:
            return self._refiner.revisions(features, prompt.initial)
        return self._refiner.answers(features, prompt)

    def _judged(self, answers: Sequence[Tensor], prompt: Prompt, batch: Batch) -> Tensor:
        """Return the mean loss of all answers to one prompt."""
        losses = [self._pooled(self._loss, answer, batch) for answer in answers]
        for weight, pixels in self._counted_again(prompt, batch):
            again = batch._replace(roi=batch.roi.bool() & pixels)
            losses = [
                loss + weight * self._pooled(cross_entropy, answer, again)
                for loss, answer in zip(losses, answers, strict=True)
            ]
        return torch.stack(losses).mean()

    def _counted_again(self, prompt: Prompt, batch: Batch) -> Iterator[tuple[float, Tensor]]:
        """Yield weights, and the pixels whose mean cross-entropy is added with each."""
        if self._config.keep > 0:
            before = prompt.initial if prompt.previous is None else prompt.previous
            yield self._config.keep, (before > self._cut) == batch.lines.bool()
        if self._config.near > 0:
            yield self._config.near, near(prompt.hints != 0, NEAR)

    def feed(self, batches: Iterator[Batch], course: Course) -> Generator[Batch, None, None]:
        """Yield the batches on the device, their strokes drawn meanwhile by other processes.

        Strokes depend on the first prediction, which is frozen, not on what
        the refiner has learnt: those of the next two batches are on their way
        while the network is busy with one. Strokes of later rounds cannot be
        drawn ahead; the same processes draw them while `loss` waits. Nor can
        those of the first where the refiner looks at the patch before them.
        """
        self._prompts.clear()
        if course.workers == 0:
            yield from super().feed(batches, course)
            return
        self._pool = pool = DrawingPool(self._drawer, course.workers)
        waiting: deque[Ahead] = deque()
        try:
            if self._begin == 0:  # its first strokes depend on what it has learnt
                yield from super().feed(batches, course)
                return
            for batch, place in zip(batches, course.places(), strict=False):
                moved = batch.to(course.device)
                with course.autocast():
                    initial = self._first(moved.image)
                waiting.append(Ahead(place, batch, moved, initial, Host(initial > self._cut)))
                if len(waiting) > 1:
                    waiting[-2].begin(pool)
                if len(waiting) > 2:
                    yield self._ready(waiting.popleft(), pool)
            while waiting:
                yield self._ready(waiting.popleft(), pool)
        finally:
            self._pool = None
            pool.close()

    def _ready(self, ahead: Ahead, pool: DrawingPool) -> Batch:
        """Wait for the strokes of a batch, and keep its prompt for `loss`."""
        self._prompts[ahead.place] = self._prompt(ahead.initial, ahead.hints(pool))
        return ahead.moved

    def _first(self, image: Tensor) -> Tensor:
        with evaluating(self._segmenter), torch.no_grad():
            initial: Tensor = self._segmenter(image).float()
        return initial

    def _first_prompt(self, batch: Batch, epoch: int, step: int) -> Prompt:
        """Return the prompt of the first round: strokes on the first prediction, or none yet."""
        initial = self._first(batch.image)
        if self._begin == 0:
            shape = (len(initial), *initial.shape[-2:])
            return self._prompt(initial, np.zeros(shape, dtype=np.int8))
        hints = self._drawer.batch(
            self._mask(initial), *batch_masks(batch), epoch, step, batch.first
        )
        return self._prompt(initial, hints)

    def _advanced(self, prompt: Prompt, batch: Batch, epoch: int, step: int, last: int) -> Prompt:
        """Return the prompt of the last round of a step, from that of the first.

        The rounds between are a session: the refiner answers as it does in use,
        in evaluation mode, and nothing that it answers here is learnt from.
        """
        if last == self._begin:
            return prompt
        with evaluating(self._refiner), torch.no_grad():
            features = self._refiner.encode(batch.image, prompt.initial)
            for number in range(self._begin, last):
                if number == 0:
                    answer = self._refiner.revise(features, prompt.initial)
                else:
                    answer = self._refiner.refine(features, prompt)
                prompt = self._next(prompt, answer.float(), batch, epoch, step, number + 1)
        # Older versions of torch use again, with gradients, what autocast has cast without.
        torch.clear_autocast_cache()
        return prompt

    def _next(
        self, prompt: Prompt, answer: Tensor, batch: Batch, epoch: int, step: int, number: int
    ) -> Prompt:
        """Return the prompt of round `number`: a stroke more, drawn on the answer to the last."""
        masks = (self._mask(answer), *batch_masks(batch))
        before = prompt.hints[:, 0].to(torch.int8).cpu().numpy()
        if self._pool is None:
            hints = self._drawer.batch(
                *masks, epoch, step, batch.first, before=before, number=number
            )
        else:
            wait = self._pool.draw(*masks, epoch, step, batch.first, before=before, number=number)
            hints = wait()
        return self._prompt(prompt.initial, hints, previous=answer)

    def _rounds(self, epoch: int, step: int) -> int:
        """Return the number of a step's last round: the same in every process."""
        drawn = stream(self._seed, "rounds", epoch, step)
        return int(drawn.integers(self._begin, self._config.rounds + 1))

    def _prompt(
        self, initial: Tensor, hints: NDArray[np.int8], previous: Tensor | None = None
    ) -> Prompt:
        on_device = torch.from_numpy(hints)[:, None].to(initial.device, dtype=initial.dtype)
        return Prompt(initial, on_device, previous=initial if previous is None else previous)

    def _mask(self, logits: Tensor) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = (logits[:, 0] > self._cut).cpu().numpy()
        return mask

    def validate(self, announce: Announce) -> dict[str, float]:
        """Return relative gain and scores, averaged over passes with the same strokes each time."""
        if self._trials is None:
            self._trials = self._draw_trials(announce)
        rows = self._trials.rows(
            self._refiner,
            tick=lambda done, total: announce(f"validating {self.name}", done, total),
        )
        columns = [column for column in rows[0] if column != "pass"]
        return {f"val/{column}": mean_defined([row[column] for row in rows]) for column in columns}

    def _draw_trials(self, announce: Announce) -> PatchTrials:
        return PatchTrials(
            self._segmenter,
            self._patches,
            self._simulator,
            self._metrics,
            passes=self._config.validation_passes,
            threshold=self._threshold,
            device=self._device,
            seed=self._seed,
            even=self._config.operation == "chance",
            tick=lambda done, total: announce("drawing validation strokes", done, total),
        )
