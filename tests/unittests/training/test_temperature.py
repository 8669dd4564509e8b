import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from speechbrain_ptssnn.training.temperature import fit_temperature

RATES = torch.rand(60, 5, generator=torch.Generator().manual_seed(3))
TARGETS = torch.where(  # three in five are right
    torch.arange(60) % 5 < 3, RATES.argmax(-1), torch.arange(60) % 5
)


def cross_entropy(temperature):
    """Of 60 utterances, and of one more that shows each class a little."""
    posteriors = log_softmax(RATES.double().numpy() / temperature, -1)
    known = posteriors[np.arange(60), TARGETS.numpy()].sum()
    return -(known + posteriors.mean()) / 61


def test_no_temperature_of_a_fine_grid_is_better():
    best = min(np.geomspace(0.01, 100, 20_001), key=cross_entropy)
    found = fit_temperature(RATES, TARGETS)
    assert found == pytest.approx(best, rel=1e-3)
    assert cross_entropy(found) <= cross_entropy(best) + 1e-9


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_it_follows_the_scale_of_the_outputs(scale):
    found = fit_temperature(scale * RATES, TARGETS)
    assert found == pytest.approx(
        scale * fit_temperature(RATES, TARGETS), rel=1e-3
    )


def test_all_right_is_not_certain_and_all_alike_is_flat():
    outputs = torch.tensor([[1.0, 0.0]]).expand(9, 2)
    certain = fit_temperature(outputs, torch.zeros(9, dtype=torch.int64))
    # 9.5 of 10 are right: exp(-1 / T) = 0.5 / 9.5.
    assert certain == pytest.approx(1 / math.log(19), rel=1e-4)
    flat = fit_temperature(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    assert math.isfinite(flat)


def test_the_order_of_the_classes_stays():
    found = fit_temperature(RATES, TARGETS)
    assert torch.equal((RATES / found).argmax(-1), RATES.argmax(-1))
