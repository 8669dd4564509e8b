import os
import struct

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ptssnn.audio import (
    Levels,
    MonoAudio,
    audio_seconds,
    load_audio,
    read_samples,
)
from speechbrain_ptssnn.errors import InputError


def tone(seconds, rate=16000, amplitude=0.3):
    return amplitude * np.sin(
        2 * np.pi * 440 * np.arange(seconds * rate) / rate
    )


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


NOISE = np.random.default_rng(0).normal(0, 0.1, 16000)
# Whose headers give no length: nothing can be said about them.
WITHOUT_LENGTH = ("RAW", "PAF", "PVF", "IRCAM", "XI", "SD2")
FORMATS = [
    (kind, subtype)
    for kind in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(kind)
    if kind not in WITHOUT_LENGTH
    # What libsndfile cannot write.
    and subtype not in ("MPEG_LAYER_I", "MPEG_LAYER_II", "DWVW_12")
    and (kind, subtype) != ("WAV", "MPEG_LAYER_III")
]


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_each_format_is_read_whole_or_not_at_all(kind, subtype, cut, tmp_path):
    path = tmp_path / "a.audio"
    rate = 8000 if subtype.startswith(("GSM", "NMS", "G72")) else 16000
    soundfile.write(path, NOISE, rate, subtype, format=kind)
    if not cut:
        samples, rate = read_samples(path)  # two formats round their rate
        assert 16000 <= len(samples) < 17000
        assert audio_seconds(path) == len(samples) / rate
        part, _ = read_samples(path, 0.25, 0.5)
        # MP3 and Opus depend on what was decoded before.
        assert np.abs(part - samples[rate // 4 : rate // 2]).max() < 0.05
        return
    for keep in (0.3, 0.7, 0.99):
        with open(path, "r+b") as file:
            file.truncate(int(keep * path.stat().st_size))
        with pytest.raises(InputError, match=r"a\.audio: ") as error:
            load_audio(path, MonoAudio())
        assert "\n" not in str(error.value)
        soundfile.write(path, NOISE, rate, subtype, format=kind)


@pytest.mark.parametrize("kind", ["NIST", "AVR", "SVX", "MPC2K", "WVE", "W64"])
def test_audio_that_goes_on_after_its_end_is_refused(kind, tmp_path):
    path = tmp_path / "a.audio"
    subtype = "ALAW" if kind == "WVE" else "PCM_16"
    soundfile.write(path, NOISE, 16000, subtype, format=kind)
    data = path.read_bytes()
    for more in (data, b"\0"):
        path.write_bytes(data + more)
        with pytest.raises(InputError, match=r"but \d+ other bytes follow"):
            audio_seconds(path)


def test_a_big_endian_wav_file_is_read_or_named(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 16000, "PCM_16", endian="BIG")
    assert path.read_bytes().startswith(b"RIFX")
    assert len(load_audio(path, MonoAudio())) == 16000
    with open(path, "r+b") as file:
        file.truncate(10000)
    with pytest.raises(InputError, match=r"cut short, with \d+ of 32000 bytes"):
        audio_seconds(path)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus", "a.mp3"])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
def test_damage_in_the_middle_is_named(name, at, tmp_path):
    path = tmp_path / name
    kind = {"opus": "OGG"}.get(name[2:], name[2:].upper())
    subtype = "OPUS" if name == "a.opus" else None
    soundfile.write(path, NOISE, 16000, subtype, format=kind)
    data = bytearray(path.read_bytes())
    middle = int(at * len(data))
    data[middle : middle + 700] = bytes(700)
    path.write_bytes(data)
    with pytest.raises(InputError, match=name):
        load_audio(path, MonoAudio())


def test_a_flac_file_of_unknown_length_is_read_whole(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, NOISE, 16000)
    expected, _ = read_samples(path)
    data = bytearray(path.read_bytes())
    assert data[4] & 127 == 0  # STREAMINFO
    data[21] &= 0xF0  # its number of samples: the last 36 bits before MD5
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert soundfile.info(str(path)).frames > 2**60
    assert audio_seconds(path) == 1
    assert np.array_equal(read_samples(path)[0], expected)
    part, _ = read_samples(path, 0.25, 0.5)
    assert np.array_equal(part, expected[4000:8000])
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.flac: cannot be read to its end"):
        audio_seconds(path)


def test_an_absurd_length_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, NOISE, 16000)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\xfe"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"more than \d+ bytes can hold"):
        load_audio(path, MonoAudio())


def mp3(path, samples, mode="CONSTANT"):
    soundfile.write(
        path, samples, 16000, bitrate_mode=mode, compression_level=0.5
    )
    return path.read_bytes()


def second_frame(data):
    return data.find(data[:2], 4)


def test_mp3_whose_header_gives_no_length(tmp_path):
    path = tmp_path / "a.mp3"
    data = mp3(path, NOISE)
    path.write_bytes(data[second_frame(data) :])
    assert audio_seconds(path) == pytest.approx(1, abs=0.2)
    assert len(read_samples(path)[0]) >= 16000
    # The decoder estimates the length from the first frames, and stops there.
    quiet = 1e-4 * NOISE
    data = mp3(path, np.concatenate([quiet, NOISE, 3 * NOISE]), "VARIABLE")
    path.write_bytes(data[second_frame(data) :])
    assert 48000 <= len(read_samples(path)[0]) < 51000
    data = mp3(path, np.concatenate([3 * NOISE, quiet, quiet]), "VARIABLE")
    path.write_bytes(data[second_frame(data) :])
    assert len(soundfile.read(path)[0]) < 24000
    with pytest.raises(InputError, match="does not give its length"):
        read_samples(path)


def test_joined_mp3_files_and_tags(tmp_path):
    path = tmp_path / "a.mp3"
    data = mp3(path, np.tile(NOISE, 2))
    tag = b"ID3\x03\0\0\0\0\1\0" + bytes(128)
    path.write_bytes(tag + data + b"TAG" + bytes(125))
    assert len(read_samples(path)[0]) == 32000
    path.write_bytes(data + data)
    with pytest.raises(InputError, match="as joined files do"):
        audio_seconds(path)
    path.write_bytes(data[:-3])
    with pytest.raises(InputError, match="cut short within its last MP3"):
        audio_seconds(path)


def test_a_header_that_was_right_when_the_recording_began(tmp_path):
    path = tmp_path / "a.wav"
    body = FMT + chunk(b"data", SAMPLES + 10000 * b"\xf1", len(SAMPLES))
    path.write_bytes(chunk(b"RIFF", b"WAVE" + body))
    with pytest.raises(InputError, match="10000 bytes follow that the header"):
        audio_seconds(path)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\0\0\0\x20ftypM4A ", r"MPEG-4 .* convert it: ffmpeg -i .+x.wav"),
        (b"\0\0\0\x18ftyp3gp4", "3GP audio or video"),
        (b"\x1a\x45\xdf\xa3", "WebM or Matroska .* convert it: ffmpeg"),
        (bytes.fromhex("3026b2758e66cf11"), "Windows Media .*: ffmpeg"),
        (b"#!AMR\n", "AMR audio of a telephone, .*: ffmpeg"),
        (b"\xff\xf1\x50\x80", "AAC audio, .*: ffmpeg"),
        (b"wvpk", "WavPack audio, .*: ffmpeg"),
        (b"<!DOCTYPE html><html>", "a web page, as a failed download"),
        (b"\n  <html lang='en'>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "companion file of macOS"),
        (b"PK\3\4", "a ZIP archive; unpack it first"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.au", "x.gsm"])
def test_what_is_no_audio_is_said(head, message, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(head + bytes(range(256)) * 20)
    message = message.replace("x.wav", "x_new.wav" if name == "x.wav" else "")
    with pytest.raises(InputError, match=rf"{name}: is .*{message}"):
        audio_seconds(path)


def test_texts_empty_files_and_folders_are_said(tmp_path):
    path = tmp_path / "x.wav"
    for data, message in (
        (b"", "is empty"),
        (bytes(9000), "zero bytes"),
        (b"label,speaker\nhappy,Anna", "a text file, beginning with 'label,s"),
        ("Zürich, früh".encode(), "a text file, beginning with 'Zürich"),
        (b"\x07\x99 what is this?" * 50, "not readable as audio"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=rf"x\.wav: .*{message}"):
            audio_seconds(path)
    with pytest.raises(InputError, match="is a folder, not an audio file"):
        audio_seconds(tmp_path)
    with pytest.raises(InputError, match=r"no\.wav: there is no such file"):
        audio_seconds(tmp_path / "no.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="is a device"):
        audio_seconds(tmp_path / "pipe.wav")


def test_an_au_file_whose_header_is_damaged_is_not_read_as_noise(tmp_path):
    path = tmp_path / "a.au"
    soundfile.write(path, NOISE, 16000)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(InputError, match="has no AU header"):
        audio_seconds(path)


def test_floats_on_the_scale_of_integers_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, 32768 * NOISE, 16000, "FLOAT")
    with pytest.raises(
        InputError,
        match=r"a\.wav: the samples reach \d+.* divide them by",
    ):
        load_audio(path, MonoAudio())
    levels = Levels()
    soundfile.write(path, 5 * NOISE / np.abs(NOISE).max(), 16000, "FLOAT")
    load_audio(path, MonoAudio(), levels=levels)
    soundfile.write(path, 1.9 * NOISE / np.abs(NOISE).max(), 16000, "FLOAT")
    load_audio(path, MonoAudio(), levels=levels)
    assert levels.warnings() == [
        f"{path}: its samples reach 5, but audio lies between -1 and 1; check "
        "its scale"
    ]


@pytest.mark.parametrize("rate", [0, 1, 999, 2_000_000])
def test_an_impossible_sample_rate_is_refused(rate, tmp_path):
    path = tmp_path / "a.wav"
    fmt = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    path.write_bytes(chunk(b"RIFF", b"WAVE" + chunk(b"fmt ", fmt) + DATA))
    with pytest.raises(InputError, match=r"a\.wav: "):
        load_audio(path, MonoAudio())
