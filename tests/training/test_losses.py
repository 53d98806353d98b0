from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import DiceLoss

from linerefine.config import TrainingConfig
from linerefine.training.losses import (
    LOSSES,
    cldice_loss,
    cross_entropy,
    dice_bce_loss,
    dice_loss,
    generalised_dice_loss,
    soft_cldice_loss,
    tversky_loss,
)

from .references import plain_soft_skeleton

BLIND_WITHOUT_LINES = {"dice", "tversky", "cldice", "soft_cldice"}
"""Losses that say nothing about a batch without line pixels."""


def batch(seed=0, shape=(3, 1, 8, 8)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator) * 3
    target = torch.rand(shape, generator=generator) > 0.7
    roi = torch.rand(shape, generator=generator) > 0.3
    return logits, target, roi


def test_dice_equals_the_one_the_authors_used_where_everything_counts():
    logits, target, _ = batch()
    expected = DiceLoss("binary", from_logits=True)(logits, target.long())
    got = dice_loss(logits, target, torch.ones_like(target))
    torch.testing.assert_close(got, expected)


def test_dice_inside_a_roi_equals_the_authors_with_the_rest_ignored():
    logits, target, roi = batch()
    ignored = target.long().masked_fill(~roi, 255)
    expected = DiceLoss("binary", from_logits=True, ignore_index=255)(logits, ignored)
    torch.testing.assert_close(dice_loss(logits, target, roi), expected)


def test_dice_is_pooled_over_the_batch_not_averaged():
    logits, target, roi = batch()
    single = torch.stack(
        [dice_loss(*(part[k : k + 1] for part in (logits, target, roi))) for k in range(3)]
    )
    assert not torch.isclose(dice_loss(logits, target, roi), single.mean())


def test_dice_of_a_perfect_prediction_is_zero_and_of_its_opposite_one():
    _, target, roi = batch()
    logits = (target.float() - 0.5) * 200
    assert dice_loss(logits, target, roi) == pytest.approx(0, abs=1e-6)
    assert dice_loss(-logits, target, roi) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_what_lies_outside_the_roi_changes_neither_loss_nor_gradient(name):
    logits, target, roi = batch()
    logits.requires_grad_()
    loss = LOSSES[name](logits, target, roi)
    loss.backward()
    assert torch.all(logits.grad[~roi] == 0)
    other = torch.where(roi, logits, -logits)
    assert LOSSES[name](other, target ^ ~roi, roi) == loss


def test_dice_of_a_batch_without_lines_is_zero_without_gradient():
    logits, target, roi = batch()
    logits.requires_grad_()
    loss = dice_loss(logits, torch.zeros_like(target), roi)
    loss.backward()
    assert loss == 0
    assert torch.all(logits.grad == 0)


def test_cross_entropy_still_teaches_a_batch_without_lines():
    logits, target, roi = batch()
    logits.requires_grad_()
    dice_bce_loss(logits, torch.zeros_like(target), roi).backward()
    assert torch.all(logits.grad[roi] > 0)


def test_cross_entropy_is_the_mean_over_counted_pixels():
    logits, target, roi = batch()
    values, truth = logits[roi].double().numpy(), target[roi].numpy()
    chance = 1 / (1 + np.exp(-values))
    entropy = -np.where(truth, np.log(chance), np.log1p(-chance)).mean()
    got = dice_bce_loss(logits, target, roi) - dice_loss(logits, target, roi)
    assert float(got) == pytest.approx(entropy, rel=1e-5)


def test_a_batch_wholly_outside_the_roi_costs_nothing():
    logits, target, roi = batch()
    assert dice_bce_loss(logits, target, torch.zeros_like(roi)) == 0


def test_losses_are_computed_in_single_precision_whatever_comes_in():
    logits, target, roi = batch(shape=(1, 1, 256, 256))
    assert dice_bce_loss(logits.bfloat16(), target, roi).dtype == torch.float32


# ---------------------------------------------------------------- against plain references


def in_double(logits, target, roi):
    """Return chance of line, truth and ROI as NumPy arrays."""
    chance = 1 / (1 + np.exp(-logits.double().numpy()))
    return chance, target.numpy().astype(float), roi.numpy()


def plain_generalised_dice(chance, truth, roi):
    overlap = total = 0.0
    for line in (True, False):
        volume = shared = mass = 0.0
        for p, t in zip(chance[roi], truth[roi], strict=True):
            p, t = (p, t) if line else (1 - p, 1 - t)
            volume, shared, mass = volume + t, shared + p * t, mass + p + t
        if volume:
            overlap, total = overlap + shared / volume**2, total + mass / volume**2
    return 1 - 2 * overlap / total


