"""The homeostatic bias generator (eq. 10 to 12)."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn import HomeostaticBiasGenerator


def test_bias_is_exactly_zero_at_initialisation():
    bias = HomeostaticBiasGenerator(16, 4)(torch.randn(3, 5, 16) * 100)
    assert bias.shape == (3, 16)
    assert bias.eq(0).all()


@pytest.mark.parametrize("kappa", [0.4, 0.5, 1.0])
def test_bias_is_equations_10_and_11(kappa):
    rng = np.random.default_rng(0)
    w_down, b_1 = rng.normal(size=(4, 16)), rng.normal(size=4)
    w_up, b_2 = rng.normal(size=(16, 4)), rng.normal(size=16)
    prompts = rng.normal(size=(3, 5, 16))
    generator = HomeostaticBiasGenerator(16, 4, kappa).double()
    weights = map(torch.from_numpy, (w_down, b_1, w_up, b_2))
    for p, value in zip(generator.parameters(), weights, strict=True):
        p.data = value
    c = prompts.sum(1) / 5
    expected = kappa * np.tanh(np.maximum(c @ w_down.T + b_1, 0) @ w_up.T + b_2)
    bias = generator(torch.from_numpy(prompts)).detach().numpy()
    np.testing.assert_allclose(bias, expected, atol=1e-12)
    assert np.abs(bias).max() > 0.5 * kappa


def test_bias_stays_within_kappa():
    generator = HomeostaticBiasGenerator(16, 4, kappa=0.3)
    torch.nn.init.normal_(generator.up.weight, std=1e3)
    bias = generator(torch.randn(8, 5, 16))
    assert bias.abs().max() <= 0.3
    assert bias.min() < 0 < bias.max()


def test_gradient_leaves_the_zero_start():
    generator = HomeostaticBiasGenerator(16, 4)
    generator(torch.randn(8, 5, 16)).sum().backward()
    assert generator.up.weight.grad.abs().sum() > 0
    assert generator.up.bias.grad.abs().sum() > 0


def generator_with_bias(**options):
    torch.manual_seed(0)
    generator = HomeostaticBiasGenerator(16, 4, **options)
    torch.nn.init.normal_(generator.up.weight)
    return generator


def test_dropout_takes_whole_biases_away_in_training():
    prompts = torch.randn(4000, 5, 16)
    full = generator_with_bias()(prompts)
    bias = generator_with_bias(dropout=0.25)(prompts)
    lost = bias.eq(0).all(1) & full.ne(0).any(1)
    assert torch.equal(bias[~lost], full[~lost])
    assert lost.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_dropout_leaves_evaluation_alone():
    prompts = torch.randn(8, 5, 16)
    generator = generator_with_bias(dropout=0.5).eval()
    assert torch.equal(generator(prompts), generator_with_bias()(prompts))


def test_dropout_starts_as_identity():
    bias = HomeostaticBiasGenerator(16, 4, dropout=0.5)(torch.randn(3, 5, 16))
    assert bias.eq(0).all()


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5])
def test_a_dropout_out_of_range_is_named(dropout):
    with pytest.raises(ValueError, match=rf"\[0, 1\), got {dropout}"):
        HomeostaticBiasGenerator(16, 4, dropout=dropout)


@pytest.mark.parametrize("training", [True, False])
def test_a_bias_of_each_frame_is_that_of_its_prompts(training):
    generator = HomeostaticBiasGenerator(16, 32, dropout=0.5).train(training)
    torch.nn.init.normal_(generator.up.weight)
    prompts = torch.randn(20, 3, 1, 16)
    torch.manual_seed(0)
    bias = generator(prompts)
    assert bias.shape == (20, 3, 16)
    for t in range(3):
        torch.manual_seed(0)  # an utterance has a bias in all frames or none
        torch.testing.assert_close(bias[:, t], generator(prompts[:, t]))
    silent = bias.eq(0).all(-1).float().mean().item()
    assert (0.1 < silent < 0.9) if training else silent == 0
