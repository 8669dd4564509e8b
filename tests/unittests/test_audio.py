import struct

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.audio import MonoAudio, audio_seconds, load_audio
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
def test_every_sample_format_gives_the_same_samples(subtype, tmp_path):
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


def chunk(name, body, size=None):
    """A RIFF chunk, padded to an even length."""
    size = len(body) if size is None else size
    return name + size.to_bytes(4, "little") + body + bytes(len(body) % 2)


SAMPLES = np.arange(1000, dtype="<i2").tobytes()
PCM = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
EXTENSIBLE = struct.pack(
    "<HHIIHHHHI16s",
    *(0xFFFE, 1, 16000, 32000, 2, 16, 22, 16, 4),
    bytes.fromhex("0100000000001000800000aa00389b71"),
)
LIST = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf1"))
FMT = chunk(b"fmt ", PCM)
DATA = chunk(b"data", SAMPLES)


@pytest.mark.parametrize(
    ("body", "promised"),
    [
        (FMT + DATA, None),
        (FMT + DATA, len(FMT + DATA) + 12),  # the whole file's size
        (FMT + DATA, 10**6),
        (FMT + DATA, 100),
        (FMT + DATA + LIST, None),
        (FMT + DATA + LIST[:-4], None),
        (FMT + DATA + b"ID3\x03 and other bytes", 36 + len(SAMPLES)),
        (FMT + LIST + DATA, None),
        (chunk(b"JUNK", bytes(27)) + FMT + DATA, None),
        (chunk(b"fmt ", PCM + b"\0\0") + DATA, None),
        (chunk(b"fmt ", EXTENSIBLE) + DATA, None),
        (FMT + chunk(b"data", SAMPLES + b"\1"), None),
        # What is written to a pipe: ffmpeg, sox, others.
        (FMT + chunk(b"data", SAMPLES, 0xFFFFFFFF), 0xFFFFFFFF),
        (FMT + chunk(b"data", SAMPLES, 0x7FFFF000), 0x7FFFF024),
        (FMT + chunk(b"data", SAMPLES, 0x7FFFFFFF - 36), 0x7FFFFFFF),
        (FMT + chunk(b"data", SAMPLES, 0x80000000), 0x80000024),
    ],
)
def test_headers_that_break_the_rules_are_read(body, promised, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(chunk(b"RIFF", b"WAVE" + body, promised))
    audio = load_audio(path, MonoAudio())
    assert torch.equal(audio * 32768, torch.arange(1000.0))
    assert audio_seconds(path) == 1000 / 16000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (FMT, "not readable"),
        (DATA, "not readable"),
        (FMT[:20], "not readable"),
        (FMT + chunk(b"data", SAMPLES, 0), "0 samples according to its header"),
        (FMT + chunk(b"data", SAMPLES, 4000), "2000 of 4000 bytes of audio"),
        (LIST + FMT + chunk(b"data", SAMPLES, 2002), "2000 of 2002 bytes"),
    ],
)
def test_a_damaged_file_is_named(body, message, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(chunk(b"RIFF", b"WAVE" + body))
    with pytest.raises(InputError, match=rf"a\.wav: .*{message}"):
        audio_seconds(path)
