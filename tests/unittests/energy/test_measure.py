import pytest
import torch
from torch import nn

from speechbrain_ptssnn import LinearProbe
from speechbrain_ptssnn.backbones import Emotion2vec, HuggingFace
from speechbrain_ptssnn.energy.measure import (
    backbone_operations,
    split_operations,
    total_energy,
)
from speechbrain_ptssnn.energy.operations import LayerCount, count_operations


def row(product, weights=(2, 5), **counts):
    return LayerCount("layer", "file.py:1", product, weights, **counts)


# 100 real products, 10 of the 40 inputs not 0; 200 with 30 events; 50 of two
# activations; 7 elements that are no products.
ROWS = [
    row("w x", operations=100, nonzero=10, elements=40, is_binary=False),
    row("w s", operations=200, events=30, nonzero=3, elements=20),
    row("k v", None, operations=50, nonzero=5, elements=5, is_binary=False),
    LayerCount("layer", element_wise=7),
]


def test_strict_count_makes_an_ac_of_binary_inputs_only():
    assert split_operations(ROWS) == [(100, 0), (0, 30), (50, 0), (0, 0)]
    # 150 x 4.6 pJ + 30 x 0.9 pJ
    assert total_energy(ROWS) == pytest.approx(717e-9)


def test_papers_count_makes_an_ac_of_every_activated_synapse():
    pairs = split_operations(ROWS, "paper")
    assert pairs == [(0, 25), (0, 30), (50, 0), (0, 0)]
    # 50 x 4.6 pJ + 55 x 0.9 pJ
    assert total_energy(ROWS, "paper") == pytest.approx(279.5e-9)


def test_without_spikes_both_counts_are_formula_19():
    rows = [ROWS[0], ROWS[2]]
    for rule in ("strict", "paper"):
        assert split_operations(rows, rule) == [(100, 0), (50, 0)]


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="got 'mine'"):
        total_energy(ROWS, "mine")


def test_energies_known_from_elsewhere():
    feats = torch.randn(1, 226, 768)
    # 226 x 768 x 256 MACs, and 256 x 4 after the mean
    probe = total_energy(count_operations(LinearProbe(), feats))
    assert probe == pytest.approx((44433408 + 1024) * 4.6e-9)
    assert round(probe, 2) == 0.20

    class Dense(nn.Linear):
        def forward(self, feats, lengths):
            return super().forward(feats)

    dense = total_energy(count_operations(Dense(768, 512), feats))
    assert round(dense, 2) == 0.41


def convolutions(lengths, channels, kernels):
    """MACs of a chain of convolutions, from its output lengths."""
    n_in, total = 1, 0
    for length, kernel in zip(lengths, kernels, strict=True):
        total += length * channels * n_in * kernel
        n_in = channels
    return total


# Of 2,000 samples, by kernels 10 3 3 3 3 2 2 and strides 5 2 2 2 2 2 2.
LENGTHS = (399, 199, 99, 49, 24, 12, 6)
KERNELS = (10, 3, 3, 3, 3, 2, 2)


def test_macs_of_a_wav2vec2_counted_by_hand(make_backbone):
    backbone = HuggingFace(make_backbone("wav2vec2"))
    expected = convolutions(LENGTHS, 8, KERNELS)
    expected += 6 * 8 * 16  # projection
    # Positions: a kernel of 16 pads 8 at both ends, so 7 places; 2 groups.
    expected += 7 * 16 * 8 * 16
    # Two layers: Q, K, V, out; scores and context; 16 -> 32 -> 16.
    expected += 2 * (4 * 6 * 16 * 16 + 2 * 6 * 6 * 16 + 2 * 6 * 16 * 32)
    assert backbone_operations(backbone, 2000 / 16000) == expected


def test_macs_of_an_emotion2vec_include_its_attention(make_backbone):
    backbone = Emotion2vec(make_backbone("emotion2vec"))
    # 10 learnt tokens stand before the 6 frames, in 1 + 2 layers of width 16.
    layers = 3 * (4 * 16 * 256 + 2 * 16 * 16 * 16 + 2 * 16 * 16 * 64)
    front = convolutions(LENGTHS, 8, KERNELS) + 6 * 8 * 16
    # 5 convolutions of 95 / 5 = 19 taps over the positions, in 16 groups.
    positions = 5 * 6 * 16 * 1 * 19
    macs = backbone_operations(backbone, 2000 / 16000)
    assert macs == front + positions + layers
