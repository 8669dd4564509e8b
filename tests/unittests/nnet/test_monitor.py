"""Firing rates and currents, against layers called by hand."""

import torch

from speechbrain_ptssnn import PLIF, PTSSNN
from speechbrain_ptssnn.nnet.monitor import (
    CALIBRATED,
    FiringRates,
    LayerRecorder,
)
from speechbrain_ptssnn.nnet.residual_spike_encoder import ResidualSpikeEncoder


def test_rates_count_valid_frames_only():
    layer = PLIF(3)
    current = torch.tensor([0.0, 9.0, 0.0]).repeat(2, 4, 1)
    current[0, 0, 2] = 1  # one spike in the six valid frames
    with FiringRates(torch.nn.Sequential(layer)) as firing:
        layer(current, torch.tensor([1.0, 0.5]))
    summary = firing.summary()["0"]
    assert abs(summary["mean"] - (0 + 1 + 1 / 6) / 3) < 1e-6
    assert abs(summary["silent"] - 1 / 3) < 1e-6
    assert abs(summary["saturated"] - 1 / 3) < 1e-6


def test_batches_add_up_and_hooks_are_removed():
    head = PTSSNN(8, 3, hidden_size=6, size=8, bias_hidden=4).eval()
    feats, lengths = torch.randn(4, 9, 8), torch.tensor([1, 0.9, 0.5, 0.7])
    with torch.no_grad():
        with FiringRates(head) as whole:
            head(feats, lengths)
        with FiringRates(head) as parts:
            head(feats[:1], lengths[:1])
            head(feats[1:], lengths[1:])
        before = parts.summary()
        head(feats)
    assert list(before) == [
        "encoder.blocks.0.plif",
        "encoder.blocks.1.plif",
        "attention.plif",
        "classifier.hidden",
        "classifier.output",
    ]
    assert parts.summary() == before
    for layer in before:
        rates = whole.summary()[layer]
        assert abs(rates["mean"] - before[layer]["mean"]) < 1e-6
    # The prompts' spikes are no frames', so what comes in goes out (eq. 8).
    passed, came = (whole.summary()[layer] for layer in list(before)[2:0:-1])
    assert abs(passed["mean"] - came["mean"]) < 1e-6


@torch.no_grad()
def test_the_recorder_keeps_the_last_call_inside_its_context():
    torch.manual_seed(0)
    head = PTSSNN(8, 3, hidden_size=6, size=8, bias_hidden=4).eval()
    torch.nn.init.normal_(head.bias_generator.up.bias)
    recorder = LayerRecorder(head)
    first, second = torch.randn(2, 1, 9, 8) * 3
    with recorder:
        head(first)
    with recorder:  # opened again
        head(first)
        head(second)
    head(first)
    encoded = head.encoder(head.saturation(second))
    prompts, frames = head.attention(encoded)
    bias = head.bias_generator(prompts)[0]
    current = frames[0] + bias
    assert torch.equal(recorder.biases[CALIBRATED], bias)
    assert torch.equal(recorder.currents["classifier.hidden"], current)
    spikes = head.classifier.hidden(current[None])[0]
    assert torch.equal(recorder.spikes["classifier.hidden"], spikes)
    assert recorder.spikes["classifier.output"].shape == (9, 3)


def test_a_head_without_bias_voltage_gives_none():
    with LayerRecorder(torch.nn.Sequential(PLIF(2))) as recorder:
        pass
    assert recorder.biases == {}


@torch.no_grad()
def test_a_causal_heads_bias_is_that_of_each_frame():
    torch.manual_seed(0)
    head = PTSSNN(8, 3, size=16, causal=True, bias_period=3).eval()
    torch.nn.init.normal_(head.bias_generator.up.weight)
    with LayerRecorder(head) as recorder:
        head(torch.randn(1, 10, 8))
    bias = recorder.biases[CALIBRATED]
    assert bias.shape == (10, 16)
    assert torch.equal(bias[1:3], bias[:1].expand(2, -1))
    assert not torch.equal(bias[3], bias[2])


@torch.no_grad()
def test_the_recorder_tells_an_encoders_streams_apart():
    encoder = ResidualSpikeEncoder(1, steps=[1.0, 0.25])
    head = torch.nn.Sequential(encoder, PLIF(4))
    with LayerRecorder(head) as recorder:
        spikes = head[0](torch.tensor([[[1.5], [1.5], [-0.75]]]))
        head[1](spikes)
    assert [*recorder.currents] == [*recorder.spikes] == ["1"]
    ups_and_downs = {
        name: each.flatten(1).tolist()
        for name, each in recorder.encoded.items()
    }
    assert ups_and_downs == {
        "coarse": [[1, 0], [0, 0], [0, 1]],
        "fine": [[1, 0], [1, 0], [0, 1]],
    }
