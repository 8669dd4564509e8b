"""Spikes in place of features: the equation by hand, and what it costs."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn import PTSSNN
from speechbrain_ptssnn.energy.operations import count_operations
from speechbrain_ptssnn.energy.pricing import split_operations
from speechbrain_ptssnn.nnet.spiking_input import SpikingInput


def test_each_channel_has_a_neuron_for_each_sign():
    torch.manual_seed(0)
    x = torch.randn(2, 9, 3)
    layer = SpikingInput(3, v_threshold=0.4)
    spikes = layer(x).detach().numpy()
    both = np.concatenate([x, -x], -1).astype(np.float64)
    current = (both - both.mean((0, 1))) / np.sqrt(both.var((0, 1)) + 1e-5)
    u = s = np.zeros((2, 6))
    for t in range(9):
        u = 0.5 * u + current[:, t] - 0.4 * s
        s = (u >= 0.4).astype(float)
        np.testing.assert_array_equal(spikes[:, t], s)


def test_first_product_of_the_head_is_made_of_accumulations():
    torch.manual_seed(0)
    head = PTSSNN(8, 3, hidden_size=6, size=4, spiking_input=True)
    feats = torch.randn(4, 30, 8)
    head(feats)  # running statistics of these features
    head.eval()
    rows = count_operations(head, feats[:1])
    with torch.no_grad():
        spikes = head.spiking_input(head.saturation(feats[:1]))
    assert 0.05 < spikes.mean() < 0.5
    first = {
        row.weights: pair
        for row, pair in zip(rows, split_operations(rows), strict=True)
        if row.name == "encoder.blocks.0" and row.weights
    }
    assert len(first) == 2  # as they stand, and shifted
    for (macs, acs), n_channels in zip(first.values(), (16, 4), strict=True):
        assert macs == 0
        # A channel's last spike is not shifted into the utterance.
        n = spikes[:, : 30 - (n_channels == 4), :n_channels].sum().item()
        assert acs == pytest.approx(6 * n)
