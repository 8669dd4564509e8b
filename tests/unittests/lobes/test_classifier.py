"""The read-outs, by NumPy."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn import PLIFClassifier

COUNTS = [12, 5]


def classify(n_classes=3, **options):
    """(result, its weights, its hidden spikes)."""
    torch.manual_seed(0)
    head = PLIFClassifier(6, n_classes, **options).double()
    for p in head.parameters():
        torch.nn.init.normal_(p)
    spikes = []
    head.hidden.register_forward_hook(lambda _, __, s: spikes.append(s))
    x = torch.randn(2, 12, 6, dtype=torch.float64) + 0.5
    result = head(x, torch.tensor(COUNTS) / 12).detach().numpy()
    weights = {k: v.numpy() for k, v in head.state_dict().items()}
    return result, weights, spikes[0].detach().numpy()


def test_membrane_readout_averages_membranes_that_leak():
    result, w, spikes = classify(readout="membrane")
    decay = 1 / (1 + np.exp(-w["output.w"]))
    for row, n in enumerate(COUNTS):
        current = spikes[row, :n] @ w["linear.weight"].T + w["linear.bias"]
        u, membranes = np.zeros(3), []
        for i in current:
            u = decay * u + i
            membranes.append(u)
        np.testing.assert_allclose(result[row], np.mean(membranes, 0))


@pytest.mark.parametrize("readout", ["spike", "membrane"])
def test_logit_scale_multiplies_the_result(readout):
    plain, *_ = classify(readout=readout)
    scaled, *_ = classify(readout=readout, logit_scale=10.0)
    assert plain.any()
    np.testing.assert_allclose(scaled, 10 * plain)


def test_another_readout_is_named():
    with pytest.raises(ValueError, match="'spike' or 'membrane', got 'rate'"):
        PLIFClassifier(6, 3, readout="rate")
