"""SynthEmo: the same samples everywhere, balanced, and as its rules say."""

import ctypes
import hashlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.corpora import synthemo
from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.corpora.synthemo import (
    LABELS,
    PCM_SHA256,
    RULES,
    espeak_paths,
    make_synthemo,
    plan_synthemo,
    read_synthemo,
    speak,
)
from speechbrain_ptssnn.errors import InputError

README = Path(__file__).parents[3] / "recipes" / "SynthEmo" / "README.md"
TAKES = {take.id: take for take in plan_synthemo()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("SynthEmo")
    make_synthemo(folder)
    return folder


@pytest.fixture
def small(folder, tmp_path):
    """The first speaker's files only, to do harm to."""
    for wav in folder.glob("f1/*.wav"):
        copy = tmp_path / "f1" / wav.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(wav.read_bytes())
    return tmp_path


@pytest.fixture
def five_takes(monkeypatch):
    takes = plan_synthemo()[:5]
    monkeypatch.setattr(synthemo, "plan_synthemo", lambda: takes)
    return takes


def samples(wav):
    return soundfile.read(wav, dtype="int16")[0]


def fundamental(speech, rate=22050):
    """Median over frames of the autocorrelation's peak, 60 to 400 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(speech / 2**15, 1024)
    frames = frames[::512] - frames[::512].mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(frames, 2048)) ** 2
    correlation = np.fft.irfft(spectrum)[:, : rate // 60]
    lag = correlation[:, rate // 400 :].argmax(axis=1) + rate // 400
    peak = np.take_along_axis(correlation, lag[:, None], 1)[:, 0]
    return np.median(rate / lag[peak > 0.5 * correlation[:, 0] + 1e-3])


def high_share(speech, rate=22050):
    """Share of the energy above 2 kHz."""
    power = np.abs(np.fft.rfft(speech / 2**15)) ** 2
    return power[len(speech) * 2000 // rate :].sum() / power.sum()


def test_samples_are_the_recorded_ones(folder):
    digest = hashlib.sha256()
    for utterance in read_synthemo(folder):
        digest.update(samples(utterance.wav).astype("<i2").tobytes())
    assert digest.hexdigest() == PCM_SHA256


def test_samples_do_not_depend_on_what_was_spoken_before(folder):
    with espeak_paths() as paths:
        for take in reversed(plan_synthemo()[::53]):
            wav = folder / take.speaker / f"{take.id}.wav"
            np.testing.assert_array_equal(speak(take, *paths), samples(wav))


def test_every_speaker_says_every_sentence_with_every_emotion(folder):
    utterances = read_synthemo(folder)
    check_utterances(find_corpus("SynthEmo"), utterances)
    assert len(utterances) == 640
    assert [u.id for u in utterances] == sorted(TAKES)
    parts = [u.id.split("_") for u in utterances]
    speakers, languages, numbers, labels = map(set, zip(*parts, strict=True))
    assert [len(speakers), len(languages), len(numbers)] == [8, 5, 4]
    assert labels == set(LABELS)
    assert set(Counter(map(tuple, parts)).values()) == {1}
    for utterance, part in zip(utterances, parts, strict=True):
        assert (utterance.speaker, utterance.label) == (part[0], part[3])
        assert Path(utterance.wav).parent.name == part[0]
        assert utterance.text == TAKES[utterance.id].text
        assert 0.8 < utterance.duration < 2.6
    texts = Counter((take.text, take.label) for take in TAKES.values())
    assert set(texts.values()) == {8} and len(texts) == 5 * 4 * 4


def test_audio_follows_the_rules(folder):
    heard = {label: [] for label in LABELS}
    for utterance in read_synthemo(folder):
        speech = samples(utterance.wav)
        assert abs(speech.astype(int)).max() < 32767
        heard[utterance.label].append(
            (
                utterance.duration,
                fundamental(speech),
                np.sqrt(np.mean((speech / 2**15) ** 2)),
                high_share(speech),
            )
        )
    angry, happy, neutral, sad = (np.mean(heard[k], axis=0) for k in LABELS)
    assert angry[0] < happy[0] < neutral[0] < sad[0]
    assert happy[1] > angry[1] > neutral[1] > sad[1]
    assert angry[2] > happy[2] > neutral[2] > sad[2]
    assert angry[3] > happy[3] > neutral[3] > sad[3]


def test_tilt_leaves_constant_parts_and_amplifies_the_highest():
    take = TAKES["m3_en_01_neutral"]
    with espeak_paths() as paths:
        flat, tilted = (
            speak(
                replace(take, prosody=take.prosody._replace(tilt=tilt)),
                *paths,
            ).astype(float)
            for tilt in (0, 50)
        )
    wanted = (flat[1:] - 0.5 * flat[:-1]) / 0.5
    np.testing.assert_allclose(tilted[1:], wanted, atol=1)
    assert tilted[0] == flat[0]


def test_what_is_missing_is_made_and_the_rest_is_left(small, five_takes):
    wavs = [small / "f1" / f"{take.id}.wav" for take in five_takes]
    before = {wav: (wav.read_bytes(), wav.stat().st_mtime_ns) for wav in wavs}
    wavs[2].unlink()
    make_synthemo(small)
    assert wavs[2].read_bytes() == before[wavs[2]][0]
    for wav in wavs[:2] + wavs[3:]:
        assert wav.stat().st_mtime_ns == before[wav][1]


def test_a_write_that_fails_leaves_no_file(tmp_path, five_takes, monkeypatch):
    def full(part, *_, **__):
        part.write_bytes(b"RIFF")
        raise OSError("No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OSError, match="No space"):
        make_synthemo(tmp_path)
    assert not [path for path in tmp_path.glob("*/*") if path.is_file()]


def test_a_full_folder_needs_no_synthesizer(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert len(read_synthemo(folder)) == 640


def test_a_part_is_read_if_asked_for(small):
    assert len(read_synthemo(small, complete=False)) == 80


@pytest.mark.parametrize("given", [None, ""])
def test_the_folder_has_a_default(given, small, tmp_path, monkeypatch):
    (tmp_path / "work" / "data").mkdir(parents=True)
    (tmp_path / "work" / "data" / "SynthEmo").symlink_to(small)
    monkeypatch.chdir(tmp_path / "work")
    utterances = read_synthemo(given, complete=False)
    assert utterances[0].wav.startswith("data/SynthEmo/f1/f1_cmn_01_angry")


@pytest.mark.parametrize("name", ["f1/mine", "m3/f1_de_01_sad"])
def test_foreign_files_are_refused(name, small):
    (small / "m3").mkdir()
    wav = small / f"{name}.wav"
    wav.write_bytes((small / "f1" / "f1_de_01_sad.wav").read_bytes())
    with pytest.raises(InputError, match=rf"{name}.*remove it"):
        read_synthemo(small, complete=False)


def test_damaged_files_are_refused(small):
    wav = small / "f1" / "f1_de_01_sad.wav"
    wav.write_bytes(wav.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"f1_de_01_sad.*cut short"):
        read_synthemo(small, complete=False)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match="pip install espeakng-loader"):
        make_synthemo(tmp_path)


def test_a_library_that_does_not_load_is_named(tmp_path):
    library = tmp_path / "libespeak-ng.so"
    library.write_text("not a library")
    with (
        espeak_paths() as (_, data),
        pytest.raises(InputError, match=r"libespeak-ng.*pip install"),
    ):
        speak(plan_synthemo()[0], str(library), data)


def test_data_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with (
        espeak_paths() as (library, _),
        pytest.raises(InputError, match=r"nowhere.*22050.*pip install"),
    ):
        speak(plan_synthemo()[0], library, str(tmp_path / "nowhere"))


def test_data_may_lie_deep(folder, tmp_path, monkeypatch):
    with espeak_paths() as (library, data):
        deep = tmp_path.joinpath(*["a" * 60] * 4, "espeak-ng-data")
        deep.parent.mkdir(parents=True)
        deep.symlink_to(data)
    loader = sys.modules["espeakng_loader"]
    monkeypatch.setattr(loader, "get_data_path", lambda: str(deep))
    with espeak_paths() as (library, data):
        assert len(data) < 140 < len(str(deep))
        speech = speak(TAKES["steph_ur_04_sad"], library, data)
    wav = folder / "steph" / "steph_ur_04_sad.wav"
    np.testing.assert_array_equal(speech, samples(wav))
    assert not Path(data).exists()


def test_a_library_in_use_is_refused_and_left_alone():
    with espeak_paths() as (library, data):
        other = ctypes.CDLL(library)
        assert other.espeak_Initialize(2, 0, data.encode(), 0x8000) == 22050
        try:
            with pytest.raises(InputError, match="in use by other code"):
                speak(plan_synthemo()[0], library, data)
            assert other.espeak_SetVoiceByName(b"de+m3") == 0
        finally:
            other.espeak_Terminate()
            synthemo.unload(other)
        assert len(speak(plan_synthemo()[0], library, data))


def test_the_rules_in_the_readme_are_those_of_the_code():
    lines = README.read_text(encoding="utf-8").splitlines()
    for label, rule in RULES.items():
        row = next(line for line in lines if line.startswith(f"| {label} "))
        cells = [float(cell) for cell in row.split("|")[2:-1]]
        assert cells == list(rule)
