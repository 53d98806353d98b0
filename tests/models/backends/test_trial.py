"""`auto`: the fastest that agrees, remembered per machine and network."""

from __future__ import annotations

import json

import pytest
import torch

from linerefine.config import InferenceConfig, NetworkConfig
from linerefine.models.backends import catalogue, mask_agreement, memory, trial
from linerefine.models.backends.base import Backend
from linerefine.models.backends.trial import Choice, choose
from linerefine.models.segmenter import build_network

AUTO = InferenceConfig(trial_passes=1)


class Fake(Backend):
    """A back-end of known speed that adds to every logit."""

    def __init__(self, name, offset=0.0):
        super().__init__(name, "a stand-in")
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "built", [])

    def obstacle(self, device):
        return None

    def build(self, network, example, calibration=()):
        self.built.append(self.name)

        def run(image):
            return network(image) + self.offset

        run.backend = self.name
        return run


@pytest.fixture
def candidates(monkeypatch, tmp_path):
    """Make three stand-ins the candidates, with times of our choosing."""
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path))
    fakes = {f.name: f for f in (Fake("wrong", 50.0), Fake("good"), Fake("slow"))}
    seconds = {"wrong": 0.001, "good": 0.01, "slow": 0.5}

    def timed(run, example, passes):
        return seconds.get(getattr(run, "backend", "eager"), 0.1)

    monkeypatch.setattr(trial, "median_seconds", timed)
    monkeypatch.setattr(trial, "auto_candidates", lambda device: tuple(fakes.values()))
    everything = {**catalogue.BACKENDS, **fakes}
    monkeypatch.setattr(catalogue, "BACKENDS", everything)
    return fakes


@pytest.fixture
def one(drawn):
    return drawn[0][:1]


def chosen(network, image, config=AUTO, **more):
    with torch.inference_mode():
        return choose(network, image, config, **more)[0]


def test_the_fastest_whose_mask_agrees_is_taken(trained, one, candidates):
    choice = chosen(trained, one)
    assert (choice.backend, choice.reason) == ("good", "measured")
    assert choice.milliseconds == {"eager": 100.0, "wrong": 1.0, "good": 10.0, "slow": 500.0}
    assert choice.agreement["wrong"] < 0.5
    assert str(choice) == (
        "good (measured), 10.0 times as fast as eager: 10 against 100 ms per pass of "
        "1x1x96x96; masks agree in 100.00% of pixels"
    )


def test_features_need_not_have_the_same_sign(one, candidates, monkeypatch):
    """Where a network answers with features that another goes on with."""
    config = NetworkConfig(encoder="resnet18", encoder_depth=3, decoder_channels=(16, 8, 8))
    network = build_network(config, 1, outputs=4).eval()
    with torch.inference_mode():
        exact = network.body(one)
    offset = 0.05 * float(exact.std(dim=(0, 2, 3)).min())
    network.body.segmentation_head[0].bias.data -= exact.mean(dim=(0, 2, 3)).detach()
    object.__setattr__(candidates["good"], "offset", offset)
    with torch.inference_mode():
        assert mask_agreement(network.body(one) + offset, network.body(one)) < 0.999
    choice = chosen(network, one)
    assert choice.backend == "good"
    assert str(choice).endswith("; features agree in 100.00% of values")
    assert chosen(network, one).reason == "remembered"
    assert chosen(build_network(config, 1).eval(), one).reason == "measured"


def test_eager_stays_where_nothing_is_faster(trained, one, candidates, monkeypatch):
    monkeypatch.setattr(trial, "auto_candidates", lambda _: (candidates["slow"],))
    choice = chosen(trained, one)
    assert str(choice) == "eager (measured), 100 ms per pass of 1x1x96x96"


def test_speeds_are_remembered_and_the_fastest_that_agrees_is_built(trained, one, candidates):
    chosen(trained, one)
    for fake in candidates.values():
        fake.built.clear()
    again = chosen(trained, one)
    assert (again.backend, again.reason) == ("good", "remembered")
    assert [name for fake in candidates.values() for name in fake.built] == ["wrong", "good"]


