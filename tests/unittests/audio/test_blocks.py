"""Long recordings in blocks give what they give as a whole."""

import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.audio import MonoAudio, read_samples
from speechbrain_ptssnn.audio.blocks import LongAudio, cut, resample_blocks
from speechbrain_ptssnn.errors import InputError

RATE = 16000
NOISE = np.random.default_rng(0).normal(0, 0.1, (20 * RATE, 2))


def whole(audio):
    return np.concatenate(list(audio.blocks()))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_blocks_are_the_recording(name, tmp_path):
    soundfile.write(tmp_path / name, NOISE[:50000], RATE)
    audio = LongAudio(tmp_path / name)
    samples, _ = read_samples(tmp_path / name)
    blocks = list(audio.blocks())
    np.testing.assert_array_equal(np.concatenate(blocks), samples)
    assert max(map(len, blocks)) == RATE
    assert audio.problem is None
    assert audio.seconds == 50000 / RATE
    right = np.concatenate(list(audio.channel(1)))
    np.testing.assert_array_equal(right, samples[:, 1])


def test_the_loudest_channel_is_so_over_the_whole_recording(tmp_path):
    samples = NOISE[: 3 * RATE].copy()
    samples[:RATE, 0] *= 5
    samples[RATE:, 1] *= 9
    soundfile.write(tmp_path / "a.wav", samples / 10, RATE)
    assert LongAudio(tmp_path / "a.wav").loudest() == 1


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus", "a.mp3"])
def test_what_stands_before_a_damage_is_kept(name, tmp_path):
    path = tmp_path / name
    options = {"a.opus": {"format": "OGG", "subtype": "OPUS"}}.get(name, {})
    soundfile.write(path, NOISE, RATE, **options)
    samples = whole(LongAudio(path))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(
        np.random.default_rng(1).integers(0, 256, 3000, dtype=np.uint8)
    )
    path.write_bytes(data)
    audio = LongAudio(path)
    found = whole(audio)
    assert 7 < len(found) / RATE < 11  # of 20 s, damaged at about 10 s
    before = len(found) - RATE // 2  # decoders look a frame ahead
    np.testing.assert_array_equal(found[:before], samples[:before])
    assert "damaged" in audio.problem
    assert audio.seconds == len(found) / RATE
    np.testing.assert_array_equal(whole(audio), found)


def test_a_wav_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, RATE)
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.truncate(size // 4)
    audio = LongAudio(path)
    assert len(whole(audio)) == (size // 4 - 44) // 4
    assert "is cut short" in audio.problem


def test_values_that_are_not_finite_are_a_damage(tmp_path):
    samples = NOISE.copy()
    samples[5 * RATE + 7, 1] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    audio = LongAudio(tmp_path / "a.wav")
    assert len(whole(audio)) == 5 * RATE
    assert audio.problem == (
        "is damaged at 5.0 s: the audio holds NaN or infinite samples"
    )


@pytest.mark.parametrize("header_follows", [True, False])
def test_a_file_that_grows_is_read_as_far_as_it_went(header_follows, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE[: 3 * RATE], RATE)
    audio = LongAudio(path)
    blocks = audio.blocks()
    first = next(blocks)
    if header_follows:
        soundfile.write(path, NOISE, RATE)
    else:
        with open(path, "ab") as file:
            file.write(bytes(100_000))
    found = np.concatenate([first, *blocks])
    assert len(found) == 3 * RATE
    assert len(whole(audio)) == 3 * RATE
    assert audio.has_grown
    assert audio.problem is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Dear Anna,\nthe tape is in the post.", "is a text file"),
        (bytes(4) + b"ftypisom" + bytes(600), "MPEG-4 audio or video"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_audio_is_named(content, words, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        LongAudio(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 44099])
def test_resampled_blocks_are_the_resampled_whole(rate):
    audio = NOISE[: 3 * rate + 123, 0].astype(np.float32)
    mono, rng = MonoAudio(RATE), np.random.default_rng(0)
    cuts = np.sort(rng.integers(0, len(audio), 9))
    found = np.concatenate(
        list(resample_blocks(np.split(audio, cuts), rate, mono))
    )
    expected = mono.resample(torch.from_numpy(audio), rate).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pieces_are_those_of_the_whole():
    audio, rng = np.arange(5000), np.random.default_rng(0)
    starts = np.sort(rng.integers(0, 4900, 40))
    spans = [(s, s + rng.integers(1, 100)) for s in starts.tolist()]
    cuts = np.sort(rng.integers(0, 5000, 30))
    pieces = list(cut(np.split(audio, cuts), spans))
    assert len(pieces) == len(spans)
    for piece, (start, end) in zip(pieces, spans, strict=True):
        np.testing.assert_array_equal(piece, audio[start:end])


@pytest.mark.parametrize("minutes", [10, 120])
def test_memory_does_not_depend_on_the_length(minutes):
    rate, n_seconds = 44100, 60 * minutes

    def blocks():
        for _ in range(n_seconds):
            yield np.full(rate, 0.1, np.float32)

    class Decimate:  # torch's memory is not traced, so without its resampler
        sample_rate = rate // 2

        def resample(self, audio, _):
            return audio[::2]

    spans = [(k * 22050, (k + 3) * 22050) for k in range(n_seconds - 3)]
    tracemalloc.start()
    try:
        count = sum(
            1 for _ in cut(resample_blocks(blocks(), rate, Decimate()), spans)
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == n_seconds - 3
    assert peak < 12 * 4 * rate  # 12 s of float32; the audio has n_seconds
