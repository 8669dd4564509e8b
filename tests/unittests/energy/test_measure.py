"""A backbone's operations, counted by hand, and the printed table."""

import pytest

from speechbrain_ptssnn.backbones import Emotion2vec, HuggingFace
from speechbrain_ptssnn.energy.measure import (
    backbone_operations,
    measure_run,
    table,
)
from speechbrain_ptssnn.errors import InputError


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


def utterance(frames):
    """One linear layer and one that gets spikes, in a measured utterance."""
    first = {"MACs": 12.0 * frames, "ACs": 0, "mJ": 0.5}
    second = {"MACs": 0, "ACs": 2.0 * frames, "mJ": 0.25}
    layers = [
        {
            "name": name,
            "product": product,
            "weights": weights,
            "kind": kind,
            "density": density,
            "strict": counts,
            "paper": counts,
        }
        for name, product, weights, kind, density, counts in (
            ("linear", "self.linear(feats)", (3, 4), "real", 1, first),
            ("output", "spikes @ weight", (1, 4), "binary", 0.5, second),
        )
    ]
    sums = {"MACs": 12.0 * frames, "ACs": 2.0 * frames, "mJ": 0.75}
    return {
        "frames": frames,
        "layers": layers,
        "strict": sums,
        "paper": sums,
        "element_wise": {"sum": 2468},
    }


def test_the_table_shows_layers_sums_and_backbone():
    outcome = {
        "folds": [1, 2],
        "n_utterances": 5,
        "mean": utterance(126.2),
        "scaled": utterance(226),
        "backbone": {
            "name": "wavlm",
            "seconds": 4.55,
            "MACs": 123456,
            "mJ": 153.4,
        },
    }
    text = table(outcome)
    rows = [line.split() for line in text.splitlines()]
    assert "5 test utterances of folds 1, 2, 126.2 frames" in text
    assert [
        *("linear", "self.linear(feats)", "3x4", "real", "1.000"),
        *("2,712", "0", "0.5000", "0.5000"),
    ] in rows
    assert ["output", "spikes", "@", "weight", "4", "binary"] in [
        row[:6] for row in rows
    ]
    assert ["strict", "226.0", "2,712", "452", "0.7500"] in rows
    assert ["paper", "126.2", "1,514", "252", "0.7500"] in rows
    assert "2,468 element-wise" in text
    assert text.endswith("wavlm, 4.55 s of audio: 153 mJ, 123,456 MACs")
    del outcome["backbone"]
    assert "backbone" not in table(outcome)


def test_what_cannot_be_measured_is_said(tmp_path):
    with pytest.raises(InputError, match="no fold has finished"):
        measure_run(tmp_path)
    with pytest.raises(InputError, match="frames must be at least 1, got 0"):
        measure_run(tmp_path, frames=0)
