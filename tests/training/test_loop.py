import math
import os
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch

from linerefine.config import TrainingConfig
from linerefine.errors import ConfigError, DataError, RunError
from linerefine.events import EpochFinished, Note, Working
from linerefine.models.segmenter import load_segmenter
from linerefine.refiners.manual import Manual
from linerefine.simulators.longest import Longest
from linerefine.training.data import TrainingPatches, ValidationPatches
from linerefine.training.loop import fit_refiner, fit_segmenter
from linerefine.training.tasks import RefinerTask, SegmenterTask

CPU = torch.device("cpu")


class Interrupt:
    """Presses Ctrl-C when an event fits."""

    def __init__(self, fits):
        self.fits = fits

    def __call__(self, event):
        if self.fits(event):
            raise KeyboardInterrupt


def at_step(number):
    return Interrupt(
        lambda e: isinstance(e, Working) and e.what.startswith("training") and e.done == number
    )


def without_time(history):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same_weights(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def segment(sets, brief, overlap):
    """Return a function that trains a segmenter in a folder."""

    def fit(module, folder, seed=0, observers=(), metric=overlap, **settings):
        return fit_segmenter(
            module,
            *sets,
            brief.model_copy(update=settings),
            metric=metric,
            metric_name="iou",
            device=CPU,
            seed=seed,
            folder=folder,
            observers=observers,
        )

    return fit


@pytest.fixture
def refine(sets, brief, overlap, new_segmenter):
    """Return a function that trains a refiner in a folder, on an untrained segmenter."""
    segmenter = new_segmenter(9)

    def fit(module, folder, seed=0, observers=(), **settings):
        return fit_refiner(
            module,
            segmenter,
            *sets,
            brief.model_copy(update=settings),
            name="unet",
            simulator=Longest(),
            metric=overlap,
            metric_name="iou",
            device=CPU,
            seed=seed,
            folder=folder,
            observers=observers,
        )

    return fit


@pytest.fixture(params=["segmenter", "unet"])
def either(request):
    """Return name, fresh module and training function of both networks in turn."""
    if request.param == "segmenter":
        new, fit = request.getfixturevalue("new_segmenter"), request.getfixturevalue("segment")
    else:
        new, fit = request.getfixturevalue("new_refiner"), request.getfixturevalue("refine")
    return request.param, new, fit


def test_training_tells_history_steps_and_files(either, tmp_path):
    name, new, fit = either
    events = []
    result = fit(new(), tmp_path, observers=[events.append])
    assert (result.epochs, result.steps) == (2, 6)
    assert [entry["epoch"] for entry in result.history] == [1, 2]
    assert all(math.isfinite(entry["train/loss"]) for entry in result.history)
    assert result.seconds == pytest.approx(sum(entry["seconds"] for entry in result.history))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.json",
        f"{name}.safetensors",
    ]
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    assert [(e.network, e.epoch, e.max_epochs) for e in epochs] == [(name, 1, 2), (name, 2, 2)]
    assert epochs[0].metrics.items() <= result.history[0].items()
    steps = [e for e in events if isinstance(e, Working) and e.what == f"training {name}"]
    assert [(e.done, e.total) for e in steps] == [(k, 6) for k in range(1, 7)]


def test_the_same_seed_repeats_a_training_and_another_does_not(either, tmp_path):
    _, new, fit = either
    results, ends = [], []
    for folder, seed in (("a", 0), ("b", 0)):
        module = new()
        results.append(fit(module, tmp_path / folder, seed=seed))
        ends.append(weights(module))
    assert without_time(results[0].history) == without_time(results[1].history)
    assert same_weights(*ends)
    other = fit(new(1), tmp_path / "c")
    assert without_time(other.history) != without_time(results[0].history)


