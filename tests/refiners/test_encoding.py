"""Hints as distances and bells, against SciPy's distance transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from linerefine.config import NetworkConfig
from linerefine.errors import RunError
from linerefine.models.onnx import to_onnx
from linerefine.refiners.encoding import channels_of, encode_hints, hint_distances
from linerefine.refiners.options import PromptOptions, UNetOptions
from linerefine.refiners.unet import UNetRefiner

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


def hints_of(*rows: str) -> torch.Tensor:
    signs = {"+": 1.0, "-": -1.0, ".": 0.0}
    return torch.tensor([[[[signs[cell] for cell in row] for row in rows]]])


def distances_by_scipy(hints: np.ndarray) -> np.ndarray:
    found = np.full((len(hints), 2, *hints.shape[-2:]), np.inf)
    for index, (image,) in enumerate(hints):
        for channel, operation in enumerate((1, -1)):
            if (image == operation).any():
                found[index, channel] = distance_transform_edt(image != operation)
    return found


@st.composite
def hint_maps(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 3)), 1, draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    share = draw(st.sampled_from([0.0, 0.003, 0.05, 0.5, 1.0]))
    signs = rng.choice([-1, 1], shape) * (rng.random(shape) < share)
    return signs.astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(hint_maps())
def test_distances_are_scipys(hints):
    found = hint_distances(torch.from_numpy(hints))
    np.testing.assert_array_equal(found.numpy(), distances_by_scipy(hints).astype(np.float32))


@settings(deadline=None, max_examples=40)
@given(hint_maps(), st.floats(0.5, 300), st.floats(0.5, 40))
def test_encodings_are_their_formulas(hints, truncation, sigma):
    far = distances_by_scipy(hints)
    expected = {
        "map": hints,
        "distance": np.minimum(far, truncation) / truncation,
        "gaussian": np.exp(-(far**2) / (2 * sigma**2)),
    }
    for encoding, values in expected.items():
        options = PromptOptions(encoding=encoding, truncation=truncation, sigma=sigma)
        encoded = encode_hints(torch.from_numpy(hints), options)
        assert encoded.dtype == torch.float32
        assert encoded.shape[1] == channels_of(encoding)
        np.testing.assert_allclose(encoded.numpy(), values, rtol=1e-5, atol=1e-6)


def test_without_a_hint_all_is_as_far_as_can_be():
    hints = hints_of("..+", "...")
    add, erase = encode_hints(hints, PromptOptions(encoding="distance"))[0]
    assert add[0].tolist() == pytest.approx([2 / 255, 1 / 255, 0])
    assert (erase == 1).all()
    _, erase = encode_hints(hints, PromptOptions(encoding="gaussian"))[0]
    assert (erase == 0).all()


def test_a_distance_is_cut_where_the_option_says():
    hints = hints_of("+.......-")
    add, erase = encode_hints(hints, PromptOptions(encoding="distance", truncation=4))[0]
    assert add[0].tolist() == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert torch.equal(erase, add.flip(-1))


def test_a_map_is_the_hints_themselves():
    hints = hints_of("+.-")
    assert encode_hints(hints, PromptOptions()) is hints


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_is_kept_and_the_hints_too(dtype):
    hints = hints_of("+..", "..-").to(dtype)
    before = hints.clone()
    assert encode_hints(hints, PromptOptions(encoding="gaussian")).dtype == dtype
    assert torch.equal(hints, before)


@pytest.mark.gpu
@pytest.mark.parametrize("encoding", ["distance", "gaussian"])
def test_a_gpu_gets_the_same(encoding):
    rng = np.random.default_rng(0)
    hints = torch.from_numpy(rng.integers(-1, 2, (3, 1, 48, 64)).astype(np.float32))
    options = PromptOptions(encoding=encoding)
    there = encode_hints(hints.cuda(), options)
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), encode_hints(hints, options))


def served(encoding: str):
    refiner = UNetRefiner(UNetOptions(network=TINY, encoding=encoding))
    return refiner.eval().requires_grad_(requires_grad=False).served()


REFUSED = (
    r"^a refiner that sees hints as distances cannot be exported: they are computed outside "
    r"torch\. Train it with encoding 'map' to export it\.$"
)


def test_a_refiner_that_sees_distances_is_served_but_not_exported():
    module = served("distance")
    example = module.example_input(1, 64)
    assert module(example).shape == (2, 1, 64, 64)
    with pytest.raises(RunError, match=REFUSED):
        to_onnx(module, example)


def test_its_refusal_is_a_tracers_own_kind_of_failure():
    """So that a model registry goes on with its next format."""
    module = served("gaussian")
    with pytest.raises(RuntimeError, match=REFUSED):
        torch.export.export(module, (module.example_input(1),))