def plain_tversky(chance, truth, roi):
    found = superfluous = missing = 0.0
    for p, t in zip(chance[roi], truth[roi], strict=True):
        found, superfluous, missing = (
            found + p * t,
            superfluous + p * (1 - t),
            missing + (1 - p) * t,
        )
    return 1 - found / (found + 0.3 * superfluous + 0.7 * missing)


def plain_cldice(chance, truth, roi):
    precision, sensitivity = [0.0, 0.0], [0.0, 0.0]
    for p, t, inside in zip(chance[:, 0], truth[:, 0], roi[:, 0], strict=True):
        drawn, true = plain_soft_skeleton(p, inside, 8), plain_soft_skeleton(t, inside, 8)
        precision = [precision[0] + (drawn * t)[inside].sum(), precision[1] + drawn.sum()]
        sensitivity = [sensitivity[0] + (true * p)[inside].sum(), sensitivity[1] + true.sum()]
    # Where nothing is left of a skeleton, as of a mask that fills its patch, its share is none.
    first, second = (part / whole if whole else 0.0 for part, whole in (precision, sensitivity))
    return 1 - 2 * first * second / (first + second) if first + second else 1.0


@pytest.mark.parametrize(
    ("loss", "plain"),
    [
        (generalised_dice_loss, plain_generalised_dice),
        (tversky_loss, plain_tversky),
        (cldice_loss, plain_cldice),
    ],
)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(3, 9), cols=st.integers(3, 9))
def test_a_loss_equals_its_formula_worked_out_pixel_by_pixel(loss, plain, seed, rows, cols):
    parts = batch(seed, (2, 1, rows, cols))
    if not (parts[1] & parts[2]).any():
        assert loss is generalised_dice_loss or loss(*parts) == 0
        return
    assert float(loss(*parts)) == pytest.approx(plain(*in_double(*parts)), abs=1e-5)


def test_a_mix_is_the_sum_of_its_parts():
    parts = batch()
    entropy, dice = cross_entropy(*parts), dice_loss(*parts)
    assert torch.equal(LOSSES["tversky_bce"](*parts), tversky_loss(*parts) + entropy)
    assert torch.equal(
        LOSSES["generalised_dice_bce"](*parts), generalised_dice_loss(*parts) + entropy
    )
    mixed = soft_cldice_loss(*parts)
    assert float(mixed) == pytest.approx(float(dice + cldice_loss(*parts)) / 2)
    assert torch.equal(LOSSES["soft_cldice_bce"](*parts), mixed + entropy)
    assert torch.equal(soft_cldice_loss(*parts, alpha=0), dice)


# ---------------------------------------------------------------- laws of all losses


def test_every_loss_has_a_name_in_the_configuration():
    assert set(get_args(TrainingConfig.model_fields["loss"].annotation)) == set(LOSSES)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_perfect_prediction_costs_nothing_and_no_other_costs_less(name):
    logits, target, roi = batch()
    perfect = LOSSES[name]((target.float() - 0.5) * 200, target, roi)
    assert perfect == pytest.approx(0, abs=1e-6)
    assert LOSSES[name](logits, target, roi) > 0.1
    # Topology alone cannot see every opposite, but never likes one.
    assert LOSSES[name]((0.5 - target.float()) * 200, target, roi) > 0.5


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_order_within_a_batch_does_not_matter(name):
    parts = batch(shape=(4, 1, 16, 16))
    order = torch.tensor([2, 0, 3, 1])
    shuffled = LOSSES[name](*(part[order] for part in parts))
    torch.testing.assert_close(shuffled, LOSSES[name](*parts))


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("case", ["usual", "no lines", "only lines", "nothing counts", "extreme"])
def test_gradients_are_finite_whatever_comes(name, case):
    logits, target, roi = batch()
    if case in ("no lines", "only lines"):
        target = torch.full_like(target, case == "only lines")
    if case == "nothing counts":
        roi = torch.zeros_like(roi)
    logits = (logits * 1e4 if case == "extreme" else logits).requires_grad_()
    loss = LOSSES[name](logits, target, roi)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    if case == "usual":
        assert logits.grad[roi].abs().max() > 1e-4
    if case == "nothing counts":
        assert loss == 0
        assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_without_lines_a_loss_teaches_the_background_or_nothing(name):
    logits, target, roi = batch()
    logits.requires_grad_()
    LOSSES[name](logits, torch.zeros_like(target), roi).backward()
    if name in BLIND_WITHOUT_LINES:
        assert (logits.grad == 0).all()
    else:
        assert (logits.grad[roi] > 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_autocast_changes_no_loss(name):
    logits, target, roi = batch(shape=(2, 1, 64, 64))
    rounded = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = LOSSES[name](rounded, target, roi)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, LOSSES[name](rounded.float(), target, roi))