def test_the_seed_decides_which_strokes_a_refiner_sees(refine, new_refiner, tmp_path):
    losses = [
        refine(new_refiner(), tmp_path / str(seed), seed=seed).history[0]["train/loss"]
        for seed in (0, 1)
    ]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_training_interrupted_and_resumed_ends_where_an_uninterrupted_one_does(
    either, tmp_path, step
):
    name, new, fit = either
    straight = new()
    expected = fit(straight, tmp_path / "straight")
    folder = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        fit(new(), folder, observers=[at_step(step)])
    assert [path.name for path in folder.iterdir()] == [f"{name}.ckpt"]
    resumed, events = new(5), []
    result = fit(resumed, folder, observers=[events.append])
    assert without_time(result.history) == without_time(expected.history)
    assert same_weights(weights(resumed), weights(straight))
    assert (result.best_epoch, result.best_score) == (expected.best_epoch, expected.best_score)
    place = f"epoch {step // 3 + 1}, step {step % 3 + 1}" if step != 3 else "epoch 1, step 4"
    assert Note(f"training {name}: going on at {place}") in events
    assert not (folder / f"{name}.ckpt").exists()


def test_an_interrupt_while_an_epoch_is_announced_keeps_the_epoch(either, tmp_path):
    _, new, fit = either
    expected = fit(new(), tmp_path / "straight")
    stop = Interrupt(lambda event: isinstance(event, EpochFinished))
    with pytest.raises(KeyboardInterrupt):
        fit(new(), tmp_path / "broken", observers=[stop])
    events = []
    result = fit(new(), tmp_path / "broken", observers=[events.append])
    assert [e.epoch for e in events if isinstance(e, EpochFinished)] == [2]
    assert without_time(result.history) == without_time(expected.history)


def test_an_interrupt_within_a_step_leaves_the_state_before_it(
    segment, new_segmenter, tmp_path, monkeypatch
):
    straight = new_segmenter()
    segment(straight, tmp_path / "straight")
    calls = []
    backward = torch.Tensor.backward

    def interrupted(self, *args, **kwargs):
        backward(self, *args, **kwargs)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt  # running means have moved, weights have not

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segment(new_segmenter(), tmp_path / "broken")
    resumed = new_segmenter()
    segment(resumed, tmp_path / "broken")
    assert same_weights(weights(resumed), weights(straight))


def test_an_interrupt_within_an_update_falls_back_on_the_last_checkpoint(
    segment, new_segmenter, tmp_path, monkeypatch
):
    straight = new_segmenter()
    segment(straight, tmp_path / "straight")
    calls = []
    step = torch.optim.Adam.step

    def interrupted(self, *args, **kwargs):
        step(self, *args, **kwargs)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt  # weights have moved, the count of steps has not

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segment(new_segmenter(), tmp_path / "broken", checkpoint_seconds=1e-9)
    events, resumed = [], new_segmenter()
    segment(resumed, tmp_path / "broken", observers=[events.append])
    assert Note("training segmenter: going on at epoch 1, step 3") in events
    assert same_weights(weights(resumed), weights(straight))


def test_a_finished_training_is_not_repeated(either, tmp_path):
    _, new, fit = either
    first = new()
    expected = fit(first, tmp_path)
    second, events = new(5), []
    assert fit(second, tmp_path, observers=[events.append]) == expected
    assert same_weights(weights(first), weights(second))
    assert events == []
    assert not second.training


def test_a_trained_segmenter_is_a_file_that_suffices(segment, new_segmenter, sets, tmp_path):
    segmenter = new_segmenter()
    segment(segmenter, tmp_path)
    loaded = load_segmenter(tmp_path / "segmenter.safetensors")
    image = torch.from_numpy(sets[1].patch(0).image)[None]
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), segmenter(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("choose", "kept", "score"), [("best", 2, 0.9), ("last", 3, 0.7)])
def test_the_best_weights_win_unless_the_last_are_chosen(
    segment, new_segmenter, tmp_path, monkeypatch, choose, kept, score
):
    seen = []

    def validate(task, announce):
        seen.append(weights(task.module))
        return {"val/iou": [0.5, 0.9, 0.7][len(seen) - 1]}

    monkeypatch.setattr(SegmenterTask, "validate", validate)
    segmenter = new_segmenter()
    events = []
    result = segment(segmenter, tmp_path, observers=[events.append], max_epochs=3, choose=choose)
    marked = [event.is_best for event in events if isinstance(event, EpochFinished)]
    assert marked == [True, True, False]
    assert (result.best_epoch, result.best_score) == (kept, score)
    for epoch, each in enumerate(seen, start=1):
        assert same_weights(weights(segmenter), each) == (epoch == kept)
    again = new_segmenter()
    segment(again, tmp_path, max_epochs=3, choose=choose)
    assert same_weights(weights(again), seen[kept - 1])


