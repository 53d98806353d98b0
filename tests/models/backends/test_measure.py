"""Speed, accuracy, matrix rate and FLOP of a network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from linerefine.errors import UnknownNameError
from linerefine.models.backends import (
    feature_agreement,
    forward_flops,
    mask_agreement,
    matrix_rate,
    measure_backends,
)


def test_every_row_says_how_fast_and_how_exact(trained, drawn):
    rows = measure_backends(trained, drawn[0], ["channels_last", "fp16"], passes=3)
    assert [row.backend for row in rows] == ["eager", "channels_last", "fp16"]
    eager, folded, half = rows
    assert (eager.speedup, eager.error, eager.agreement) == (1.0, 0.0, 1.0)
    assert 0 < folded.error < 1e-4
    assert folded.agreement > 0.9999
    assert folded.speedup == pytest.approx(eager.milliseconds / folded.milliseconds)
    assert folded.build_seconds > 0
    assert math.isnan(half.milliseconds)
    assert half.obstacle == "half precision needs a GPU; take 'bf16' on a CPU"


def test_an_unknown_backend_is_refused_before_anything_is_measured(trained, drawn):
    with pytest.raises(UnknownNameError, match="no back-end named 'fast'"):
        measure_backends(trained, drawn[0], ["fast"])


def test_the_matrix_rate_is_that_of_a_machine():
    assert 0.5 < matrix_rate(torch.float32, size=512, repeats=3) < 1e6


def test_flops_are_two_per_multiplication_and_addition():
    convolution = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    flops = forward_flops(convolution, torch.zeros(1, 3, 10, 10))
    assert flops == pytest.approx(2 * 3 * 8 * 9 * 100 / 1e9)


def test_features_agree_where_they_differ_by_little_of_their_spread():
    exact = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    exact[:, 1] *= 100
    assert feature_agreement(exact, exact) == 1.0
    moved = exact + exact.std(dim=(0, 2, 3), keepdim=True) * torch.tensor([0.05, 0.19, 0.3]).view(
        1, 3, 1, 1
    )
    assert feature_agreement(moved, exact) == pytest.approx(2 / 3)
    assert feature_agreement(exact.bfloat16().float(), exact) == 1.0


def test_agreement_is_the_share_of_pixels_on_the_same_side_of_zero():
    one = torch.tensor([1.0, -1.0, 0.5, 0.0])
    assert mask_agreement(one, one * 3) == 1.0
    assert mask_agreement(one, -one) == 0.25
