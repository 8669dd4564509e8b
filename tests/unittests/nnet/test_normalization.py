"""Normalisations, against torch's and NumPy's on the valid frames."""

import numpy as np
import pytest
import torch

from speechbrain_ptssnn import SoftSaturation
from speechbrain_ptssnn.nnet.normalization import FeatureNorm, MaskedBatchNorm

COUNTS = [9, 4, 1]
LENGTHS = torch.tensor(COUNTS) / 9


def valid(x):
    """The valid frames, end to end."""
    return torch.cat([row[:n] for row, n in zip(x, COUNTS, strict=True)])


def batch_norms():
    """Ours, and torch's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = MaskedBatchNorm(5), torch.nn.BatchNorm1d(5, momentum=None)
    for norm in (ours, theirs):
        norm.weight.data = torch.linspace(0.5, 1.5, 5)
        norm.bias.data = torch.linspace(-1, 1, 5)
    return ours, theirs


def padded(padding=0.0):
    x = torch.randn(3, 9, 5) * 3 + 2
    for row, n in zip(x, COUNTS, strict=True):
        row[n:] = padding
    return x


@pytest.mark.parametrize("padding", [0.0, 1e3])
def test_batch_norm_is_torchs_on_the_valid_frames(padding):
    ours, theirs = batch_norms()
    x, upstream = padded(padding).requires_grad_(), torch.randn(3, 9, 5)
    y, expected = valid(ours(x, LENGTHS)), theirs(valid(x))
    torch.testing.assert_close(y, expected)
    gradients = [
        torch.autograd.grad(
            (out * valid(upstream)).sum(), [x, *norm.parameters()]
        )
        for out, norm in ((y, ours), (expected, theirs))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(valid(ours(x, LENGTHS)), theirs(valid(x)))


@pytest.mark.parametrize("lengths", [None, torch.ones(3)])
def test_batch_norm_without_padding_is_torchs(lengths):
    ours, theirs = batch_norms()
    x = torch.randn(3, 9, 5)
    expected = theirs(x.flatten(0, 1)).view_as(x)
    torch.testing.assert_close(ours(x, lengths), expected)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_running_statistics_average_the_first_batches_then_follow():
    # torch's momentum=None is the plain average; 1 / 10 is the default.
    ours, theirs = batch_norms()
    for step in range(14):
        x = padded(1e3) * (step + 1)
        theirs.momentum = None if step < 10 else 0.1
        ours(x, LENGTHS), theirs(valid(x))
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_running_statistics_resume_from_a_checkpoint_and_rest_in_eval():
    ours, _ = batch_norms()
    for _ in range(3):
        ours(padded(), LENGTHS)
    resumed = MaskedBatchNorm(5)
    resumed.load_state_dict(ours.state_dict())
    resumed.eval()(padded(), LENGTHS)
    resumed.train()
    x = padded()
    ours(x, LENGTHS), resumed(x, LENGTHS)
    torch.testing.assert_close(
        resumed.state_dict(), ours.state_dict(), rtol=0, atol=0
    )


def test_batch_norm_is_left_alone_by_sync_conversion():
    norm = torch.nn.Sequential(MaskedBatchNorm(2))
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    assert type(converted[0]) is MaskedBatchNorm


@pytest.mark.parametrize("scale", [0.1, 0.7])
def test_soft_saturation_is_tanh_of_a_scaled_layer_norm(scale):
    x = np.random.default_rng(0).normal(5, 40, (2, 3, 16))
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    expected = np.tanh(scale * centred / np.sqrt(variance + 1e-5))
    y = SoftSaturation(16, scale).double()(torch.from_numpy(x))
    np.testing.assert_allclose(y.detach().numpy(), expected, atol=1e-12)


def test_without_its_norm_soft_saturation_keeps_the_level():
    x = torch.randn(2, 5, 8)
    saturation = SoftSaturation(8, scale=0.3, layer_norm=False)
    torch.testing.assert_close(saturation(x), (0.3 * x).tanh())
    assert not list(saturation.parameters())
    assert saturation(2 * x).abs().sum() > saturation(x).abs().sum()


def test_soft_saturation_bounds_outliers():
    x = torch.randn(1, 4, 64)
    x[0, 0, 0] = 1e6
    y = SoftSaturation(64)(x)
    # LayerNorm of 64 channels is at most sqrt(63), tanh(0.1 * 7.94) = 0.66.
    assert y.isfinite().all()
    assert y.abs().max() < 0.67


def test_feature_norm_standardises_over_all_training_frames():
    features = [torch.randn(n, 4) * 5 + 300 for n in (7, 30, 1)]
    norm = FeatureNorm(4)
    assert torch.equal(norm(features[0]), features[0])
    norm.fit(iter(features))
    frames = torch.cat(features).double().numpy()
    expected = (frames - frames.mean(0)) / frames.std(0)
    out = torch.cat([norm(x) for x in features])
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-3)


def test_feature_norm_is_in_the_checkpoint_but_not_trained():
    norm, other = FeatureNorm(2), FeatureNorm(2)
    norm.fit([torch.randn(5, 2)])
    other.load_state_dict(norm.state_dict())
    x = torch.randn(1, 3, 2)
    assert torch.equal(norm(x), other(x))
    assert not list(norm.parameters())


def test_feature_norm_of_a_constant_channel_is_finite():
    norm = FeatureNorm(1)
    norm.fit([torch.full((5, 1), 3.0)])
    assert norm(torch.full((1, 1, 1), 3.0)).item() == 0.0


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "no training frame"),
        ([torch.zeros(0, 2)], "no training frame"),
        ([torch.tensor([[1.0, float("nan")]])], "finite"),
        ([torch.tensor([[float("inf"), 1.0]])], "finite"),
    ],
)
def test_feature_norm_refuses_what_has_no_statistics(features, message):
    norm = FeatureNorm(2)
    with pytest.raises(ValueError, match=message):
        norm.fit(features)
    assert norm.mean.eq(0).all()
    assert norm.std.eq(1).all()


def test_a_speakers_own_statistics():
    corpus = [torch.randn(9, 3), 4 + torch.randn(8, 3)]
    speaker = [7 * torch.randn(n, 3) - 5 for n in (6, 11)]
    norm = FeatureNorm(3, clip=2.5, rule="speaker")
    norm.fit(corpus)
    adapted = norm.adapted(iter(speaker))
    frames = torch.cat(speaker).double().numpy()
    expected = (frames - frames.mean(0)) / frames.std(0)
    out = torch.cat([adapted(x) for x in speaker])
    np.testing.assert_allclose(out, expected.clip(-2.5, 2.5), atol=1e-5)
    assert norm.by_speaker
    alone = FeatureNorm(3, clip=2.5)  # a speaker nobody adapted to
    alone.fit(corpus)
    assert torch.equal(norm(speaker[0]), alone(speaker[0]))


def test_without_a_rule_nothing_is_standardised():
    norm = FeatureNorm(3, rule="none")
    norm.fit(iter([]))  # not even read
    x = torch.randn(4, 3)
    assert torch.equal(norm(x), x)
    assert not norm.by_speaker


def test_a_channel_that_is_constant_keeps_the_training_deviation():
    norm = FeatureNorm(2, rule="speaker")
    norm.fit([torch.tensor([[0.0, 0.0], [4.0, 6.0]])])
    one = torch.tensor([[1.0, 2.0]])  # one recording's functionals
    adapted = norm.adapted([one])
    assert torch.equal(adapted(one[None])[0], torch.zeros(1, 2))
    other = adapted(torch.tensor([[[3.0, 5.0]]]))
    assert other.tolist() == [[[1.0, 1.0]]]
