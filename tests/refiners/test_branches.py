"""The two networks of a refiner that looks at the image once per place."""

from __future__ import annotations

import copy

import pytest
import torch

from linerefine.config import InferenceConfig
from linerefine.models.backends import BACKENDS, accelerate
from linerefine.refiners.branches import FINE, ImagePyramid, PromptBranch

WIDTHS = (8, 16, 16, 16)
NAMES = [name for name in BACKENDS if not name.startswith("compile")]


@pytest.fixture
def branch():
    torch.manual_seed(0)
    branch = PromptBranch(7, WIDTHS)
    for module in branch.modules():  # as after training: statistics and a head that says something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(branch.head.weight)
    return branch.eval()


def asked(batch=1, edge=64, seed=0):
    """Return what an image says at every level, and a prompt."""
    chance = torch.Generator().manual_seed(seed)
    fine = torch.randn(batch, FINE, edge, edge, generator=chance)
    torch.manual_seed(1)
    with torch.inference_mode():
        features = (fine, *ImagePyramid(WIDTHS).eval()(fine))
    return features, torch.randn(batch, 7, edge, edge, generator=chance)


def answer(branch, features, shown):
    with torch.inference_mode():
        return branch(features, shown)


@pytest.mark.parametrize("name", NAMES)
def test_every_backend_runs_the_prompt_branch(branch, name):
    if obstacle := BACKENDS[name].obstacle(torch.device("cpu")):
        pytest.skip(obstacle)
    exact = answer(branch, *asked())
    others = [asked(2), asked(edge=96, seed=3)]
    wanted = [answer(branch, *each) for each in others]
    with accelerate(branch, InferenceConfig(backend=name)) as fast:
        found = answer(branch, *asked())
        again = [answer(branch, *each) for each in others]
    choice = fast.choices[""]
    if name == "onnxruntime_int8":
        assert str(choice) == "onnxruntime (not to be quantised)"
    else:
        assert str(choice) == f"{name} (asked for)"
    assert not choice.is_mask
    near = 0.2 if name.endswith("bf16") else 1e-4
    for one, other in zip([found, *again], [exact, *wanted], strict=True):
        assert one.shape == other.shape
        assert float((one - other).abs().mean()) < near * float(other.std())
    assert torch.equal(answer(branch, *asked()), exact)
    assert not branch.training


@pytest.mark.parametrize("name", NAMES)
def test_what_was_built_on_a_look_answers_strokes_as_well(branch, name):
    if obstacle := BACKENDS[name].obstacle(torch.device("cpu")):
        pytest.skip(obstacle)
    features, shown = asked()
    look = shown.clone()
    look[:, 3:] = 0  # no stroke, whichever way
    exact = answer(branch, features, shown)
    with accelerate(branch, InferenceConfig(backend=name)):
        answer(branch, features, look)
        found = answer(branch, features, shown)
    near = 0.05 if name.endswith("bf16") else 1e-4
    assert float((found - exact).abs().mean()) < near * float(exact.std())


@pytest.mark.slow
def test_it_compiles_for_every_shape_that_comes(branch):
    others = [asked(2), asked(edge=96, seed=3)]
    wanted = [answer(branch, *each) for each in others]
    with accelerate(branch, InferenceConfig(backend="compile")):
        found = [answer(branch, *each) for each in others]
    for one, other in zip(found, wanted, strict=True):
        assert float((one - other).abs().max()) < 1e-4


def test_auto_compares_values_and_says_so(branch, monkeypatch, tmp_path):
    monkeypatch.setenv("LINEREFINE_CACHE", str(tmp_path))
    with accelerate(branch, InferenceConfig(trial_passes=1)) as fast:
        answer(branch, *asked())
    choice = fast.choices[""]
    assert not choice.is_mask
    assert choice.backend == "eager" or str(choice).endswith("of values")
    assert choice.agreement[choice.backend] >= 0.999


def test_a_branch_that_is_trained_runs_plainly(branch):
    features, shown = asked()
    with accelerate(branch, InferenceConfig(backend="channels_last")) as fast:
        branch.train()
        branch(features, shown.clone()).mean().backward()
        assert fast.choices == {}
    assert branch.head.weight.grad is not None


def test_a_copy_made_while_it_runs_fast_is_a_plain_one(branch):
    with accelerate(branch, InferenceConfig(backend="channels_last")):
        answer(branch, *asked())
        twin = copy.deepcopy(branch)
    assert twin.fast is None
    assert torch.equal(answer(twin, *asked()), answer(branch, *asked()))


def test_what_it_is_asked_keeps_its_weights_names(branch):
    assert "shown.weight" in branch.state_dict()
    assert not any(name.startswith("body") for name in branch.state_dict())


def test_an_untrained_branch_changes_nothing():
    assert not answer(PromptBranch(7, WIDTHS).eval(), *asked()).any()
