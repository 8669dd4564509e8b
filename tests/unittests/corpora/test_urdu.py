"""URDU: the real corpus where it is, and small trees with faults."""

from collections import Counter, defaultdict

import pytest
import soundfile

from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError


@pytest.fixture
def urdu(tmp_path, write_wav):
    """URDU's layout in miniature, written in an order that is not sorted."""
    for name in ("Sad/SF2_F1_S02", "Angry/SM1_F10_A010", "Happy/SM1_F2_H1"):
        write_wav(tmp_path / f"{name}.wav")
    return tmp_path


def read(folder, complete=False):
    return find_corpus("urdu").read(folder, complete=complete)


def test_real_urdu_is_as_published(shared_data):
    utterances = find_corpus("URDU").read(shared_data / "URDU")
    check_utterances(find_corpus("URDU"), utterances)
    assert Counter(u.label for u in utterances) == dict.fromkeys(
        ("Angry", "Happy", "Neutral", "Sad"), 100
    )
    ids = [u.id for u in utterances]
    assert ids == sorted(set(ids))
    emotions = defaultdict(set)
    for u in utterances:
        emotions[u.speaker].add(u.label)
    assert len(emotions) == 29
    assert sum(len(labels) == 1 for labels in emotions.values()) == 26
    for u in utterances[::50]:
        info = soundfile.info(u.wav)
        assert u.duration == info.frames / 44100
        assert 0.5 < u.duration < 10


def test_urdu_names_become_speaker_and_label(urdu):
    assert [(u.id, u.speaker, u.label) for u in read(urdu)] == [
        ("SF2_F1_S02", "SF2", "Sad"),
        ("SM1_F10_A010", "SM1", "Angry"),
        ("SM1_F2_H1", "SM1", "Happy"),
    ]
    assert {u.duration for u in read(urdu)} == {0.1}
    assert all(
        (urdu / u.label).samefile(u.wav.rpartition("/")[0]) for u in read(urdu)
    )


def test_urdu_with_files_missing_says_what_was_found(urdu):
    with pytest.raises(
        InputError, match=r"URDU.*'Angry': 1.*'Neutral': 0.*100"
    ):
        read(urdu, complete=True)


@pytest.mark.parametrize(
    "name",
    [
        "Happy/SM1_F10_A011",  # angry in the folder of happy
        "Angry/SM1_A010",
        "Angry/SX1_F10_A010",
        "Angry/SM1_F10_A010 (1)",
        "Angry/SM1_F10_X010",
    ],
)
def test_urdu_refuses_names_it_does_not_know(urdu, name, write_wav):
    write_wav(urdu / f"{name}.wav")
    stem = name.split("/")[1].replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(InputError, match=rf"{stem}\.wav"):
        read(urdu)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 16000}, r"SM9.*sample rate.*16000.*44100"),
        ({"channels": 2}, r"SM9.*2 channels.*1"),
        ({"seconds": 0}, r"SM9.*0 samples"),
    ],
)
def test_urdu_refuses_audio_that_was_changed(urdu, changes, message, write_wav):
    write_wav(urdu / "Sad/SM9_F1_S03.wav", **changes)
    with pytest.raises(InputError, match=message):
        read(urdu)


@pytest.mark.parametrize("n_bytes", [0, 10, 30])
def test_urdu_refuses_a_truncated_header(urdu, n_bytes, write_wav):
    wav = write_wav(urdu / "Sad/SM9_F1_S03.wav")
    wav.write_bytes(wav.read_bytes()[:n_bytes])
    with pytest.raises(InputError, match=r"SM9_F1_S03\.wav"):
        read(urdu)


@pytest.mark.parametrize("folder", [None, "", "no/such/folder"])
def test_a_missing_folder_says_what_is_expected_and_where_it_is_had(folder):
    with pytest.raises(InputError, match=r"data_folder.*URDU.*Angry.*http"):
        read(folder)
