"""A first prediction whose threshold was chosen on the validation split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from linerefine.events import Event, Note
from linerefine.experiment.bench import Bench
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.loading import load_bench
from linerefine.experiment.networks import TrainingSet
from linerefine.experiment.notifier import Notifier
from linerefine.experiment.stored import THRESHOLD, stored_segmenter
from linerefine.report import RunResult
from linerefine.training.patches import pooled_scores, predict_patches

from .conftest import CONFIG, registry, run

SEGMENTER = CONFIG.segmenter.model_copy(update={"threshold": "tuned"})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, list[Event]]:
    events: list[Event] = []
    folder = tmp_path_factory.mktemp("tuned") / "out"
    return run(folder, events.append, segmenter=SEGMENTER), events


def found(folder: Path) -> float:
    return float(json.loads((folder / "checkpoints" / THRESHOLD).read_text())["threshold"])


def opened(folder: Path) -> Bench:
    return load_bench(registry(), folder, None, "cpu", Notifier([]))


def test_the_cut_is_the_best_on_validation_patches_and_becomes_the_usual_one(
    tuned: tuple[RunResult, list[Event]],
) -> None:
    result, events = tuned
    cut = found(result.output)
    assert cut != 0.5  # or the test would show nothing
    bench = opened(result.output)
    segmenter, patches = stored_segmenter(bench), TrainingSet.load(bench).val
    assert segmenter.shift == pytest.approx(-logit(cut))
    shifted = predict_patches(segmenter, patches, bench.device)
    score = {
        by: pooled_scores([logits > by for logits in shifted], patches, bench.metrics)["pfm"]
        for by in (0.0, segmenter.shift)
    }
    assert score[0.0] > score[segmenter.shift]  # better than where the network itself would cut
    facts = json.loads((result.output / "checkpoints" / THRESHOLD).read_text())
    assert facts["metric"] == "pfm"
    assert facts["score"] == pytest.approx(score[0.0])
    said = " ".join(event.message for event in events if isinstance(event, Note))
    assert f"first predictions are line from a probability of {cut:.2f}" in said


def test_sessions_begin_with_the_shifted_prediction(
    tuned: tuple[RunResult, list[Event]], tmp_path: Path
) -> None:
    result, _ = tuned
    shift = -logit(found(result.output))
    plain = run(tmp_path / "plain", refiners=CONFIG.refiners[1:])
    for path in sorted((result.output / "predictions").glob("*.npy")):
        before = np.load(plain.output / "predictions" / path.name)
        np.testing.assert_allclose(np.load(path), before + shift, atol=1e-4)
    begun = result.rounds[result.rounds["round"] == 0].groupby("image")["manual_pfm"].first()
    for image, score in begun.dropna().items():
        assert score == pytest.approx(result.summary["first_prediction"]["images"][image]["pfm"])


def test_going_on_tunes_nothing_anew(tuned: tuple[RunResult, list[Event]]) -> None:
    result, _ = tuned
    path = result.output / "checkpoints" / THRESHOLD
    before = path.stat().st_mtime_ns
    again = run(result.output, resume=True, segmenter=SEGMENTER)
    assert path.stat().st_mtime_ns == before
    assert again.summary["first_prediction"] == result.summary["first_prediction"]


def test_a_checkpoint_brings_its_cut_along_to_any_threshold(
    tuned: tuple[RunResult, list[Event]], tmp_path: Path
) -> None:
    result, _ = tuned
    checkpoint = str(result.output / "checkpoints" / "segmenter.safetensors")
    segmenter = CONFIG.segmenter.model_copy(update={"checkpoint": checkpoint})
    other = run(tmp_path / "other", refiners=CONFIG.refiners[1:], segmenter=segmenter)
    assert other.summary["first_prediction"] == result.summary["first_prediction"]
    assert not (other.output / "checkpoints" / THRESHOLD).exists()
    session = CONFIG.session.model_copy(update={"threshold": 0.3})
    config = CONFIG.model_copy(update={"segmenter": segmenter, "session": session})
    bench = Bench.build(config, registry(), RunFolder(tmp_path / "third"), Notifier([]))
    expected = logit(0.3) - logit(found(result.output))
    assert stored_segmenter(bench).shift == pytest.approx(expected)


def test_a_checkpoint_may_be_tuned_without_touching_its_folder(
    tuned: tuple[RunResult, list[Event]], alone: RunResult, tmp_path: Path
) -> None:
    result, _ = tuned
    checkpoint = str(alone.output / "checkpoints" / "segmenter.safetensors")
    segmenter = SEGMENTER.model_copy(update={"checkpoint": checkpoint})
    other = run(tmp_path / "other", refiners=CONFIG.refiners[1:], segmenter=segmenter)
    assert found(other.output) == found(result.output)  # the same weights, the same patches
    assert not (alone.output / "checkpoints" / THRESHOLD).exists()
    assert other.summary["first_prediction"] == result.summary["first_prediction"]


def test_nothing_is_tuned_unless_asked_for(alone: RunResult) -> None:
    assert not (alone.output / "checkpoints" / THRESHOLD).exists()
    assert stored_segmenter(opened(alone.output)).shift == 0.0