def test_what_one_network_did_not_bear_is_open_to_the_next(trained, one, candidates):
    chosen(trained, one)
    object.__setattr__(candidates["wrong"], "offset", 0.0)
    again = chosen(trained, one)
    assert (again.backend, again.reason) == ("wrong", "remembered")
    assert again.agreement == {"eager": 1.0, "wrong": 1.0}


def test_a_choice_is_forgotten_when_a_version_changes(trained, one, candidates, monkeypatch):
    chosen(trained, one)
    monkeypatch.setattr(memory, "_version", lambda name: "99")
    assert chosen(trained, one).reason == "measured"
    assert len(json.loads(memory.memory_file().read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize("other", ["shape", "agreement", "threads"])
def test_other_circumstances_are_measured_on_their_own(trained, drawn, candidates, other):
    image = drawn[0][:1]
    chosen(trained, image)
    threads = torch.get_num_threads()
    try:
        if other == "threads":
            torch.set_num_threads(threads + 1)
        config = AUTO.model_copy(update={"agreement": 0.9}) if other == "agreement" else AUTO
        choice = chosen(trained, drawn[0] if other == "shape" else image, config)
    finally:
        torch.set_num_threads(threads)
    assert choice.reason == "measured"
    assert chosen(trained, image).reason == "remembered"


@pytest.mark.parametrize(("slow", "then"), [(0.5, "eager"), (0.05, "slow")])
def test_the_next_fastest_is_taken_where_these_weights_do_not_bear_the_fastest(
    trained, one, candidates, slow, then, monkeypatch
):
    timed = trial.median_seconds
    monkeypatch.setattr(
        trial,
        "median_seconds",
        lambda run, *rest: slow if getattr(run, "backend", "") == "slow" else timed(run, *rest),
    )
    chosen(trained, one)
    object.__setattr__(candidates["good"], "offset", 50.0)
    again = chosen(trained, one)
    assert (again.backend, again.reason) == (then, "remembered")
    assert again.agreement["good"] < 0.5


def test_a_back_end_that_is_gone_is_no_longer_chosen(trained, one, candidates, monkeypatch):
    chosen(trained, one)
    for name in ("wrong", "good", "slow"):
        monkeypatch.delitem(catalogue.BACKENDS, name)
    monkeypatch.setattr(trial, "auto_candidates", lambda _: ())
    again = chosen(trained, one)
    assert (again.backend, again.reason) == ("eager", "measured")


def test_a_damaged_memory_costs_a_measurement_and_nothing_else(trained, one, candidates, caplog):
    memory.memory_file().write_text("[{", encoding="utf-8")
    assert chosen(trained, one).reason == "measured"
    assert "back-ends are measured anew" in caplog.text
    assert chosen(trained, one).reason == "remembered"


def test_nothing_is_kept_when_memory_is_off(trained, one, candidates):
    config = AUTO.model_copy(update={"remember": False})
    assert chosen(trained, one, config).reason == "measured"
    assert not memory.memory_file().exists()


def test_a_network_with_little_to_do_is_left_alone(trained, one, candidates):
    choice = chosen(trained, one, calls=99)
    assert str(choice) == "eager (little to do)"
    assert not any(fake.built for fake in candidates.values())
    assert chosen(trained, one, calls=100).backend == "good"


def test_no_further_candidate_is_begun_when_the_time_is_spent(trained, one, candidates):
    config = AUTO.model_copy(update={"trial_seconds": 1e-9})
    chosen(trained, one, config)
    assert [len(fake.built) for fake in candidates.values()] == [1, 0, 0]


def test_what_is_asked_for_is_taken_unmeasured(trained, one):
    choice = chosen(trained, one, InferenceConfig(backend="channels_last"))
    assert choice == Choice("channels_last", "asked for", (1, 1, 96, 96))


def test_auto_itself_finds_something_that_agrees(trained, one, monkeypatch, tmp_path):
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path))
    choice = chosen(trained, one)
    assert choice.agreement[choice.backend] >= 0.999
    assert choice.milliseconds[choice.backend] == min(choice.milliseconds.values())
    assert Choice.from_dict(json.loads(json.dumps(choice.to_dict())), "measured") == choice
