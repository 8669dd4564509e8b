"""The spike function (eq. 2) and its surrogate gradient (section IV.A)."""

import pytest
import torch

from speechbrain_ptssnn.nnet.surrogate import spike


def test_fires_from_zero_on():
    x = torch.tensor([-1e9, -1.0, -1e-7, 0.0, 1e-7, 1.0, 1e9])
    assert spike(x).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("alpha", [1.0, 5.0, 12.0])
def test_gradient_is_that_of_the_sigmoid_by_finite_differences(alpha):
    x = torch.linspace(-3, 3, 61, dtype=torch.double, requires_grad=True)
    upstream = torch.linspace(-1, 2, 61, dtype=torch.double)
    spike(x, alpha).backward(upstream)
    h, at = 1e-5, x.detach()
    slope = torch.sigmoid(alpha * (at + h)) - torch.sigmoid(alpha * (at - h))
    torch.testing.assert_close(
        x.grad, upstream * slope / (2 * h), rtol=1e-7, atol=1e-8
    )


def test_default_steepness_is_the_papers():
    x = torch.zeros(1, requires_grad=True)
    spike(x).backward()
    assert x.grad.item() == 5 / 4


def test_gradient_far_from_threshold_is_zero_not_nan():
    x = torch.tensor([-1e4, 1e4, 1e30], requires_grad=True)
    spike(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
