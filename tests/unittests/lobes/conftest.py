"""What the tests that recompute a head by NumPy share."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch


@pytest.fixture
def batch():
    """Three utterances of 30, 12 and 1 valid frames, of 8 channels."""
    counts = [30, 12, 1]
    return SimpleNamespace(
        feats=np.random.default_rng(0).normal(0, 1, (3, 30, 8)),
        counts=counts,
        lengths=torch.tensor(counts) / 30,
    )


@pytest.fixture
def run(batch):
    """Runs a head on that batch, its features scaled, with random weights.

    It gives the outputs and the weights, in float64.
    """

    def run_head(head, scale=1):
        torch.manual_seed(0)
        for p in head.parameters():
            torch.nn.init.normal_(p, std=0.5)
        feats = torch.from_numpy(batch.feats * scale)
        output = head.double().eval()(feats, batch.lengths)
        weights = {k: v.numpy() for k, v in head.state_dict().items()}
        return output.detach().numpy(), weights

    return run_head
