"""Spiking sparse linear attention (eq. 7 to 9), against the quadratic form
(Q softmax(K)^T) V in float64.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_ptssnn import SpikingSparseLinearAttention
from speechbrain_ptssnn.nnet.attention import PromptsAlone
from speechbrain_ptssnn.nnet.plif import SingleStepPLIF

V_THRESHOLD = 1.0


def quadratic(attention, x):
    """One utterance, [time, size], without padding; eval mode, fresh norm."""
    weights = {k: v.double().numpy() for k, v in attention.state_dict().items()}
    prompts = attention.prompts.detach().double().numpy()
    tokens = np.concatenate([prompts, x.double().numpy()])
    spikes = np.where(tokens >= V_THRESHOLD, 1.0, 0.0)
    q, k, v = (
        spikes @ weights[f"{name}.weight"].T
        for name in ("query", "key", "value")
    )
    e = np.exp(k - k.max(0))
    scores = q @ (e / e.sum(0)).T
    assert scores.shape == (len(tokens), len(tokens))
    output = scores @ v
    # The features' BatchNorm, whose running statistics are still 0 and 1.
    n, eps = len(prompts), attention.norm.eps if attention.norm else 0
    return output[:n], output[n:] / np.sqrt(1 + eps)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("padding", [0.0, 1e3])
@pytest.mark.parametrize("key_size", [None, 16])
def test_equals_the_quadratic_form_of_each_utterance_alone(
    key_size, padding, norm
):
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(
        16, key_size=key_size, norm=norm
    ).eval()
    torch.nn.init.normal_(attention.key.weight)
    counts = [30, 11, 1]
    x = torch.randn(3, 30, 16) * 0.5 + 0.8
    for row, n in zip(x, counts, strict=True):
        row[n:] = padding
    with torch.no_grad():
        prompts, features = attention(x, torch.tensor(counts) / 30)
    assert prompts.shape == (3, 5, 16)
    assert features.shape == (3, 30, 16)
    for row, n in enumerate(counts):
        expected = quadratic(attention, x[row, :n])
        np.testing.assert_allclose(prompts[row], expected[0], atol=1e-5)
        np.testing.assert_allclose(features[row, :n], expected[1], atol=1e-5)


def test_prompts_stand_in_front_and_come_back_first():
    attention = SpikingSparseLinearAttention(4, n_prompts=2).eval()
    with torch.no_grad():
        attention.prompts.zero_()  # silent: their query is 0
        prompts, features = attention(torch.ones(1, 3, 4))
    assert prompts.eq(0).all()
    assert features.ne(0).any(-1).all()


def test_prompts_gather_context_from_every_valid_frame():
    attention = SpikingSparseLinearAttention(8).eval()
    x = torch.zeros(1, 6, 8)
    lengths = torch.tensor([5 / 6])
    silent, _ = attention(x, lengths)
    for t in range(6):
        other = x.clone()
        other[0, t] = 1
        changed = not torch.equal(attention(other, lengths)[0], silent)
        assert changed == (t < 5)


def test_column_normalisation_sums_to_one_over_valid_tokens():
    # With equal values v everywhere, softmax(K)^T V is v in each column.
    attention = SpikingSparseLinearAttention(4, n_prompts=1).eval()
    with torch.no_grad():
        attention.prompts.fill_(2.0)
        x = torch.ones(2, 5, 4)
        x[1, 2:] = 0
        prompts, _ = attention(x, torch.tensor([1.0, 0.4]))
        ones = torch.ones(4)
        expected = attention.query(ones).sum() * attention.value(ones)
    torch.testing.assert_close(prompts[:, 0], expected.expand(2, -1))


def test_cost_is_linear_in_the_number_of_tokens():
    attention = SpikingSparseLinearAttention(16, n_prompts=5)
    flops = []
    for n_frames in (95, 195, 395):
        with FlopCounterMode(display=False) as counter:
            attention(torch.rand(1, n_frames, 16))
        flops.append(counter.get_total_flops())
    assert flops[1] == 2 * flops[0]
    assert flops[2] == 4 * flops[0]


def test_projections_have_no_bias_and_prompts_learn():
    attention = SpikingSparseLinearAttention(16, n_prompts=3)
    names = dict(attention.named_parameters())
    assert not {"query.bias", "key.bias", "value.bias"} & set(names)
    prompts, features = attention(torch.rand(2, 9, 16) * 2)
    (prompts.sum() + features.square().sum()).backward()
    assert attention.prompts.grad.abs().sum() > 0
    assert attention.prompts.shape == (3, 16)


def test_fresh_prompts_fire_about_half():
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(256)
    rate = (attention.prompts >= V_THRESHOLD).float().mean(1)
    assert ((rate > 0.35) & (rate < 0.65)).all()


@pytest.mark.parametrize("v_threshold", [0.5, 2.0])
def test_tokens_spike_from_the_threshold_given(v_threshold):
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(
        64, plif=partial(SingleStepPLIF, v_threshold, alpha=5.0)
    )
    rate = (attention.prompts >= v_threshold).float().mean()
    assert 0.4 < rate < 0.6
    below = attention.eval()(torch.full((1, 3, 64), v_threshold - 1e-3))[1]
    at = attention(torch.full((1, 3, 64), v_threshold))[1]
    assert below.eq(0).all()
    assert at.ne(0).any()


@torch.no_grad()
def test_without_prompts_it_is_equation_9_on_the_frames_alone():
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(8, n_prompts=0).eval()
    x = torch.randn(2, 9, 8) + 1
    prompts, features = attention(x, torch.tensor([1.0, 4 / 9]))
    assert prompts.shape == (2, 0, 8)
    for row, n in enumerate((9, 4)):
        _, expected = quadratic(attention, x[row, :n])
        np.testing.assert_allclose(features[row, :n], expected, atol=1e-5)


def test_prompts_alone_look_at_no_frame():
    x = torch.randn(2, 7, 8)
    attention = PromptsAlone(8, n_prompts=5)
    prompts, features = attention(x)
    assert features is x
    for each in prompts:
        assert torch.equal(each, attention.prompts)


@pytest.mark.parametrize("layer", [SpikingSparseLinearAttention, PromptsAlone])
def test_a_negative_number_of_prompts_is_an_error(layer):
    with pytest.raises(ValueError, match=r"n_prompts .*0.* -1"):
        layer(16, n_prompts=-1)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("n_prompts", [0, 5])
@pytest.mark.parametrize("padding", [0.0, 1e3])
@torch.no_grad()
def test_a_causal_frame_equals_the_last_of_the_frames_up_to_it(
    padding, n_prompts, norm
):
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(
        16, n_prompts, norm=norm, causal=True
    ).eval()
    torch.nn.init.normal_(attention.key.weight)
    counts = [30, 11, 1]
    x = torch.randn(3, 30, 16) * 0.5 + 0.8
    for row, n in zip(x, counts, strict=True):
        row[n:] = padding
    prompts, features = attention(x, torch.tensor(counts) / 30)
    assert features.shape == (3, 30, 16)
    assert prompts.shape == ((3, 30, 1, 16) if n_prompts else (3, 0, 16))
    for row, n in enumerate(counts):
        for t in range(n):
            expected = quadratic(attention, x[row, : t + 1])
            np.testing.assert_allclose(
                features[row, t], expected[1][-1], atol=2e-5
            )
            if n_prompts:
                np.testing.assert_allclose(
                    prompts[row, t, 0], expected[0].mean(0), atol=1e-5
                )


@torch.no_grad()
def test_a_causal_frame_sees_no_later_one():
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(16, causal=True).double().eval()
    x = torch.randn(2, 40, 16).double() + 0.8
    prompts, features = attention(x)
    for t in (0, 7, 15, 16, 39):
        other = x.clone()
        other[:, t:] = torch.randn(2, 40 - t, 16) * 3
        now, then = attention(other), (prompts, features)
        for a, b in zip(now, then, strict=True):
            assert torch.equal(a[:, :t], b[:, :t])
            assert not torch.equal(a[:, t:], b[:, t:])


@torch.no_grad()
def test_prompts_follow_every_so_many_frames():
    torch.manual_seed(0)
    attention = SpikingSparseLinearAttention(16, causal=True).eval()
    x = torch.randn(2, 40, 16) + 0.8
    every, features = attention(x)
    attention.bias_period = 7
    some, same = attention(x)
    assert torch.equal(same, features)
    torch.testing.assert_close(some, every[:, ::7])


@pytest.mark.parametrize(("causal", "period"), [(True, 0), (False, 2)])
def test_a_period_that_cannot_be_is_an_error(causal, period):
    with pytest.raises(ValueError, match=f"at least 1.* got {period}"):
        SpikingSparseLinearAttention(16, causal=causal, bias_period=period)
