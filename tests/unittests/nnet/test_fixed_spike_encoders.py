"""Delta, rate and latency coding, by hand and against SpikingJelly."""

import pytest
import torch
from spikingjelly.activation_based.encoding import (
    LatencyEncoder,
    PoissonEncoder,
)

from speechbrain_ptssnn.nnet.fixed_spike_encoders import (
    DeltaEncoder,
    LatencyCodes,
    RateEncoder,
    to_unit,
)

ENCODERS = [DeltaEncoder, RateEncoder, LatencyCodes]


def features(batch=3, time=23, size=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, time, size, generator=generator)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_spikes_are_binary_and_padding_changes_none(encoder):
    encoder, x = encoder(4).eval(), features()
    counts = [23, 12, 1]
    spikes = encoder(x, torch.tensor(counts) / 23)
    assert spikes.shape == (3, 23, encoder.output_size)
    assert {*spikes.unique().tolist()} == {0.0, 1.0}
    for row, alone, n in zip(spikes, x, counts, strict=True):
        assert not row[n:].any()
        assert torch.equal(row[:n], encoder(alone[None, :n])[0])


def test_delta_compares_with_the_frame_before():
    x = features()
    spikes = DeltaEncoder(4, threshold=0.5)(x)
    before = torch.cat([torch.zeros(3, 1, 4), x[:, :-1]], 1)
    assert torch.equal(spikes[..., :4].bool(), x - before >= 0.5)
    assert torch.equal(spikes[..., 4:].bool(), before - x >= 0.5)


def test_delta_gives_the_features_a_surrogate_gradient():
    x = torch.tensor([[[0.5]]], requires_grad=True)
    DeltaEncoder(1, threshold=0.5, alpha=4.0)(x)[..., 0].sum().backward()
    assert x.grad.item() == 1.0  # alpha / 4 at the threshold


def test_rate_coding_draws_as_spikingjelly_does():
    encoder, x = RateEncoder(4), features()
    torch.manual_seed(5)
    spikes = encoder(x)
    torch.manual_seed(5)
    assert torch.equal(spikes, PoissonEncoder()(to_unit(x, 2.0)))
    assert not torch.equal(spikes, encoder(x))


def test_rate_coding_has_the_rates_it_should():
    x = torch.full((1, 5000, 1), 0.5)
    for training in (False, True):
        torch.manual_seed(0)
        rate = RateEncoder(1).train(training)(x).mean().item()
        assert rate == pytest.approx(0.625, abs=0.02)


def test_rate_coding_is_the_same_in_every_evaluation():
    encoder, x = RateEncoder(4).eval(), features()
    first = encoder(x)
    torch.manual_seed(99)
    assert torch.equal(encoder(x), first)
    state = torch.get_rng_state()
    encoder(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(RateEncoder(4, seed=1).eval()(x), first)


def test_latency_is_spikingjellys_in_each_group():
    x = features()
    spikes = LatencyCodes(4, n_frames=5)(x)
    for start in range(0, 23, 5):
        group = spikes[:, start : start + 5]
        encoder = LatencyEncoder(5)
        unit = to_unit(x[:, start], 2.0)
        expected = torch.stack([encoder(unit) for _ in range(5)], 1)
        assert torch.equal(group, expected[:, : group.shape[1]])
    whole = spikes[:, :20].unflatten(1, (4, 5))
    assert whole.sum(2).eq(1).all()  # one spike a group and channel
