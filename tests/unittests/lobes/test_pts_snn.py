"""Encoder, classifier and whole head: equations by NumPy, and sizes."""

from functools import partial

import numpy as np
import pytest
import torch

import speechbrain_ptssnn
from speechbrain_ptssnn import (
    PLIF,
    PTSSNN,
    PLIFClassifier,
    TemporalShiftSpikingEncoder,
)

SHORTCUTS = ["membrane", "spike", "none"]


@torch.no_grad()
def randomise(module, seed=0):
    """Moves all weights and statistics away from their start values."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(0.5 + noise.abs())
        elif value.ndim == 2:
            value.copy_(noise / value.shape[1] ** 0.5)
        elif value.is_floating_point():
            value.add_(0.5 * noise)
    return module.double().eval()


def weights_of(module):
    return {k: v.numpy() for k, v in module.state_dict().items()}


def neurons(decay_reset):
    return partial(PLIF, decay_reset=decay_reset)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("decay_reset", [False, True])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_encoder_is_equation_6(shortcut, decay_reset, numpy_plif):
    encoder = randomise(
        TemporalShiftSpikingEncoder(
            8, 12, 6, shortcut=shortcut, plif=neurons(decay_reset)
        )
    )
    h = np.random.default_rng(0).normal(0.5, 1, (2, 20, 8))
    y = encoder(torch.from_numpy(h)).detach().numpy()

    weights = weights_of(encoder)
    for block in range(2):
        w = {
            k.removeprefix(f"blocks.{block}."): v
            for k, v in weights.items()
            if k.startswith(f"blocks.{block}.")
        }
        n = h.shape[-1] // 4
        shifted = h.copy()
        shifted[:, 0, :n] = 0
        shifted[:, 1:, :n] = h[:, :-1, :n]
        z = shifted @ w["linear.weight"].T + w["linear.bias"]
        z = (z - w["norm.running_mean"]) / np.sqrt(w["norm.running_var"] + 1e-5)
        current = z * w["norm.weight"] + w["norm.bias"]
        if shortcut == "membrane":
            current = current + h @ w["projection.weight"].T
        spikes, _ = numpy_plif(
            current, sigmoid(w["plif.w"]), decay_reset=decay_reset
        )
        assert 0.05 < spikes.mean() < 0.9
        if shortcut == "spike":
            spikes = spikes + h @ w["projection.weight"].T
        h = spikes
    np.testing.assert_allclose(y, h, atol=1e-9)


@pytest.mark.parametrize("shortcut", ["membrane", "none"])
def test_encoder_output_is_binary_unless_the_shortcut_is_spike(shortcut):
    encoder = TemporalShiftSpikingEncoder(8, 12, 6, shortcut=shortcut)
    y = encoder(torch.randn(2, 30, 8) * 3)
    assert set(y.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_encoder_is_causal(shortcut):
    torch.manual_seed(0)
    encoder = randomise(
        TemporalShiftSpikingEncoder(8, 12, 6, shortcut=shortcut)
    )
    x = torch.randn(16, 12, 8).double() + 0.5
    y = encoder(x)
    for t in range(12):
        other = x.clone()
        other[:, t] = torch.randn(16, 8) * 5
        z = encoder(other)
        assert torch.equal(z[:, :t], y[:, :t])
        assert not torch.equal(z[:, t:], y[:, t:])


def test_two_sided_encoder_sees_the_future():
    torch.manual_seed(0)
    encoder = randomise(TemporalShiftSpikingEncoder(8, two_sided_shift=True))
    x = torch.randn(1, 12, 8).double()
    other = x.clone()
    other[:, 6] += 3
    y, z = encoder(x), encoder(other)
    assert torch.equal(z[:, :4], y[:, :4])  # each block sees one frame ahead
    assert not torch.equal(z[:, 4:6], y[:, 4:6])


def test_padded_frames_of_the_encoder_are_zero():
    for shortcut in SHORTCUTS:
        encoder = TemporalShiftSpikingEncoder(8, 12, 6, shortcut=shortcut)
        y = encoder(torch.randn(2, 10, 8) + 2, torch.tensor([1.0, 0.4]))
        assert y[1, 4:].eq(0).all()
        assert y[1, :4].ne(0).any()


@pytest.mark.parametrize("decay_reset", [False, True])
def test_classifier_counts_spikes_over_the_valid_frames(
    decay_reset, numpy_plif
):
    classifier = randomise(PLIFClassifier(12, 3, neurons(decay_reset)))
    counts = [40, 25, 1]
    x = np.random.default_rng(0).normal(0.8, 1, (3, 40, 12))
    lengths = torch.tensor(counts) / 40
    rates = classifier(torch.from_numpy(x), lengths).detach().numpy()
    w = weights_of(classifier)
    for row, n in enumerate(counts):
        hidden, _ = numpy_plif(
            x[row : row + 1, :n], sigmoid(w["hidden.w"]), 1.0, decay_reset
        )
        current = hidden @ w["linear.weight"].T + w["linear.bias"]
        spikes, _ = numpy_plif(
            current, sigmoid(w["output.w"]), 1.0, decay_reset
        )
        np.testing.assert_allclose(rates[row], spikes[0].sum(0) / n, atol=1e-12)
    assert 0 < rates.mean() < 1
    assert 0 < rates[1].max() < 1


def test_head_is_its_parts_in_the_papers_order():
    torch.manual_seed(0)
    head = randomise(PTSSNN(10, 3, hidden_size=12, size=8, bias_hidden=4))
    x = torch.randn(4, 30, 10).double() * 5
    lengths = torch.tensor([1.0, 0.5, 0.9, 0.1])
    encoded = head.encoder(head.saturation(x), lengths)  # eq. 5, 6
    prompts, features = head.attention(encoded, lengths)  # eq. 7 to 9
    bias = head.bias_generator(prompts)  # eq. 10, 11
    assert bias.abs().max() > 0.01
    calibrated = torch.stack(
        [f + b for f, b in zip(features, bias, strict=True)]
    )
    rates = head.classifier(calibrated, lengths)  # eq. 13, 4
    assert torch.equal(head(x, lengths), rates)
    assert len(rates.unique()) > 2


def test_default_head_has_the_papers_number_of_parameters():
    head = PTSSNN(768, 4)
    sizes = {
        name: sum(p.numel() for p in part.parameters() if p.requires_grad)
        for name, part in head.named_children()
    }
    assert sizes == {
        "mixture": 0,
        "pooling": 0,
        "saturation": 2 * 768,
        # Per block: W, b, BatchNorm's two, the decays, the shortcut.
        "encoder": 512 * (2 * 768 + 4) + 256 * (2 * 512 + 4),
        # Prompts; Q and K; V; BatchNorm.
        "attention": 5 * 256 + 2 * 256 * 64 + 256 * 256 + 2 * 256,
        "bias_generator": (256 + 1) * 64 + (64 + 1) * 256,
        # The decays of the hidden layer, W and b, the output's decays.
        "classifier": 256 + 257 * 4 + 4,
    }
    total = sum(p.numel() for p in head.parameters())
    assert sum(sizes.values()) == total
    assert 1.15e6 <= total <= 1.195e6


def test_public_names_are_at_the_top_level():
    for name in speechbrain_ptssnn.__all__:
        assert hasattr(speechbrain_ptssnn, name)


@pytest.mark.parametrize("shortcut", ["", "Membrane", None])
def test_unknown_shortcut_is_named(shortcut):
    with pytest.raises(ValueError, match=f"'membrane'.*{shortcut!r}"):
        PTSSNN(8, shortcut=shortcut)


def test_padding_changes_nothing_where_biases_are_dropped():
    torch.manual_seed(0)
    head = PTSSNN(8, 3, hidden_size=12, size=16, bias_dropout=0.5)
    torch.nn.init.normal_(head.bias_generator.up.weight)
    torch.nn.init.normal_(head.classifier.linear.weight)
    rows = torch.randn(6, 20, 8) * 2
    padded = torch.cat([rows, torch.full((6, 5, 8), 1e3)], 1)
    results = []
    for feats, length in ((rows, 1.0), (padded, 0.8)):
        torch.manual_seed(1)
        results.append(head(feats, torch.full((6,), length)))
    assert results[0].std() > 0.01
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("period", [1, 4])
def test_a_causal_head_adds_to_each_frame_the_bias_of_the_context_so_far(
    period,
):
    torch.manual_seed(0)
    head = randomise(
        PTSSNN(
            10,
            3,
            hidden_size=12,
            size=8,
            bias_hidden=4,
            causal=True,
            bias_period=period,
        )
    )
    x = torch.randn(4, 30, 10).double() * 5
    lengths = torch.tensor([1.0, 0.5, 0.9, 0.1])
    encoded = head.encoder(head.saturation(x), lengths)
    prompts, features = head.attention(encoded, lengths)
    calibrated = features.clone()
    for t in range(30):
        bias = head.bias_generator(prompts[:, t // period])
        calibrated[:, t] += bias
    assert bias.abs().max() > 0.01
    rates = head.classifier(calibrated, lengths)
    assert torch.equal(head(x, lengths), rates)
    assert len(rates.unique()) > 2


@pytest.mark.parametrize("attention", [True, False])
def test_no_part_of_a_causal_head_looks_ahead(attention):
    torch.manual_seed(0)
    head = randomise(
        PTSSNN(10, 3, hidden_size=12, size=8, causal=True, attention=attention)
    )
    spikes = []
    head.classifier.output.register_forward_hook(
        lambda _, __, each: spikes.append(each)
    )
    x = torch.randn(8, 40, 10).double() * 5
    head(x)
    for t in (1, 16, 25):
        other = x.clone()
        other[:, t:] = torch.randn(8, 40 - t, 10) * 9
        head(other)
        assert torch.equal(spikes[-1][:, :t], spikes[0][:, :t])
        assert not torch.equal(spikes[-1][:, t:], spikes[0][:, t:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"causal": True, "two_sided_shift": True}, "two_sided_shift.*exclude"),
        ({"bias_period": 2}, "bias_period is 2, but only causal: True"),
        ({"causal": True, "bias_period": 0}, "at least 1.* got 0"),
        ({"causal": True, "bias_period": 2, "n_prompts": 0}, "and prompts"),
        ({"causal": True, "bias_period": 2, "attention": False}, "attention"),
    ],
)
def test_settings_that_exclude_each_other_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        PTSSNN(8, **settings)
