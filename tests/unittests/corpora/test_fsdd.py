"""FSDD: the real corpus where it is, its protocols, and faults."""

from collections import Counter
from pathlib import Path

import pytest

from speechbrain_ptssnn.corpora.checks import (
    check_same_audio,
    check_utterances,
)
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.features.recordings import recording
from speechbrain_ptssnn.training.hyperparams import Hyperparams

ROOT = Path(__file__).resolve().parents[3]
FSDD = find_corpus("FSDD")
PARTS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def real(shared_data):
    return FSDD.read(shared_data / "FSDD")


def folds_of(protocol, utterances):
    hparams = Hyperparams(
        ROOT / "hparams" / "linear_probe.yaml",
        {"backbone": "fbank", "protocol": protocol},
        ROOT / "recipes" / "FSDD",
        corpus="FSDD",
        n_classes=10,
    ).build()
    return hparams["protocol"].split(utterances)


def test_real_fsdd_is_as_published(real):
    check_utterances(FSDD, real)
    pairs = Counter((u.speaker, u.label) for u in real)
    assert len(pairs) == 6 * 10
    assert set(pairs.values()) == {50}
    digit, _, index = zip(*(u.id.split("_") for u in real), strict=True)
    assert [FSDD.labels[int(d)] for d in digit] == [u.label for u in real]
    assert Counter(map(int, index)) == dict.fromkeys(range(50), 60)


def test_real_fsdd_has_no_recording_twice_and_none_silent(real, caplog):
    recordings = {u.id: recording(u.wav, "louder") for u in real}
    assert len(set(recordings.values()) - {b""}) == 3000
    folds = folds_of("authors", real)
    caplog.clear()
    check_same_audio(real, folds, recordings)
    assert not caplog.text


def test_the_authors_split_tests_the_first_five_of_each(real):
    (fold,) = folds_of("authors", real)
    by_id = {u.id: u for u in real}
    for part, indices in zip(
        PARTS, (range(10, 50), range(5, 10), range(5)), strict=True
    ):
        expected = {u.id for u in real if int(u.id.split("_")[2]) in indices}
        assert set(getattr(fold, part)) == expected
        pairs = Counter(
            (by_id[name].speaker, by_id[name].label) for name in expected
        )
        assert len(pairs) == 60
        assert set(pairs.values()) == {len(indices)}


def test_speaker_folds_share_no_speaker(real):
    folds = folds_of("speaker", real)
    speakers = {u.id: u.speaker for u in real}
    tested = []
    for fold in folds:
        found = [{speakers[n] for n in getattr(fold, part)} for part in PARTS]
        assert [len(each) for each in found] == [4, 1, 1]
        assert len(set().union(*found)) == 6
        tested += found[2]
    assert sorted(tested) == sorted(set(speakers.values()))


def test_random_folds_test_each_recording_once(real):
    folds = folds_of("random", real)
    tested = [name for fold in folds for name in fold.test]
    assert sorted(tested) == [u.id for u in real]
    labels = {u.id: u.label for u in real}
    for fold in folds:
        counts = Counter(labels[name] for name in fold.test)
        assert counts == dict.fromkeys(FSDD.labels, 30)


def test_names_become_digit_speaker_and_part(tmp_path, write_wav):
    for name in ("7_jackson_32", "0_theo_4", "9_lucas_9"):
        write_wav(tmp_path / "recordings" / f"{name}.wav", rate=8000)
    assert [
        (u.id, u.speaker, u.label, u.fold, u.duration)
        for u in FSDD.read(tmp_path, complete=False)
    ] == [
        ("0_theo_4", "theo", "zero", "test", 0.1),
        ("7_jackson_32", "jackson", "seven", "train", 0.1),
        ("9_lucas_9", "lucas", "nine", "valid", 0.1),
    ]


def test_another_sample_rate_is_refused(tmp_path, write_wav):
    write_wav(tmp_path / "recordings" / "7_jackson_32.wav", rate=16000)
    with pytest.raises(InputError, match=r"7_jackson_32.*16000 Hz.*8000 Hz"):
        FSDD.read(tmp_path, complete=False)
