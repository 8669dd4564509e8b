"""The objective (eq. 14 to 18)."""

import math

import pytest
import torch
from torch.nn import functional

from speechbrain_ptssnn import FocalSmoothingLoss


# o = (ln 3, 0), so p = (3/4, 1/4); ln p = (-0.287682, -1.386294).
# y = 0: focal  0.8 * (1/4)^2.5 * 0.287682 = 0.8 * 0.03125 * 0.287682
#               = 0.007192
#        smooth (0.94, 0.06): 0.94 * 0.287682 + 0.06 * 1.386294 = 0.353599
#        loss   0.7 * 0.007192 + 0.3 * 0.353599 = 0.111114
# y = 1: focal  0.8 * (3/4)^2.5 * 1.386294 = 0.8 * 0.487139 * 1.386294
#               = 0.540255
#        smooth (0.06, 0.94): 0.06 * 0.287682 + 0.94 * 1.386294 = 1.320378
#        loss   0.7 * 0.540255 + 0.3 * 1.320378 = 0.774292
@pytest.mark.parametrize(
    ("targets", "expected"),
    [([0], 0.111114), ([1], 0.774292), ([0, 1], 0.442703)],
)
def test_loss_is_the_one_worked_by_hand(targets, expected):
    rates = torch.tensor([[math.log(3), 0.0]]).expand(len(targets), 2)
    loss = FocalSmoothingLoss()(rates, torch.tensor(targets))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, abs=1e-6)


SETTINGS = [
    {},
    {"gamma": 0.0},
    {"epsilon": 0.0},
    {"focal_weight": 0.0},
    {"smoothing_weight": 0.0},
    {"alpha": 0.3, "gamma": 1.0, "epsilon": 0.4},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_loss_and_gradient_equal_the_formulas(settings):
    torch.manual_seed(0)
    rates = torch.rand(6, 4, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 3, 3, 0])
    loss = FocalSmoothingLoss(**settings)(rates, targets)

    defaults = {
        "alpha": 0.8,
        "gamma": 2.5,
        "epsilon": 0.12,
        "focal_weight": 0.7,
        "smoothing_weight": 0.3,
    }
    a, g, e, l1, l2 = (defaults | settings).values()
    p = rates.exp() / rates.exp().sum(1, keepdim=True)
    y = functional.one_hot(targets, 4)
    p_y = (p * y).sum(1)
    focal = -a * (1 - p_y) ** g * p_y.log()
    smoothed = -((y * (1 - e) + e / 4) * p.log()).sum(1)
    expected = (l1 * focal + l2 * smoothed).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, rates), torch.autograd.grad(expected, rates)
    )


@pytest.mark.parametrize("target", [0, 1])
def test_certain_logits_give_finite_loss_and_gradient(target):
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = FocalSmoothingLoss()(logits, torch.tensor([target]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("rates", "targets"), [((4,), (4,)), ((2, 4), (3,)), ((2, 4), (2, 1))]
)
def test_shapes_that_do_not_match_are_named(rates, targets):
    with pytest.raises(ValueError, match=r"\[batch, classes\].*\[\d.*\[\d"):
        FocalSmoothingLoss()(
            torch.zeros(rates), torch.zeros(targets, dtype=torch.long)
        )
