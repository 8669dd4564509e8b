"""A backbone's operations, counted by hand, and the printed table."""

import pytest

from speechbrain_ptssnn.backbones import (
    Emotion2vec,
    Fbank,
    HuggingFace,
    SideBySide,
)
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


def mel_spectra(n_frames, backbone):
    """Multiplications of Whisper's mel frames: window and FFT of 400 points,
    201 powers, the filters' weights.
    """
    n_weights = int((backbone.extractor.mel_filters > 0).sum())
    assert 201 < n_weights < 2 * 201
    return n_frames * (400 + 3458 + 2 * 201 + n_weights)


def whisper_encoder(n_frames, n_layers):
    """MACs of the tiny Whisper's encoder of width 16."""
    front = 2 * n_frames * 16 * 80 * 3 + n_frames * 16 * 16 * 3
    layer = 4 * n_frames * 16 * 16 + 2 * n_frames**2 * 16
    return front + n_layers * (layer + 2 * n_frames * 16 * 32)


@pytest.mark.parametrize(("layer", "n_layers"), [("last", 2), (1, 1), (0, 0)])
def test_macs_of_a_whisper_end_at_the_layer_that_is_read(
    make_backbone, layer, n_layers
):
    backbone = HuggingFace(make_backbone("whisper"), layer=layer)
    # The tiny one's window lasts 1 s: 50 frames of 100 mel frames.
    expected = whisper_encoder(50, n_layers) + mel_spectra(100, backbone)
    assert backbone_operations(backbone, 0.3) == expected
    assert backbone_operations(backbone, 0.7) == expected
    # Longer audio is heard in two windows.
    assert backbone_operations(backbone, 1.5) == 2 * expected


def test_macs_of_a_whisper_are_of_the_window_that_it_hears(make_backbone):
    folder = make_backbone("whisper")
    full = HuggingFace(folder)
    audio = HuggingFace(folder, window="audio", margin=0.1)
    # 0.3 + 0.1 s are 40 mel frames; the FFT of the last reaches beyond.
    macs = backbone_operations(audio, 0.3)
    assert macs == whisper_encoder(20, 2) + mel_spectra(42, audio)
    assert macs < backbone_operations(full, 0.3)
    assert macs < backbone_operations(audio, 0.5)


def test_macs_of_front_ends_side_by_side_are_their_sum(make_backbone):
    parts = [
        HuggingFace(make_backbone("whisper"), layer=1),
        Fbank(),
        HuggingFace(make_backbone("wav2vec2")),
    ]
    macs = [backbone_operations(part, 0.5) for part in parts]
    assert min(macs) > 0
    assert backbone_operations(SideBySide(parts), 0.5) == sum(macs)


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
            "operations": 12.0 * frames,
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
        "seconds": frames / 50,
        "layers": layers,
        "strict": sums,
        "paper": sums,
        "element_wise": {"sum": 2468},
        "backbone": {"MACs": round(1000 * frames), "mJ": 153.4},
        "total": {"strict": {"mJ": 154.15}, "paper": {"mJ": 154.05}},
    }


def test_the_table_shows_layers_sums_and_backbone():
    outcome = {
        "folds": [1, 2],
        "n_utterances": 5,
        "mean": utterance(126.2),
        "scaled": utterance(226),
        "backbone": "wavlm",
    }
    text = table(outcome)
    rows = [line.split() for line in text.splitlines()]
    assert "5 test utterances of folds 1, 2, 126.2 frames" in text
    assert [
        *("linear", "self.linear(feats)", "3x4", "real", "0.000", "2,712"),
        *("2,712", "0", "0.5000", "0.5000"),
    ] in rows
    assert ["output", "spikes", "@", "weight", "4", "binary"] in [
        row[:6] for row in rows
    ]
    chain = ["153.4000", "154.1500"]
    head = ["2,712", "452", "0.7500"]
    assert ["strict", "4.52", "226.0", *head, *chain] in rows
    chain = ["153.4000", "154.0500"]
    head = ["1,514", "252", "0.7500"]
    assert ["paper", "2.52", "126.2", *head, *chain] in rows
    assert "2,468 element-wise" in text
    assert "binary inputs: 452 of 2,712 dense ones, sparsity 0.833" in text
    assert text.endswith(
        "front-end, frozen: wavlm, 226,000 MACs for 4.52 s of audio and "
        "126,200 MACs for 2.52 s of audio"
    )
    for key in ("mean", "scaled"):
        del outcome[key]["backbone"], outcome[key]["total"]
    assert "front-end" not in table(outcome)
    assert "total" not in table(outcome)


def test_small_energies_are_in_microjoule():
    outcome = {
        "folds": [1],
        "n_utterances": 5,
        "mean": utterance(126.2),
        "scaled": utterance(226),
        "backbone": "wavlm",
    }
    for each in (outcome["mean"], outcome["scaled"]):
        each["strict"] = {**each["strict"], "mJ": 0.00012344}
    text = table(outcome)
    assert "head µJ" in text and "µJ, paper" in text and "mJ" not in text
    assert "0.1234" in text


def test_what_cannot_be_measured_is_said(tmp_path):
    with pytest.raises(InputError, match="no fold has finished"):
        measure_run(tmp_path)
    with pytest.raises(InputError, match="frames must be at least 1, got 0"):
        measure_run(tmp_path, frames=0)