@pytest.mark.parametrize(
    ("scores", "best"),
    [([math.nan, 0.2, math.nan], 2), ([math.nan] * 3, 3), ([0.2, math.nan, 0.3], 3)],
)
def test_undefined_scores_are_never_the_best_unless_all_are(
    segment, new_segmenter, tmp_path, monkeypatch, scores, best
):
    given = iter(scores)
    monkeypatch.setattr(SegmenterTask, "validate", lambda *_: {"val/iou": next(given)})
    result = segment(new_segmenter(), tmp_path, max_epochs=3)
    assert result.best_epoch == best
    again = segment(new_segmenter(), tmp_path, max_epochs=3)
    np.testing.assert_equal(again.history, result.history)
    np.testing.assert_equal(again.best_score, result.best_score)


def test_training_stops_when_nothing_improves(segment, new_segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(SegmenterTask, "validate", lambda *_: {"val/iou": 0.5})
    events = []
    settings = {"max_epochs": 50, "patience": 2, "plateau_patience": 0, "steps_per_epoch": 1}
    result = segment(new_segmenter(), tmp_path, observers=[events.append], **settings)
    assert result.epochs == 3
    rates = [entry["learning_rate"] for entry in result.history]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4])
    last = [event for event in events if isinstance(event, Working)][-1]
    assert last == Working("training segmenter", 50, 50)


def test_where_lower_is_better_the_lowest_wins(
    segment, new_segmenter, overlap, tmp_path, monkeypatch
):
    class Distance(type(overlap)):
        higher_is_better = False

    given = iter([0.5, 0.2, 0.4])
    monkeypatch.setattr(SegmenterTask, "validate", lambda *_: {"val/iou": next(given)})
    result = segment(new_segmenter(), tmp_path, metric=Distance(), max_epochs=3)
    assert (result.best_epoch, result.best_score) == (2, 0.2)


def test_without_a_number_of_steps_every_patch_is_seen_once(segment, new_segmenter, sets, tmp_path):
    result = segment(new_segmenter(), tmp_path, steps_per_epoch=None, batch_size=6, max_epochs=1)
    assert len(sets[0]) == 16
    assert result.steps == 3


def test_a_training_leaves_the_global_random_state_alone(either, tmp_path):
    _, new, fit = either
    module = new()
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())
    fit(module, tmp_path)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.get_state()) == before[1]


def test_a_refiner_leaves_the_segmenter_as_it_was(
    sets, brief, overlap, new_segmenter, new_refiner, tmp_path
):
    segmenter = new_segmenter().train()
    before = weights(segmenter)
    fit_refiner(
        new_refiner(),
        segmenter,
        *sets,
        brief,
        name="unet",
        simulator=Longest(),
        metric=overlap,
        metric_name="iou",
        device=CPU,
        seed=0,
        folder=tmp_path,
    )
    assert same_weights(before, weights(segmenter))
    assert segmenter.training
    assert all(parameter.grad is None for parameter in segmenter.parameters())


def test_a_refiner_without_weights_has_nothing_to_learn(refine, tmp_path):
    result = refine(Manual(), tmp_path)
    assert (result.epochs, result.steps, result.history) == (0, 0, [])
    assert list(tmp_path.iterdir()) == []


def test_two_workers_train_what_the_main_process_does(either, tmp_path):
    _, new, fit = either
    alone, helped = new(), new()
    fit(alone, tmp_path / "0", max_epochs=1)
    fit(helped, tmp_path / "2", max_epochs=1, workers=2)
    assert same_weights(weights(alone), weights(helped))


def test_bf16_trains_on_the_cpu(either, tmp_path):
    _, new, fit = either
    result = fit(new(), tmp_path, precision="bf16", max_epochs=1)
    assert math.isfinite(result.history[0]["train/loss"])


def test_fp16_is_refused_on_the_cpu(segment, new_segmenter, tmp_path):
    with pytest.raises(ConfigError, match="'fp16' on cpu, expected CUDA. Take bf16 or fp32"):
        segment(new_segmenter(), tmp_path, precision="fp16")


