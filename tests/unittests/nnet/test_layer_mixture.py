import pytest
import torch

from speechbrain_ptssnn import PTSSNN, LinearProbe, VanillaSNN
from speechbrain_ptssnn.nnet.layer_mixture import LayerMixture


def test_weights_are_the_softmax_of_the_logits():
    mixture = LayerMixture(2)
    states = torch.randn(3, 5, 2, 4)
    assert torch.allclose(mixture(states.flatten(2)), states.mean(2))
    mixture.logits.data = torch.tensor([3.0, 1.0]).log()
    expected = 0.75 * states[:, :, 0] + 0.25 * states[:, :, 1]
    assert torch.allclose(mixture(states.flatten(2)), expected)


@pytest.mark.parametrize("make", [PTSSNN, VanillaSNN, LinearProbe])
def test_a_head_learns_the_mixture_and_counts_it(make):
    single, mixed = make(input_size=8), make(input_size=24, n_layers=3)
    count = {
        head: sum(p.numel() for p in head.parameters())
        for head in (single, mixed)
    }
    assert count[mixed] == count[single] + 3
    mixed(torch.randn(2, 20, 24)).sum().backward()
    assert mixed.mixture.logits.grad.abs().max() > 0
