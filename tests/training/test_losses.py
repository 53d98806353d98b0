import numpy as np
import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss

from linerefine.training.losses import LOSSES, dice_bce_loss, dice_loss


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
