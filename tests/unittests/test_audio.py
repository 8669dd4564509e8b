import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.audio import MonoAudio, load_audio
from speechbrain_ptssnn.errors import InputError


def tone(seconds, rate=16000, amplitude=0.3):
    return amplitude * np.sin(
        2 * np.pi * 440 * np.arange(seconds * rate) / rate
    )


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


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_rate_is_resampled_to_the_same_tone(rate, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1, rate), rate)
    audio = load_audio(tmp_path / "a.wav", MonoAudio())
    assert len(audio) == 16000
    middle = slice(1000, 15000)
    expected = torch.from_numpy(tone(1)).float()
    assert torch.allclose(audio[middle], expected[middle], atol=0.01)


def test_resampling_does_not_clip(tmp_path):
    square = np.sign(tone(1, 44100)) * 0.999
    soundfile.write(tmp_path / "a.wav", square, 44100)
    assert load_audio(tmp_path / "a.wav", MonoAudio()).max() > 1.05


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
)
def test_every_sample_format_reads_alike(subtype, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1), 16000, subtype=subtype)
    audio = load_audio(tmp_path / "a.wav", MonoAudio())
    assert audio.dtype == torch.float32
    assert np.abs(audio.numpy() - tone(1)).max() < 0.01


@pytest.mark.parametrize("seconds", [0.01, 34])
def test_short_and_long_files_are_read_whole(seconds, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(seconds), 16000)
    assert len(load_audio(tmp_path / "a.wav", MonoAudio())) == 16000 * seconds


def test_silence_is_audio(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((8000, 2)), 16000)
    audio = load_audio(tmp_path / "a.wav", MonoAudio())
    assert torch.equal(audio, torch.zeros(8000))


@pytest.mark.parametrize(
    ("name", "keep"),
    [("a.wav", 0.5), ("a.wav", 0.999), ("a.flac", 0.5), ("a.ogg", 0.5)],
)
def test_a_truncated_file_is_named(name, keep, tmp_path):
    path = tmp_path / name
    noise = np.random.default_rng(0).normal(0, 0.1, 32000)
    soundfile.write(path, noise, 16000)
    with open(path, "r+b") as file:
        file.truncate(int(keep * path.stat().st_size))
    with pytest.raises(InputError, match=path.name) as error:
        load_audio(path, MonoAudio())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_value_that_is_not_finite_is_refused(value, tmp_path):
    samples = np.stack([tone(1), tone(1)], axis=1)
    samples[500, 1] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="DOUBLE")
    with pytest.raises(InputError, match=r"a\.wav: .*NaN or infinite"):
        load_audio(tmp_path / "a.wav", MonoAudio())
