"""LIF and adLIF neurons, by a NumPy loop."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn.nnet.adaptive_lif import ALPHA, BETA, A, AdaptiveLIF, B


def numpy_spikes(layer, current):
    p = {k: v.detach().numpy() for k, v in layer.named_parameters()}
    alpha = np.clip(p["alpha"], *ALPHA)
    u = s = w = np.zeros(current[:, 0].shape)
    spikes = []
    for t in range(current.shape[1]):
        if layer.adaptive:
            w = (
                np.clip(p["beta"], *BETA) * w
                + np.clip(p["a"], *A) * u
                + np.clip(p["b"], *B) * s
            )
        u = alpha * (u - s) + (1 - alpha) * (current[:, t] - w)
        s = np.where(u >= 1, 1.0, 0.0)
        spikes.append(s)
    return np.stack(spikes, 1)


@pytest.mark.parametrize("outside", [0.0, 5.0])  # the bounds hold in training
@pytest.mark.parametrize("adaptive", [False, True])
def test_spikes_equal_a_numpy_loop(adaptive, outside):
    torch.manual_seed(0)
    layer = AdaptiveLIF(7, adaptive).double()
    for p in layer.parameters():
        p.data += outside * torch.randn(7)
    current = np.random.default_rng(0).normal(1, 6, (3, 40, 7))
    spikes = layer(torch.from_numpy(current)).detach().numpy()
    np.testing.assert_array_equal(spikes, numpy_spikes(layer, current))
    assert 0.02 < spikes.mean() < 0.6


def test_adaptation_lowers_the_rate_of_a_constant_current():
    layer = AdaptiveLIF(1)
    with torch.no_grad():
        layer.a.fill_(0.5)
        layer.b.fill_(2.0)
    plain = AdaptiveLIF(1, adaptive=False)
    plain.alpha.data.copy_(layer.alpha)
    current = torch.full((1, 60, 1), 8.0)
    assert layer(current).sum() < plain(current).sum()


def test_gradient_is_a_box_around_the_threshold():
    layer = AdaptiveLIF(1, adaptive=False)
    layer.alpha.data.fill_(0.9)
    # u = 0.4, 0.6, 1.4, 1.6 in the only frame
    current = torch.tensor([4.0, 6.0, 14.0, 16.0]).view(4, 1, 1)
    spikes = layer(current.requires_grad_())
    assert spikes.flatten().tolist() == [0, 0, 1, 1]
    spikes.sum().backward()
    torch.testing.assert_close(
        current.grad.flatten(), torch.tensor([0.0, 0.1, 0.1, 0.0])
    )


def test_frames_beyond_the_lengths_never_spike():
    spikes = AdaptiveLIF(2)(
        torch.full((2, 10, 2), 50.0), torch.tensor([1, 0.3])
    )
    assert spikes[1, :3].any()
    assert spikes[1, 3:].eq(0).all()