def test_a_loss_that_is_not_finite_ends_the_training(segment, new_segmenter, tmp_path):
    segmenter = new_segmenter()
    with torch.no_grad():
        next(segmenter.parameters()).fill_(math.nan)
    message = "training segmenter diverged: the loss of epoch 1, step 1 is nan. Lower"
    with pytest.raises(RunError, match=message):
        segment(segmenter, tmp_path)


@pytest.mark.parametrize(
    ("setting", "value"), [("learning_rate", 1e-2), ("batch_size", 3), ("loss", "dice_bce")]
)
def test_another_setting_cannot_go_on_with_a_checkpoint(
    segment, new_segmenter, tmp_path, setting, value
):
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), tmp_path, observers=[at_step(1)])
    with pytest.raises(RunError, match=f"segmenter.ckpt was written with {setting} "):
        segment(new_segmenter(), tmp_path, **{setting: value})


def test_another_seed_cannot_go_on_with_a_checkpoint_nor_take_a_result(
    segment, new_segmenter, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), tmp_path, observers=[at_step(1)])
    with pytest.raises(RunError, match="segmenter.ckpt was written with seed 0, this run has 1"):
        segment(new_segmenter(), tmp_path, seed=1)
    segment(new_segmenter(), tmp_path)
    with pytest.raises(RunError, match="segmenter.json was written with seed 0, this run has 1"):
        segment(new_segmenter(), tmp_path, seed=1)


def test_more_epochs_and_other_housekeeping_may_go_on(segment, new_segmenter, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), tmp_path, observers=[at_step(1)])
    settings = {"max_epochs": 3, "patience": 20, "workers": 1, "checkpoint_seconds": 5}
    assert segment(new_segmenter(), tmp_path, **settings).epochs == 3


def test_a_schedule_laid_out_over_all_epochs_cannot_be_stretched(segment, new_segmenter, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), tmp_path, observers=[at_step(1)], schedule="cosine")
    with pytest.raises(RunError, match="written with max_epochs 2, this run has 3"):
        segment(new_segmenter(), tmp_path, schedule="cosine", max_epochs=3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cosine_schedule_too_goes_on_where_it_was(either, tmp_path, precision):
    _, new, fit = either
    settings = {"schedule": "cosine", "precision": precision}
    straight, resumed = new(), new(5)
    expected = fit(straight, tmp_path / "straight", **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(new(), tmp_path / "broken", observers=[at_step(4)], **settings)
    result = fit(resumed, tmp_path / "broken", **settings)
    assert without_time(result.history) == without_time(expected.history)
    assert same_weights(weights(resumed), weights(straight))


def test_a_checkpoint_of_another_network_is_refused(segment, new_segmenter, new_refiner, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), tmp_path, observers=[at_step(1)])
    other = torch.nn.Conv2d(1, 1, 3, padding=1)
    with pytest.raises(RunError, match="segmenter.ckpt holds another network. Delete it"):
        segment(other, tmp_path)


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_a_truncated_checkpoint_is_refused_by_name(segment, new_segmenter, tmp_path, keep):
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), tmp_path, observers=[at_step(1)])
    path = tmp_path / "segmenter.ckpt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"checkpoint .*segmenter.ckpt is damaged .* Delete it"):
        segment(new_segmenter(), tmp_path)


def test_a_foreign_file_is_no_checkpoint(segment, new_segmenter, tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "segmenter.ckpt")
    with pytest.raises(RunError, match="segmenter.ckpt is no checkpoint of this version"):
        segment(new_segmenter(), tmp_path)


