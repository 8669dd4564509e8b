"""Speech that is found block by block is that of the whole recording."""

import sys

import numpy as np
import pytest
import soxr
import torch

from speechbrain_ptssnn.audio.speech import (
    EDGE,
    FRAME,
    PAUSE,
    SAMPLE_RATE,
    SHORTEST,
    SURE,
    SpeechFinder,
    vad_package,
)
from speechbrain_ptssnn.corpora import synthemo
from speechbrain_ptssnn.errors import InputError

silero_vad = pytest.importorskip("silero_vad")


@pytest.fixture(scope="module")
def recording():
    """Three utterances between pauses: the samples, and where they are."""
    with synthemo.espeak_paths() as paths:
        spoken = [
            synthemo.speak(take, *paths) / 32768
            for take in synthemo.plan_synthemo()[:90:30]
        ]
    parts, truth, at = [], [], 0.0
    for each in spoken:
        wav = soxr.resample(each, synthemo.SAMPLE_RATE, SAMPLE_RATE)
        loud = np.flatnonzero(np.abs(wav) > 0.03 * np.abs(wav).max())
        at += 1.5
        truth.append((at + loud[0] / SAMPLE_RATE, at + loud[-1] / SAMPLE_RATE))
        at += len(wav) / SAMPLE_RATE
        parts += [np.zeros(round(1.5 * SAMPLE_RATE)), wav]
    return np.concatenate(parts).astype(np.float32), truth


def silero(wav):
    """Start and end of speech in samples, by Silero alone."""
    return silero_vad.get_speech_timestamps(
        torch.from_numpy(wav),
        silero_vad.load_silero_vad(),
        min_silence_duration_ms=1000 * PAUSE,
        min_speech_duration_ms=1000 * SHORTEST,
        speech_pad_ms=1000 * EDGE,
    )


def find(wav, cuts):
    finder = SpeechFinder()
    for block in np.split(wav, cuts):
        finder(block)
    return finder.finish()


@pytest.mark.parametrize("n_cuts", [0, 3, 200])
def test_blocks_give_what_silero_says_of_the_whole(recording, n_cuts):
    wav, _ = recording
    cuts = np.random.default_rng(0).integers(0, len(wav), n_cuts)
    frames = torch.from_numpy(np.pad(wav, (0, -len(wav) % FRAME)))
    model = silero_vad.load_silero_vad()
    sure = [
        (k + 1) * FRAME / SAMPLE_RATE + EDGE
        for k, frame in enumerate(frames.split(FRAME))
        if model(frame, SAMPLE_RATE).item() >= SURE
    ]
    expected = [
        tuple(each[side] / SAMPLE_RATE for side in ("start", "end"))
        for each in silero(wav)
    ]
    assert len(expected) >= 3
    assert find(wav, np.sort(cuts)) == [
        (
            start,
            pytest.approx(
                min(end, max(at for at in sure if start < at < end + 0.04))
            ),
        )
        for start, end in expected
    ]


@pytest.mark.parametrize(("sure", "last"), [(0.7, 40), (0.5, 46), (1.1, 46)])
def test_what_follows_the_last_sure_frame_is_no_speech(sure, last):
    finder = SpeechFinder(sure)
    # Noise sets in two frames after the speech, and Silero holds on.
    finder._probabilities = [0.0] * 20 + [1.0] * 20 + [0.1] * 2 + [0.6] * 4
    finder._probabilities += [0.0] * 30
    finder._n_samples = 76 * FRAME
    ((start, end),) = finder.finish()
    assert start == 20 * FRAME / SAMPLE_RATE - EDGE
    assert end == last * FRAME / SAMPLE_RATE + EDGE


def test_speech_without_a_sure_frame_ends_where_silero_says(recording):
    wav, _ = recording
    finder = SpeechFinder(sure=1.1)
    finder(wav)
    assert finder.finish() == [
        (each["start"] / SAMPLE_RATE, each["end"] / SAMPLE_RATE)
        for each in silero(wav)
    ]


def test_speech_is_where_it_is(recording):
    wav, truth = recording
    found = find(wav, [1000])
    # A stretch may be cut by a pause within; its ends count.
    for start, end in truth:
        assert min(abs(a - start) for a, _ in found) < 0.25
        assert min(abs(b - end) for _, b in found) < 0.25
    assert all(
        any(a < end and b > start for start, end in truth) for a, b in found
    )


@pytest.mark.parametrize("n_samples", [0, 100, 512 * 40 + 7])
def test_silence_holds_no_speech(n_samples):
    assert find(np.zeros(n_samples, np.float32), []) == []


def test_only_an_unfinished_frame_is_kept():
    finder = SpeechFinder()
    for _ in range(50):
        finder(np.zeros(700, np.float32))
        assert len(finder._held) < 512
        assert not finder._held.base.nbytes > 4 * (700 + 512)


def test_the_package_leaves_torchs_threads_alone(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "silero_vad":
            monkeypatch.delitem(sys.modules, name)
    torch.set_num_threads(2)
    vad_package()
    assert torch.get_num_threads() == 2


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(InputError, match=r"pip install .*\[timeline\]"):
        vad_package()
