"""Multiplications of signal processing, counted by hand."""

import pytest
import torch

from speechbrain_ptssnn.backbones import Fbank, HuggingFace, OpenSmile
from speechbrain_ptssnn.backbones.signal_processing import (
    frame_count,
    opensmile,
    real_fft,
)

SETS = ("ComParE_2016", "eGeMAPSv02")


def test_an_fft_of_real_values_costs_n_log2_n():
    # 4 stages of 8 complex butterflies of 4 multiplications; half of them.
    assert real_fft(16) == 4 * 8 * 4 / 2


def test_windows_that_are_not_whole_do_not_count():
    assert [frame_count(n, 4, 2) for n in (3, 4, 5, 6)] == [0, 1, 1, 2]


def test_a_tiny_fbank_counted_by_hand():
    backbone = Fbank(n_mels=3, sample_rate=1000)
    # Frames of 25 samples every 10, also around the ends: 11 for 100 samples.
    # An FFT of 400 points: 400 * log2(400) = 3457.5; 201 powers of 2 squares,
    # every 2.5 Hz. Filters around 101.0, 216.5 and 348.8 Hz, whose lower edges
    # are 101.0, 115.5 and 132.2 Hz away, and the upper ones as far: they have
    # 80, 92 and 106 weights.
    frame = 25 + 3458 + 2 * 201 + 80 + 92 + 106
    assert backbone.multiplications(100) == 11 * frame
    assert backbone.multiplications(109) == 11 * frame
    assert backbone.multiplications(110) == 12 * frame


@pytest.mark.parametrize("n_mels", [20, 80])
def test_an_fbanks_weights_are_those_that_are_not_0(n_mels):
    backbone = Fbank(n_mels=n_mels)
    n_frames = len(backbone.fbank(torch.randn(1, 8000))[0])
    mel = backbone.fbank.compute_fbanks
    mel.log_mel = False
    n_weights = int((mel(torch.eye(201)[None]) > 0).sum())
    frame = 400 + 3458 + 2 * 201 + n_weights
    assert backbone.multiplications(8000) == n_frames * frame


def test_a_w2v_bert_hears_kaldis_frames(make_backbone):
    backbone = HuggingFace(make_backbone("w2v-bert"))
    n_weights = int((backbone.extractor.mel_filters > 0).sum())
    # Pre-emphasis, window, FFT of 512 points and 257 powers.
    frame = 400 + 400 + 512 * 9 + 2 * 257 + n_weights
    assert backbone.multiplications(16000) == 98 * frame


@pytest.mark.parametrize("kind", ["wav2vec2", "wavlm"])
def test_who_hears_the_waveform_multiplies_nothing_before(kind, make_backbone):
    assert HuggingFace(make_backbone(kind)).multiplications(16000) == 0


def test_opensmiles_parts_counted_by_hand():
    # 960 samples: one frame of 60 ms and five of 20 ms; their FFTs have 1024
    # and 512 points.
    parts = opensmile("ComParE_2016", 960, 16000, functionals=True)
    assert parts == {
        "FFT, 60 ms": 960 + 10240 + 2 * 513,
        "FFT, 20 ms": 5 * (320 + 4608 + 2 * 257),
        "octave scale": 20 * 513,
        "pitch": 15 * 513 + 4 * 6 * 6,
        # A period of 16000 / 150 samples, searched by a quarter of it.
        "jitter and shimmer": 160 * 3 * 16000 / 150 / 2,
        "energy": 960 + 5 * 320,
        "mel spectra": 5 * 2 * 3 * 257,
        "cepstrum": 5 * 14 * (26 + 1),
        "auditory spectrum": 5 * 26,
        "auditory spectrum, RASTA": 5 * 26 * 7,
        "spectral descriptors": 5 * 12 * 257,
        "smoothing and deltas": 5 * 65 * 4,
        "functionals": 5 * 2 * 65 * 20,
    }
    parts = opensmile("eGeMAPSv02", 960, 16000, functionals=True)
    assert parts["formants"] == 5 * (4608 + 12 * 220 + 21 * 121)
    assert parts["harmonics-to-noise ratio"] == 513 + 10240
    assert parts["functionals"] == 5 * 25 * 4


@pytest.mark.parametrize("feature_set", SETS)
def test_opensmiles_functionals_come_on_top(feature_set):
    frames, vector = (
        opensmile(feature_set, 16000, 16000, functionals)
        for functionals in (False, True)
    )
    assert vector.pop("functionals") > 0
    assert vector == frames


@pytest.mark.parametrize("functionals", [False, True])
@pytest.mark.parametrize("feature_set", SETS)
def test_opensmile_counts_its_set(feature_set, functionals):
    pytest.importorskip("opensmile", reason="the extra [opensmile] is missing")
    backbone = OpenSmile(feature_set, functionals=functionals)
    parts = opensmile(feature_set, 16000, 16000, functionals)
    assert backbone.multiplications(16000) == sum(parts.values())
    assert backbone.is_pooled == functionals
