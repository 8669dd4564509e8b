"""Corpus readers: real URDU where it is, and small trees with faults."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile
from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_ptssnn.corpora.common import (
    Corpus,
    Utterance,
    check_counts,
    check_utterances,
    classes_of,
    find_corpus,
    map_labels,
    write_manifest,
)
from speechbrain_ptssnn.errors import InputError


def write_wav(path, seconds=0.1, rate=44100, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (int(seconds * rate), 2))
    soundfile.write(path, noise[:, :channels], rate)
    return path


@pytest.fixture
def urdu(tmp_path):
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
def test_urdu_refuses_names_it_does_not_know(urdu, name):
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
def test_urdu_refuses_audio_that_was_changed(urdu, changes, message):
    write_wav(urdu / "Sad/SM9_F1_S03.wav", **changes)
    with pytest.raises(InputError, match=message):
        read(urdu)


@pytest.mark.parametrize("n_bytes", [0, 10, 30])
def test_urdu_refuses_a_truncated_header(urdu, n_bytes):
    wav = write_wav(urdu / "Sad/SM9_F1_S03.wav")
    wav.write_bytes(wav.read_bytes()[:n_bytes])
    with pytest.raises(InputError, match=r"SM9_F1_S03\.wav"):
        read(urdu)


@pytest.mark.parametrize("folder", [None, "", "no/such/folder"])
def test_a_missing_folder_says_what_is_expected_and_where_it_is_had(folder):
    with pytest.raises(InputError, match=r"data_folder.*URDU.*Angry.*http"):
        read(folder)


def test_unknown_corpora_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"'nonsense'.*'urdu'"):
        find_corpus("nonsense")


def utterance(name, label):
    return Utterance(name, f"{label}/{name}.wav", "speaker", label, 1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no utterance"),
        ([("a", "sad"), ("a", "sad")], r"'a' .*twice.*sad/a\.wav"),
        ([("a", "glad")], r"glad/a\.wav.*'glad'.*'sad'"),
    ],
)
def test_what_no_training_can_use_is_refused(rows, message):
    corpus = Corpus("TOY", ("happy", "sad"), None)
    with pytest.raises(InputError, match=message):
        check_utterances(corpus, [utterance(*row) for row in rows])


@pytest.mark.parametrize("labels", [["sad"] * 3, ["sad"], []])
def test_counts_that_differ_are_listed(labels):
    rows = [utterance(str(k), label) for k, label in enumerate(labels)]
    message = rf"TOY: found \{{'sad': {len(labels)}\}}, expected \{{'sad': 2\}}"
    with pytest.raises(InputError, match=message):
        check_counts("TOY", rows, {"sad": 2}, "see README")
    check_counts("TOY", rows[:1] * 2, {"sad": len(rows[:1] * 2)}, "")


def test_a_manifest_is_speechbrains(tmp_path):
    rows = [utterance("b", "sad"), utterance("ä", "happy")]
    write_manifest(tmp_path / "all.json", rows)
    manifest = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert list(manifest) == ["b", "ä"]
    dataset = DynamicItemDataset.from_json(tmp_path / "all.json")
    dataset.set_output_keys(["id", "wav", "speaker", "label", "duration"])
    assert dataset[1] == {
        "id": "ä",
        "wav": "happy/ä.wav",
        "speaker": "speaker",
        "label": "happy",
        "duration": 1.0,
    }


def test_real_emovo_is_as_published(shared_data):
    utterances = find_corpus("EMOVO").read(shared_data / "EMOVO")
    check_utterances(find_corpus("EMOVO"), utterances)
    assert len(utterances) == 588
    # Balanced: 14 sentences for every speaker in every emotion.
    pairs = Counter((u.speaker, u.label) for u in utterances)
    assert len(pairs) == 6 * 7
    assert set(pairs.values()) == {14}
    sentences = {u.id.rpartition("-")[2] for u in utterances}
    assert len(sentences) == 14


def test_emovo_names_become_speaker_and_label(tmp_path):
    for name in ("m1/tri-m1-l3", "f2/rab-f2-b1"):
        write_wav(tmp_path / f"{name}.wav", rate=48000, channels=2)
    assert [
        (u.id, u.speaker, u.label)
        for u in find_corpus("EMOVO").read(tmp_path, complete=False)
    ] == [("rab-f2-b1", "f2", "anger"), ("tri-m1-l3", "m1", "sadness")]
    with pytest.raises(InputError, match=r"EMOVO.*'anger': 1.*84"):
        find_corpus("EMOVO").read(tmp_path)


@pytest.mark.parametrize(
    "name", ["f1/rab-f2-b1", "f1/xyz-f1-b1", "f1/noise", "m1/rab-f1-b1"]
)
def test_emovo_refuses_a_name_that_is_not_like_its_folder(tmp_path, name):
    wav = write_wav(tmp_path / f"{name}.wav", rate=48000, channels=2)
    with pytest.raises(InputError, match=wav.stem):
        find_corpus("EMOVO").read(tmp_path, complete=False)


def test_a_label_map_merges_and_leaves_out():
    corpus = Corpus("Cafe", ("calm", "glad", "cross"), read=None)
    given = [
        Utterance(label, "", "a", label, 1.0)
        for label in ("calm", "glad", "cross")
    ]
    label_map = {"calm": "low", "glad": None, "cross": "high"}
    assert classes_of(corpus, label_map) == ("low", "high")
    mapped = map_labels(given, label_map)
    assert [(u.id, u.label) for u in mapped] == [
        ("calm", "low"),
        ("cross", "high"),
    ]
    assert (classes_of(corpus, {}), map_labels(given, {})) == (
        corpus.labels,
        given,
    )


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        ({"calm": "low"}, r"must name each label.*'cross', 'glad'"),
        (
            {"calm": "a", "glad": "b", "cross": None, "sad": "c"},
            r"no other; see \['sad'\]",
        ),
        ({"calm": "a", "glad": "a", "cross": None}, "leaves 1 classes"),
    ],
)
def test_a_label_map_that_does_not_fit_is_refused(label_map, message):
    corpus = Corpus("Cafe", ("calm", "glad", "cross"), read=None)
    with pytest.raises(InputError, match=message):
        classes_of(corpus, label_map)
