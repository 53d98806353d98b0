"""The training loop of both networks: fit, epoch, step, each on one screen."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from linerefine.chance import seed_for
from linerefine.config import TrainingConfig
from linerefine.errors import ConfigError, DataError, RunError
from linerefine.events import EpochFinished, Event, Note, Observer, Working
from linerefine.machine import usable_cores
from linerefine.models.device import has_native_bf16
from linerefine.training.checkpoint import (
    FitResult,
    State,
    load_checkpoint,
    load_finished,
    save_checkpoint,
    save_finished,
    weights_of,
)
from linerefine.training.data import Batch, TrainingPatches
from linerefine.training.distributed import ALONE, BatchLoss, Group
from linerefine.training.feeding import Course
from linerefine.training.stopping import EarlyStopping, make_schedule
from linerefine.training.tasks import Task

__all__ = ["Trainer"]

log = logging.getLogger(__name__)

FREE_TO_CHANGE = frozenset({"checkpoint_seconds", "max_epochs", "patience", "workers"})
"""Settings that may differ when a training goes on."""


class Trainer:
    """Trains the network of one task and keeps what is needed to go on.

    Parameters
    ----------
    task : Task
        Network, loss and validation.
    train : TrainingPatches
        What to train on.
    config : TrainingConfig
        How.
    device : torch.device
        Where; the network is moved there.
    seed : int
        For what the network draws itself, such as dropout.
    folder : Path
        Holds ``<name>.ckpt`` on the way, ``<name>.safetensors`` and
        ``<name>.json`` at the end.
    observers : sequence of Observer
        Told about steps and epochs.
    group : Group
        Who trains together; only the first of them validates, writes and tells.
    """

    def __init__(
        self,
        task: Task,
        train: TrainingPatches,
        config: TrainingConfig,
        *,
        device: torch.device,
        seed: int,
        folder: Path,
        observers: Sequence[Observer] = (),
        group: Group = ALONE,
    ) -> None:
        self.task = task
        self.task.group = self.group = group
        self.train = train
        self.config = config
        self.device = device
        self.seed = seed
        self.folder = folder
        self.observers = observers if group.is_first else ()
        self.steps = config.steps_per_epoch or math.ceil(len(train) / config.batch_size)
        self.module = _placed(task.module, device)
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
        self.schedule = make_schedule(self.optimizer, config, config.max_epochs * self.steps)
        self.stopping = EarlyStopping(config.patience, config.min_delta)
        self.dtype = _dtype(config.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.state = State()
        self._shared_loss: BatchLoss = task.loss
        self._buffers: list[Tensor] | None = None
        self._is_whole = True
        self._saved_at = perf_counter()

    def fit(self) -> FitResult:
        """Train to the end, from wherever the folder says training stands."""
        finished = self.group.agreed(self._load_finished)
        if finished is not None:
            self.group.align(self.module)
            self.module.eval()
            return finished
        self._resume()
        self._shared_loss = self.group.loss(self.task)
        try:
            self._run()
        except KeyboardInterrupt:
            self._keep()
            raise
        return self._finish()

    def _run(self) -> None:
        state = self.state
        workers = self.config.data_workers(self.device.type, usable_cores())
        batches = self.train.batches(
            self.config.batch_size,
            self.steps,
            epoch=state.epoch,
            step=state.step,
            workers=workers,
            share=self.group.share(self.config.batch_size),
            pinned=self.device.type == "cuda",
        )
        course = Course(
            state.epoch, state.step, self.steps, self.device, self._autocast, workers=workers
        )
        with closing(self.task.feed(batches, course)) as fed:
            while state.epoch < self.config.max_epochs and not self.stopping.should_stop:
                self._epoch(fed)

    def _epoch(self, batches: Iterator[Batch]) -> None:
        """Finish the epoch that has begun, score it, tell the observers."""
        state, started = self.state, perf_counter()
        before = state.epoch_seconds
        while state.step < self.steps:
            self._train_step(next(batches))
            state.epoch_seconds = before + perf_counter() - started
            self._announce_step()
            self._save_if_due()
        scores = self.group.agreed(lambda: self.task.validate(self._announce))
        state.epoch_seconds = before + perf_counter() - started
        self._is_whole = False
        is_best = self._close_epoch(scores)
        self._is_whole = True
        self._notify_epoch(is_best)
        self._save_if_due()

    def _train_step(self, batch: Batch) -> None:
        """Take one step; a Ctrl-C within leaves the state before it or after it."""
        state = self.state
        self.module.train()
        self._buffers = [buffer.clone() for buffer in self.module.buffers()]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.config.gradient_clip)
        value = self._checked(loss)
        self._is_whole = False
        self.scaler.step(self.optimizer)
        self.scaler.update()
        state.loss_sum += value
        state.step += 1
        self.schedule.after_step(state.epoch * self.steps + state.step)
        self._buffers = None
        self._is_whole = True

    def _loss(self, batch: Batch) -> Tensor:
        state = self.state
        devices = [self.device] if self.device.type == "cuda" else []
        with (
            # Dropout draws from torch's global stream: lend it one of this step's own.
            torch.random.fork_rng(devices),
            self._autocast(),
        ):
            words = (self.group.rank,) if self.group.rank else ()
            torch.manual_seed(seed_for(self.seed, "dropout", state.epoch, state.step, *words))
            return self._shared_loss(batch, state.epoch, state.step)

    def _autocast(self) -> torch.autocast:
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=enabled)

    def _checked(self, loss: Tensor) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            state = self.state
            msg = (
                f"training {self.task.name} diverged: the loss of epoch {state.epoch + 1}, step "
                f"{state.step + 1} is {value}. Lower training.learning_rate, or set "
                "training.precision to fp32."
            )
            raise RunError(msg)
        return value

    def _close_epoch(self, scores: dict[str, float]) -> bool:
        """Enter the epoch into the history, step the schedules; say whether it is the best."""
        state = self.state
        score = scores[self.task.monitor] * self.task.sign
        earlier = [entry[self.task.monitor] * self.task.sign for entry in state.history]
        known = [each for each in earlier if not math.isnan(each)]
        is_best = not known or score > max(known)
        state.epoch += 1
        state.history.append(
            {
                "epoch": state.epoch,
                "train/loss": state.loss_sum / self.steps,
                **{name: float(value) for name, value in scores.items()},
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "seconds": state.epoch_seconds,
            }
        )
        if is_best or self.config.choose == "last":
            state.best_epoch, state.best_score = state.epoch, float(scores[self.task.monitor])
            state.best = weights_of(self.module)
        self.stopping.update(score)
        self.schedule.after_epoch(score)
        state.seconds += state.epoch_seconds
        state.step, state.loss_sum, state.epoch_seconds = 0, 0.0, 0.0
        return is_best

    # What is kept

    def _settings(self) -> dict[str, Any]:
        """Return what must not change when a training goes on."""
        # A schedule laid out over all epochs cannot be stretched half-way.
        fixed = {"max_epochs"} if self.config.schedule == "cosine" else set()
        return {
            "network": self.task.name,
            "seed": self.seed,
            "monitor": self.task.monitor,
            "training patches": len(self.train),
            "patch edge": self.train.size,
            **self.config.model_dump(mode="json", exclude=set(FREE_TO_CHANGE - fixed)),
        }

    @property
    def _checkpoint(self) -> Path:
        return self.folder / f"{self.task.name}.ckpt"

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.module,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "stopping": self.stopping,
            "scaler": self.scaler,
        }

    def _load_finished(self) -> FitResult | None:
        return load_finished(self.folder, self.task.name, self.module, self._settings())

    def _save(self) -> None:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        save_checkpoint(self._checkpoint, self.state, parts, self._settings())
        self._saved_at = perf_counter()

    def _save_if_due(self) -> None:
        is_due = perf_counter() - self._saved_at >= self.config.checkpoint_seconds
        if is_due and self.group.is_first:
            self._save()

    def _keep(self) -> None:
        """Save where training stands when Ctrl-C is pressed."""
        if not self.group.is_first:
            return
        if not self._is_whole:
            log.info("interrupted within an update: the checkpoint before it stays")
            return
        if self._buffers is not None:
            for buffer, value in zip(self.module.buffers(), self._buffers, strict=True):
                buffer.copy_(value)
        try:
            self._save()
        except DataError as error:
            log.warning("%s", error)

    def _resume(self) -> None:
        begun = self.group.agreed(self._load_begun)
        if begun is None:
            return
        self.state, parts = begun
        try:
            for name, part in self._parts().items():
                part.load_state_dict(parts[name])
        except (KeyError, RuntimeError, ValueError) as error:
            msg = f"checkpoint {self._checkpoint} holds another network. Delete it to train anew."
            raise RunError(msg) from error
        place = f"epoch {self.state.epoch + 1}, step {self.state.step + 1}"
        self._tell(Note(f"training {self.task.name}: going on at {place}"))

    def _load_begun(self) -> tuple[State, dict[str, dict[str, Any]]] | None:
        if not self._checkpoint.is_file():
            return None
        return load_checkpoint(self._checkpoint, self._settings())

    def _finish(self) -> FitResult:
        state = self.state
        if state.best is not None:
            self.module.load_state_dict(state.best)
        self.group.align(self.module)
        self.module.eval()
        result = FitResult(
            history=state.history,
            best_epoch=state.best_epoch,
            best_score=state.best_score,
            epochs=state.epoch,
            steps=state.epoch * self.steps,
            seconds=state.seconds,
        )
        if self.group.is_first:
            save_finished(self.folder, self.task.name, self.module, result, self._settings())
            self._checkpoint.unlink(missing_ok=True)
        total = self.config.max_epochs * self.steps
        self._announce(f"training {self.task.name}", total, total)
        return result

    # What is told

    def _tell(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)

    def _announce(self, what: str, done: int, total: int) -> None:
        self._tell(Working(what, done, total))

    def _announce_step(self) -> None:
        done = self.state.epoch * self.steps + self.state.step
        # Finished only when the last epoch is validated, or stopping says so.
        total = self.config.max_epochs * self.steps
        if done < total:
            self._announce(f"training {self.task.name}", done, total)

    def _notify_epoch(self, is_best: bool) -> None:
        entry = dict(self.state.history[-1])
        epoch = int(entry.pop("epoch"))
        self._tell(EpochFinished(self.task.name, epoch, self.config.max_epochs, entry, is_best))


def _placed(module: nn.Module, device: torch.device) -> nn.Module:
    """Return the module on its device, channels last: a fifth faster on CPUs, more on GPUs."""
    if any(parameter.dim() == 5 for parameter in module.parameters()):
        return module.to(device)  # torch refuses the format for volumes
    placed: nn.Module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that networks compute in."""
    if precision == "auto":
        if device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if device.type == "cpu" and has_native_bf16() else torch.float32
    if precision == "fp16" and device.type != "cuda":
        msg = f"training.precision is 'fp16' on {device.type}, expected CUDA. Take bf16 or fp32."
        raise ConfigError(msg)
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
