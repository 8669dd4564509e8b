import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio

from speechbrain_ptssnn.audio import MonoAudio
from speechbrain_ptssnn.errors import InputError


def test_the_louder_channel_is_taken_never_their_average():
    left, right = torch.randn(8000), torch.randn(8000)
    audio = MonoAudio()(torch.stack([0.1 * left, right], dim=1), 16000)
    assert torch.equal(audio, right)
    # Channels that cancel, as microphones face to face record them.
    audio = MonoAudio()(torch.stack([left, -left], dim=1), 16000)
    assert torch.equal(audio, left)


@pytest.mark.parametrize("channel", [0, 1, 2, "1"])
def test_a_chosen_channel_is_taken(channel):
    audio = torch.randn(8000, 3)
    chosen = MonoAudio(channel=channel)(audio, 16000)
    assert torch.equal(chosen, audio[:, int(channel)])


@pytest.mark.parametrize("channel", ["left", -1, "", None, 1.5])
def test_what_is_no_channel_is_refused(channel):
    with pytest.raises(InputError, match="channel must be 'louder', 0, 1"):
        MonoAudio(channel=channel)


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(InputError, match="no channel 2, the audio has 2"):
        MonoAudio(channel=2)(torch.zeros(8000, 2), 16000)
    with pytest.raises(InputError, match="no channel 1, the audio has 1"):
        MonoAudio(channel=1)(torch.zeros(8000), 16000)


def sine(rate, seconds=0.5):
    return np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize(
    "rate",
    [
        *(8000, 11025, 12000, 18900, 22050, 24000, 32000, 37800, 44100, 47952),
        *(48000, 50000, 64000, 88200, 96000, 176400, 192000),
    ],
)
def test_usual_rates_keep_their_resampler(rate):
    audio = torch.from_numpy(sine(rate)).float()
    expected = torchaudio.transforms.Resample(rate, 16000)(audio[None])[0]
    assert torch.equal(MonoAudio()(audio, rate), expected)


@pytest.mark.parametrize(
    "rate", [4001, 5519, 8009, 11027, 15991, 15999, 22255, 44099, 191999]
)
def test_rare_rates_give_the_same_sine(rate):
    audio = torch.from_numpy(sine(rate))
    result = MonoAudio()(audio, rate)
    assert len(result) == -(-len(audio) * 16000 // rate)
    expected = torch.from_numpy(sine(16000, 0.6))[: len(result)]
    assert (result - expected)[400:-400].abs().max() < 1e-4
    assert len(MonoAudio()(torch.ones(1), rate)) >= 1


def test_rare_rates_take_little_memory():
    code = f"""
import resource, torch
from speechbrain_ptssnn.audio import MonoAudio
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
MonoAudio()(torch.zeros(44100), 44100)
before = peak()
for rate in {[4001, 7333, 15991, 15999, 44099, 95989, 191999]}:
    MonoAudio()(torch.zeros(rate), rate)
print((peak() - before) // 1024)
"""
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_DATA, (4 << 30, 4 << 30)
        ),
    )
    assert int(said.stdout) < 200


def test_integers_are_converted_by_their_type():
    expected = torch.tensor([0.5, -1.0, 0.25])
    for dtype, zero, scale in (
        (torch.int16, 0, 2**15),
        (torch.int32, 0, 2**31),
        (torch.int8, 0, 2**7),
        (torch.uint8, 128, 2**7),
    ):
        audio = (expected.double() * scale + zero).to(dtype)
        assert torch.equal(MonoAudio()(audio, 16000), expected)
        assert torch.equal(MonoAudio()(audio.numpy(), 16000), expected)
    with pytest.raises(InputError, match="type int64 have no known scale"):
        MonoAudio()(torch.tensor([1, 2, 3]), 16000)


@pytest.mark.parametrize("peak", [33, -9800, 32768])
def test_floats_far_beyond_one_are_refused(peak):
    with pytest.raises(InputError, match=f"reach {abs(peak)}, but audio"):
        MonoAudio()(torch.tensor([0.0, peak]), 16000)
    assert MonoAudio()(torch.tensor([0.0, 1.9]), 16000).max() > 1.8
