"""The same recording, written in many ways, is recognised; another is not."""

import os
import sqlite3
import struct

import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.backbones import Fbank
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features import audio_hashes
from speechbrain_ptssnn.features import recordings as recordings_module
from speechbrain_ptssnn.features.recordings import SILENT, recording
from speechbrain_ptssnn.features.store import FeatureStore

NOISE = np.random.default_rng(0).integers(-9000, 9000, 8000).astype("int16")
FLOATS = NOISE / 2**15


def with_comment(path):
    soundfile.write(path, NOISE, 16000)
    text = b"LIST" + struct.pack("<I", 12) + b"INFOICMTabcd"
    data = bytearray(path.read_bytes() + text)
    data[4:8] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)


def written(samples=NOISE, ending="wav", rate=16000, **options):
    return ending, lambda path: soundfile.write(path, samples, rate, **options)


SAME = {
    "comment": ("wav", with_comment),
    "flac": written(ending="flac"),
    "aiff": written(ending="aiff"),
    "wavex": written(format="WAVEX"),
    "24 bit": written(FLOATS, subtype="PCM_24"),
    "float": written(FLOATS, subtype="FLOAT"),
    "double": written(FLOATS, subtype="DOUBLE"),
    "stereo": written(np.stack([NOISE, NOISE], 1)),
    "right channel": written(np.stack([0 * NOISE, NOISE], 1)),
    "negative zeros": written(np.where(FLOATS, FLOATS, -0.0), subtype="FLOAT"),
    "silence around": written(np.pad(NOISE, (160, 800))),
}
OTHER = {
    "one sample": written(np.where(np.arange(8000) == 99, 1, NOISE)),
    "another rate": written(rate=8000),
    "a part": written(NOISE[:7999]),
}


@pytest.fixture
def original(tmp_path):
    soundfile.write(tmp_path / "original.wav", NOISE, 16000)
    return recording(tmp_path / "original.wav", "louder")


@pytest.mark.parametrize("way", SAME)
def test_the_same_recording_is_recognised(way, original, tmp_path):
    ending, write = SAME[way]
    path = tmp_path / f"copy.{ending}"
    write(path)
    assert path.read_bytes() != (tmp_path / "original.wav").read_bytes()
    assert recording(path, "louder") == original


@pytest.mark.parametrize("way", OTHER)
def test_another_recording_is_another(way, original, tmp_path):
    ending, write = OTHER[way]
    write(tmp_path / f"other.{ending}")
    assert recording(tmp_path / f"other.{ending}", "louder") != original


def test_a_part_is_the_recording_of_the_same_part_cut_out(original, tmp_path):
    longer = np.concatenate([NOISE[::-1], NOISE])
    soundfile.write(tmp_path / "longer.flac", longer, 16000)
    assert recording(tmp_path / "longer.flac", "louder", 0.5) == original
    assert recording(tmp_path / "longer.flac", "louder") != original


def test_channels_count_as_they_are_chosen(original, tmp_path):
    both = np.stack([NOISE[::-1], NOISE], 1)
    soundfile.write(tmp_path / "both.wav", both, 16000)
    assert recording(tmp_path / "both.wav", 1) == original
    assert recording(tmp_path / "both.wav", 0) != original
    with pytest.raises(InputError, match=r"both\.wav: there is no channel 2"):
        recording(tmp_path / "both.wav", 2)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_equal_samples_are_silence(level, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(800, level), 16000)
    assert recording(tmp_path / "a.wav", "louder") == SILENT


@pytest.fixture
def open_store(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_hashes, "RACY_NS", 0)  # as if files were old
    rows = []
    for name, samples in {"a": NOISE, "b": NOISE, "c": 0 * NOISE}.items():
        wav = tmp_path / f"{name}.{'flac' if name == 'b' else 'wav'}"
        soundfile.write(wav, samples, 16000)
        rows.append(Utterance(name, str(wav), "s", "calm", 0.5))

    def call():
        return FeatureStore(tmp_path / "store", Fbank(), rows)

    return call


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded, in their order."""
    paths = []

    def count(path, *arguments):
        paths.append(path[-6:].lstrip("/"))
        return original(path, *arguments)

    original = recordings_module.recording
    monkeypatch.setattr(recordings_module, "recording", count)
    return paths


def test_a_store_knows_its_recordings_and_decodes_once(open_store, decoded):
    found = open_store().recordings(False)
    assert found["a"] == found["b"] and len(found["a"]) == 16
    assert found["c"] == SILENT
    assert decoded == ["a.wav", "b.flac", "c.wav"]
    assert open_store().recordings(False) == found
    assert len(decoded) == 3


def test_a_store_of_an_earlier_version_needs_no_new_features(
    open_store, decoded
):
    store = open_store()
    assert store.fill(False) == 3
    with sqlite3.connect(store.folder / "index.sqlite") as index:
        index.execute("DROP TABLE heard")
    store = open_store()
    assert len(store.recordings(False)) == 3
    assert store.fill(False) == 0
    assert len(decoded) == 3


@pytest.mark.parametrize("known", [True, False])
def test_a_read_only_store_is_only_read(
    known, open_store, decoded, monkeypatch
):
    store = open_store()
    found = store.recordings(False)
    if not known:
        with sqlite3.connect(store.folder / "index.sqlite") as index:
            index.execute("DROP TABLE heard")
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = {p: p.read_bytes() for p in store.folder.iterdir()}
    assert open_store().recordings(False) == found
    assert {p: p.read_bytes() for p in store.folder.iterdir()} == before
    assert len(decoded) == (3 if known else 6)


def test_all_unusable_audio_is_one_error(open_store, tmp_path):
    store = open_store()
    for name in ("a.wav", "c.wav"):
        (tmp_path / name).write_bytes(b"no audio")
    with pytest.raises(InputError, match=r"2 audio files .*a\.wav.*c\.wav"):
        store.recordings(False)
