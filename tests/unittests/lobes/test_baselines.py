"""The baselines, recomputed by NumPy."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn import LinearProbe, VanillaSNN


def test_linear_probe_averages_rectified_frames(batch, run):
    x = 3 * batch.feats
    logits, w = run(LinearProbe(8, 3, size=16), scale=3)
    for row, n in enumerate(batch.counts):
        hidden = x[row, :n] @ w["linear.weight"].T + w["linear.bias"]
        pooled = np.maximum(hidden, 0).mean(0)
        expected = pooled @ w["output.weight"].T + w["output.bias"]
        np.testing.assert_allclose(logits[row], expected, atol=1e-9)


def test_vanilla_snn_feeds_features_into_neurons(batch, run, numpy_plif):
    x = 3 * batch.feats
    rates, w = run(VanillaSNN(8, 3, size=16), scale=3)
    for row, n in enumerate(batch.counts):
        spikes = x[row : row + 1, :n]
        for weights, neuron in (
            ("linear", "classifier.hidden"),
            ("classifier.linear", "classifier.output"),
        ):
            current = spikes @ w[f"{weights}.weight"].T + w[f"{weights}.bias"]
            tau = 1 / (1 + np.exp(-w[f"{neuron}.w"]))
            spikes, _ = numpy_plif(current, tau)
        np.testing.assert_allclose(rates[row], spikes[0].mean(0), atol=1e-12)
    assert 0 < rates.mean() < 1


@pytest.mark.parametrize("head", [VanillaSNN, LinearProbe])
def test_defaults_are_those_of_the_head(head):
    assert head()(torch.randn(2, 5, 768)).shape == (2, 4)
