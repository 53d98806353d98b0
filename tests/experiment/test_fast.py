"""The back-ends of a run: written down, taken up again, never swapped in silence."""

from __future__ import annotations

import pytest
import torch

from linerefine.config import InferenceConfig, NetworkConfig
from linerefine.errors import DeviceError
from linerefine.events import Note
from linerefine.experiment.fast import FILE, FastNetworks
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.notifier import Notifier
from linerefine.models.backends import Choice
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.anchored import Anchored
from linerefine.refiners.base import Prompt
from linerefine.refiners.manual import Manual
from linerefine.refiners.options import AnchoredOptions

CPU = torch.device("cpu")
TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    return Segmenter(build_network(TINY, 1)).eval()


class Run:
    """A run folder and what was said in it."""

    def __init__(self, path):
        self.folder = RunFolder(path)
        self.notes = []

    def networks(self, **settings):
        def hear(event):
            if isinstance(event, Note):
                self.notes.append(event.message)

        config = InferenceConfig(**settings)
        return FastNetworks(config, CPU, Notifier([hear]), self.folder)

    def ask(self, fast, name, module, **more):
        image = torch.ones(1, 1, 64, 64)
        with fast.running(name, module, **more), torch.inference_mode():
            return module(image)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_choice_is_said_and_written_once(run, segmenter):
    fast = run.networks(backend="channels_last")
    for _ in range(2):
        run.ask(fast, "segmenter", segmenter)
    assert run.notes == ["segmenter runs on channels_last (asked for)"]
    stored = run.folder.read_json(FILE)["segmenter"]["network"]
    assert (stored["backend"], stored["shape"]) == ("channels_last", [1, 1, 64, 64])


def test_a_run_that_goes_on_takes_up_what_it_was_begun_with(run, segmenter):
    first = run.ask(run.networks(backend="packed"), "segmenter", segmenter)
    again = run.ask(run.networks(backend="auto"), "segmenter", segmenter)
    assert torch.equal(first, again)
    assert run.notes[-1].startswith("segmenter runs on packed")


def test_a_backend_that_is_gone_is_an_error_with_the_remedy(run, segmenter, monkeypatch):
    run.ask(run.networks(backend="channels_last"), "segmenter", segmenter)
    content = run.folder.read_json(FILE)
    content["segmenter"]["network"]["backend"] = "openvino"
    run.folder.write_json(FILE, content)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = (
        r"back-end 'openvino' cannot be used: openvino is not installed; run (uv )?pip install "
        r"'linerefine\[openvino\]'\. segmenter\.network was run on it before in this run\. .*"
        r"delete .*backends\.json\."
    )
    with pytest.raises(DeviceError, match=message):
        run.ask(run.networks(backend="auto"), "segmenter", segmenter)


def test_little_to_do_is_left_alone_and_that_too_is_kept(run, segmenter):
    exact = segmenter.network.body
    fast = run.networks()
    with torch.inference_mode():
        wanted = exact(torch.ones(1, 1, 64, 64))
    assert torch.equal(run.ask(fast, "segmenter", segmenter, calls=3), wanted)
    assert run.notes == ["segmenter runs on eager (little to do)"]
    assert torch.equal(run.ask(run.networks(), "segmenter", segmenter, calls=10**9), wanted)


def test_of_two_networks_it_says_which(run):
    refiner = Anchored(AnchoredOptions(network=TINY), channels=1)
    zeros = torch.zeros(1, 1, 64, 64)
    with (
        run.networks(backend="channels_last").running("anchored", refiner.eval()),
        torch.inference_mode(),
    ):
        refiner(zeros, Prompt(zeros, zeros, zeros))
    assert run.notes == [
        "anchored, its network, runs on channels_last (asked for)",
        "anchored, its branch, runs on channels_last (asked for)",
    ]
    assert set(run.folder.read_json(FILE)["anchored"]) == {"network", "branch"}


def test_a_network_that_no_backend_ran_when_the_run_was_begun_stays_eager(run):
    refiner = Anchored(AnchoredOptions(network=TINY), channels=1).eval()
    recorded = Choice("channels_last", "asked for", (1, 1, 64, 64)).to_dict()
    run.folder.write_json(FILE, {"anchored": {"network": recorded}})
    zeros = torch.zeros(1, 1, 64, 64)
    fast = run.networks(backend="packed")
    with fast.running("anchored", refiner), torch.inference_mode():
        refiner(zeros, Prompt(zeros, zeros, zeros))
    assert run.notes == ["anchored, its branch, runs on eager (asked for)"]


def test_a_module_without_a_network_is_said_to_run_as_it_is(run):
    with run.networks(backend="bf16" if _bf16() else "packed").running("manual", Manual()):
        pass
    assert run.notes[0].startswith("manual runs eagerly: it holds no network that back-end '")


def test_outside_the_block_the_network_is_its_own(run, segmenter):
    fast = run.networks(backend="channels_last")
    run.ask(fast, "segmenter", segmenter)
    assert segmenter.network.fast is None


def test_a_backend_that_cannot_run_is_refused_before_the_work(run):
    with pytest.raises(DeviceError, match="back-end 'cuda_graph' cannot be used: CUDA graphs need"):
        run.networks(backend="cuda_graph")


def _bf16() -> bool:
    from linerefine.models.device import has_native_bf16

    return has_native_bf16()