# ---------------------------------------------------------------- what each is for


def test_generalised_dice_without_lines_is_the_dice_of_the_background():
    logits, target, roi = batch()
    none = torch.zeros_like(target)
    expected = dice_loss(-logits, ~none, roi)
    torch.testing.assert_close(generalised_dice_loss(logits, none, roi), expected)


def test_generalised_dice_treats_lines_and_background_alike():
    logits, target, roi = batch()
    swapped = generalised_dice_loss(-logits, ~target, roi)
    torch.testing.assert_close(swapped, generalised_dice_loss(logits, target, roi))


def test_generalised_dice_stays_exact_on_a_batch_as_large_as_they_come():
    shape = (32, 1, 256, 256)
    target = torch.zeros(shape, dtype=torch.bool)
    target[:, :, 100] = True
    inside = torch.ones_like(target)
    logits = (target.float() - 0.5) * 200
    assert generalised_dice_loss(logits, target, inside) == pytest.approx(0, abs=1e-5)
    half = generalised_dice_loss(torch.zeros(shape), target, inside)
    weights = [1 / volume**2 for volume in (32 * 256.0, 32 * 256 * 255.0)]
    overlap = sum(w * v / 2 for w, v in zip(weights, (32 * 256, 32 * 256 * 255), strict=True))
    total = sum(
        w * (v + 32 * 256 * 128) for w, v in zip(weights, (32 * 256, 32 * 256 * 255), strict=True)
    )
    assert float(half) == pytest.approx(1 - 2 * overlap / total, rel=1e-4)


def test_tversky_with_equal_weights_is_dice():
    parts = batch()
    torch.testing.assert_close(tversky_loss(*parts, alpha=0.5, beta=0.5), dice_loss(*parts))


def test_tversky_by_default_forgives_a_false_line_sooner_than_a_missing_one():
    target = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    target[..., 4:6, :] = True
    inside = torch.ones_like(target)
    missing, superfluous = target.clone(), target.clone()
    missing[..., 4, :] = False
    superfluous[..., 9, :] = True
    costs = [
        float(tversky_loss((mask.float() - 0.5) * 200, target, inside))
        for mask in (missing, superfluous)
    ]
    assert costs == pytest.approx([1 - 12 / (12 + 0.7 * 12), 1 - 24 / (24 + 0.3 * 12)])
    assert costs[0] > costs[1]


def test_cldice_minds_a_gap_more_than_as_many_pixels_at_the_side():
    target = torch.zeros(1, 1, 33, 64, dtype=torch.bool)
    target[..., 14:19, :] = True
    inside = torch.ones_like(target)
    gap, thin = target.clone(), target.clone()
    gap[..., 30:43] = False
    thin[..., 14, :] = False
    assert (target ^ gap).sum() == 65
    assert (target ^ thin).sum() == 64
    by_dice = [float(dice_loss((m.float() - 0.5) * 200, target, inside)) for m in (gap, thin)]
    by_topology = [float(cldice_loss((m.float() - 0.5) * 200, target, inside)) for m in (gap, thin)]
    assert by_dice[0] == pytest.approx(by_dice[1], abs=0.01)
    assert by_topology[0] > 0.09
    assert by_topology[1] < 0.02


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_small_network_learns_a_drawn_patch_by_heart(name, drawn):
    sample = drawn(3, (64, 64), faint=0.0)
    image = torch.from_numpy(sample.image)[None]
    target, roi = (torch.from_numpy(part)[None, None] for part in (sample.lines, sample.roi))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, 16, 7, padding=3),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 1, 3, padding=1),
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        loss = LOSSES[name](network(image), target, roi)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = network(image)
    mask = logits > 0
    if name == "cldice":
        # Lines may have any width; their course is right.
        assert cldice_loss(logits, target, roi) < 0.1
    else:
        assert (mask & target).sum() / (mask | target).sum() > 0.85