def test_a_checkpoint_never_runs_code(segment, new_segmenter, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    torch.save({"format": Trap()}, tmp_path / "segmenter.ckpt")
    with pytest.raises(RunError, match=r"segmenter.ckpt is damaged"):
        segment(new_segmenter(), tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_result_without_weights_or_damaged_is_refused(segment, new_segmenter, tmp_path):
    segment(new_segmenter(), tmp_path)
    kept = (tmp_path / "segmenter.safetensors").read_bytes()
    (tmp_path / "segmenter.safetensors").write_bytes(kept[:-10])
    with pytest.raises(RunError, match=r"segmenter.safetensors cannot be read"):
        segment(new_segmenter(), tmp_path)
    (tmp_path / "segmenter.json").write_text('{"settings"')
    with pytest.raises(RunError, match=r"training result .*segmenter.json is damaged .* Delete it"):
        segment(new_segmenter(), tmp_path)


def test_a_folder_that_cannot_be_written_is_reported(segment, new_segmenter, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        segment(new_segmenter(), blocked / "run")


def test_ctrl_c_stays_ctrl_c_when_the_disk_is_full(segment, new_segmenter, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(KeyboardInterrupt):
        segment(new_segmenter(), blocked / "run", observers=[at_step(1)])
    assert "cannot be written" in caplog.text


def test_the_refiner_learns_what_strokes_mean_and_beats_pasting_them(
    drawn, tiling, plain, overlap, new_segmenter, new_refiner, tmp_path
):
    samples = [drawn(0, (64, 64)), drawn(1, (64, 64))]
    train = TrainingPatches(samples, tiling, plain, seed=0)
    val = ValidationPatches(samples, tiling)
    config = TrainingConfig(
        batch_size=2, steps_per_epoch=20, max_epochs=3, validation_passes=3, learning_rate=3e-3
    )
    segmenter = new_segmenter()
    common = {"metric": overlap, "metric_name": "iou", "device": CPU, "seed": 0, "folder": tmp_path}
    # Few steps: what nobody can see must stay missing for the refiner to find.
    fit_segmenter(segmenter, train, val, config.model_copy(update={"max_epochs": 1}), **common)
    result = fit_refiner(
        new_refiner(), segmenter, train, val, config, name="unet", simulator=Longest(), **common
    )
    best = result.history[result.best_epoch - 1]
    assert best["val/refined_iou"] > best["val/manual_iou"] > best["val/initial_iou"]
    assert result.best_score > 0.05
    assert result.history[-1]["train/loss"] < result.history[0]["train/loss"]


def test_dropout_differs_from_step_to_step(segment, tmp_path):
    class Drawing(torch.nn.Conv2d):
        drawn: ClassVar[list[float]] = []

        def forward(self, image):
            if self.training:
                self.drawn.append(float(torch.rand(())))
            return super().forward(image)

    segment(Drawing(1, 1, 3, padding=1), tmp_path)
    assert len(set(Drawing.drawn)) == 6


class Blind(torch.nn.Module):
    """A first prediction without a line."""

    def forward(self, image):
        return image[:, :1] * 0 - 1


def test_strokes_differ_from_step_to_step(sets, brief, overlap, new_refiner):
    task = RefinerTask(
        new_refiner(),
        Blind(),
        sets[1],
        brief,
        name="unet",
        simulator=Longest(),
        metric=overlap,
        metric_name="iou",
        threshold=0.5,
        overwrite_hints=True,
        device=CPU,
        seed=0,
    )
    batch = next(sets[0].batches(2, 3))
    losses = {task.loss(batch, *where).item() for where in ((0, 0), (0, 1), (1, 0))}
    assert len(losses) == 3
    assert task.loss(batch, 0, 0).item() in losses


def test_dropout_too_goes_on_where_it_was(segment, tmp_path):
    def new():
        layers = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Dropout(0.5)
        module = torch.nn.Sequential(*layers, torch.nn.Conv2d(4, 1, 3, padding=1))
        for parameter in module.parameters():
            torch.nn.init.constant_(parameter, 0.1)
        return module

    straight, resumed = new(), new()
    segment(straight, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        segment(new(), tmp_path / "broken", observers=[at_step(2)])
    torch.rand(7)
    segment(resumed, tmp_path / "broken")
    assert same_weights(weights(resumed), weights(straight))
    other = new()
    segment(other, tmp_path / "other", seed=1)
    assert not same_weights(weights(other), weights(straight))


def test_a_network_over_volumes_trains_too(segment, tmp_path):
    class Volumes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv3d(1, 1, (1, 3, 3), padding=(0, 1, 1))

        def forward(self, image):
            return self.layer(image[:, :, None])[:, :, 0]

    assert segment(Volumes(), tmp_path).steps == 6
