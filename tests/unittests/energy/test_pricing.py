"""Counts turned into energy, worked by hand."""

import pytest
import torch
from torch import nn

from speechbrain_ptssnn import LinearProbe
from speechbrain_ptssnn.energy.operations import LayerCount, count_operations
from speechbrain_ptssnn.energy.pricing import split_operations, total_energy


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
