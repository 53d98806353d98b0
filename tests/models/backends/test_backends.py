"""Every back-end against eager float32: logits, mask and pFM of a trained network."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import torch

from linerefine.config import InferenceConfig
from linerefine.errors import DeviceError, UnknownNameError
from linerefine.metrics.standard import PseudoFMeasure
from linerefine.models.backends import BACKENDS, Backend, mask_agreement, usable_backend
from linerefine.models.backends.runtimes import openvino
from linerefine.samples import Target

CPU = torch.device("cpu")

# Largest logit error, least mask agreement, largest difference of pFM. The
# trained network's logits have a standard deviation of 2.5. Seen: 4e-6, 0.05
# and 0.2 in the logits, 1, 0.9999 and 0.9996 in the masks.
FLOAT32 = (5e-5, 0.9999, 1e-4)
BF16 = (0.15, 0.999, 0.003)
BOUNDS = {
    "eager": (0.0, 1.0, 0.0),
    "channels_last": FLOAT32,
    "bf16": BF16,
    "packed": FLOAT32,
    "packed_bf16": BF16,
    "compile": FLOAT32,
    "compile_bf16": BF16,
    "onnxruntime": FLOAT32,
    "onnxruntime_int8": (0.6, 0.698, 0.006),
    "openvino": FLOAT32,
    "openvino_bf16": BF16,
    "fp16": (0.05, 0.999, 0.003),
    "cuda_graph": (0.05, 0.999, 0.003),
}


def parameter(name: str) -> object:
    marks = []
    if name.startswith("compile"):
        marks.append(pytest.mark.slow)
        marks.append(pytest.mark.timeout(300))
    if name in ("fp16", "cuda_graph"):
        marks.append(pytest.mark.gpu)
    return pytest.param(name, marks=marks)


def here(name: str) -> Backend:
    """Return a back-end, or skip with the reason why it cannot run here."""
    backend = BACKENDS[name]
    device = torch.device("cuda" if name in ("fp16", "cuda_graph") else "cpu")
    obstacle = backend.obstacle(device)
    if obstacle is not None:
        pytest.skip(obstacle)
    return backend


def pfm(logits: torch.Tensor, lines: torch.Tensor) -> float:
    masks = (logits[:, 0] > 0).numpy()
    targets = [Target(line.numpy() > 0, (line == line).numpy()) for line in lines[:, 0]]
    return sum(PseudoFMeasure().score(m, t) for m, t in zip(masks, targets, strict=True)) / len(
        masks
    )


def test_the_bounds_cover_every_backend_and_the_configuration_names_them():
    assert set(BOUNDS) == set(BACKENDS)
    field = InferenceConfig.model_fields["backend"].annotation
    assert set(field.__args__) == {"auto", *BACKENDS}


@pytest.mark.parametrize("name", [parameter(name) for name in BOUNDS])
def test_logits_mask_and_pfm_stay_within_the_bounds(name, trained, drawn):
    backend = here(name)
    image, lines = drawn
    error, agreement, difference = BOUNDS[name]
    device = "cuda" if backend.obstacle(CPU) else "cpu"
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    with torch.inference_mode():
        exact = trained(image)
    run = backend.build(trained.body.to(device), image.to(device), [image])
    with torch.inference_mode():
        answer = run(image.to(device)).cpu()
        again = run(image.to(device)).cpu()
    trained.to("cpu")
    assert (answer.shape, answer.dtype) == (exact.shape, torch.float32)
    assert torch.equal(answer, again)
    assert float((answer - exact).abs().max()) <= error
    assert mask_agreement(answer, exact) >= agreement
    assert abs(pfm(answer, lines) - pfm(exact, lines)) <= difference
    assert pfm(exact, lines) > 0.8, "the network is trained, or the comparison says nothing"
    assert all(torch.equal(before[key], value) for key, value in trained.state_dict().items())


@pytest.mark.parametrize(
    "name", ["channels_last", "bf16", "onnxruntime", "openvino", "openvino_bf16"]
)
def test_one_runner_takes_every_shape(name, trained, drawn):
    backend = here(name)
    assert backend.shapes is None
    image = drawn[0]
    run = backend.build(trained.body, image[:1])
    with torch.inference_mode():
        for shape in ((3, 96, 96), (1, 64, 96), (2, 32, 32)):
            part = image[: shape[0], :, : shape[1], : shape[2]]
            exact = trained(part)
            assert float((run(part) - exact).abs().max()) <= BOUNDS[name][0]


@pytest.mark.parametrize("name", ["packed", "packed_bf16"])
def test_backends_for_one_shape_name_one_for_the_rest(name):
    backend = BACKENDS[name]
    assert backend.shapes is not None
    general = BACKENDS[backend.general]
    assert general.shapes is None
    assert getattr(general, "dtype", None) == backend.dtype


def test_an_unknown_backend_is_refused_with_a_suggestion():
    message = r"no back-end named 'openvno'\. Did you mean 'openvino'\? Available: auto, eager, "
    with pytest.raises(UnknownNameError, match=message):
        usable_backend("openvno", CPU)


def test_a_backend_that_needs_a_gpu_says_so():
    message = r"back-end 'fp16' cannot be used: half precision needs a GPU; take 'bf16' on a CPU\."
    with pytest.raises(DeviceError, match=message):
        usable_backend("fp16", CPU)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("onnxruntime", "onnxruntime", "onnx"), ("openvino_bf16", "openvino", "openvino")],
)
def test_a_missing_engine_is_named_with_the_command_that_installs_it(
    name, module, extra, monkeypatch
):
    find_spec = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda asked: None if asked == module else find_spec(asked)
    )
    message = (
        rf"back-end '{name}' cannot be used: {module} is not installed; "
        rf"run (uv )?pip install 'linerefine\[{extra}\]'\."
    )
    with pytest.raises(DeviceError, match=message):
        usable_backend(name, CPU)


def test_bf16_is_refused_where_it_is_emulated(monkeypatch):
    monkeypatch.setattr("linerefine.models.backends.native.has_native_bf16", lambda: False)
    for name in ("bf16", "packed_bf16", "compile_bf16"):
        with pytest.raises(DeviceError, match="does not compute in bfloat16 itself; take a"):
            usable_backend(name, CPU)


def test_backends_of_the_cpu_are_refused_on_a_gpu():
    for name in ("packed", "onnxruntime", "openvino"):
        with pytest.raises(DeviceError, match="it runs on the CPU, not on cuda; pass --device cpu"):
            usable_backend(name, torch.device("cuda"))


def test_openvino_comes_without_the_package_that_reports_its_use():
    here("openvino")
    assert openvino().Core().available_devices
    assert sys.modules["openvino_telemetry"] is None


SEVERAL = """
import gc, os, signal
import torch
from linerefine.models.backends import BACKENDS
signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
network, image = torch.nn.Conv2d(1, 1, 3, padding=1).eval(), torch.zeros(1, 1, 32, 32)
runners = [BACKENDS["openvino"].build(network, image) for _ in range(2)]
while runners:
    runners.pop(0)(image)
    gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_is_handled_after_networks_on_openvino_were_dropped():
    here("openvino")
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("handled\n", 0), done.stderr


def test_backends_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BACKENDS["eager"].name = "other"
