"""Is this the corpus as it was published? Else, what is likely wrong?"""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from speechbrain_ptssnn.corpora import iemocap
from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
SIZES = {
    "IEMOCAP": 5531,
    "CASIA": 1200,
    "EMODB": 535,
    "EMOVO": 588,
    "URDU": 400,
}
ALL = [*SIZES, "FSDD", "SpeechCommands"]
# EmoBox's spelling of what we call otherwise.
OURS = {
    "CASIA": {},
    "EMODB": {"boredem": "boredom", "happy": "happiness", "sad": "sadness"},
    "EMOVO": {
        "dis": "disgust",
        "gio": "joy",
        "neu": "neutral",
        "pau": "fear",
        "rab": "anger",
        "sor": "surprise",
        "tri": "sadness",
    },
    "URDU": {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"},
}


def release(corpus):
    name = f"speechbrain_ptssnn.corpora.{corpus.lower()}"
    return import_module(name).RELEASE


def emobox_rows(emobox, corpus):
    name = corpus.lower()
    return map(json.loads, (emobox / name / f"{name}.jsonl").open())


@pytest.mark.parametrize(("corpus", "size"), SIZES.items())
def test_the_published_corpus_passes(corpus, size, listed, tmp_path):
    utterances = listed(corpus)
    assert len(utterances) == size
    check_utterances(find_corpus(corpus), utterances)
    release(corpus).check(tmp_path, utterances)


@pytest.mark.parametrize("corpus", OURS)
def test_labels_are_emoboxes(corpus, emobox, listed):
    for row, ours in zip(
        emobox_rows(emobox, corpus), listed(corpus), strict=True
    ):
        assert ours.label == OURS[corpus].get(row["emo"], row["emo"])


def test_iemocaps_annotations_give_emoboxes_labels_and_paths(
    emobox, listed, annotate_iemocap, tmp_path
):
    rows = list(emobox_rows(emobox, "IEMOCAP"))
    names = [row["wav"].removeprefix("downloads/iemocap/") for row in rows]
    codes = [row["emo"] for row in rows]
    annotate_iemocap(tmp_path, zip(names, codes, strict=True))
    found = {}
    for path in tmp_path.glob("Session?/dialog/EmoEvaluation/S*.txt"):
        found |= iemocap.read_labels(path)
    assert found == {u.id: u.label for u in listed("IEMOCAP")}
    assert [iemocap.wav_path(Path(n).stem).as_posix() for n in names] == names
    happy = sum(code in ("hap", "exc") for code in codes)
    assert Counter(found.values())["happy"] == happy == 1636


@pytest.mark.parametrize("corpus", ["URDU", "EMOVO"])
def test_real_files_are_those_of_the_list(corpus, shared_data, listed):
    real = find_corpus(corpus).read(shared_data / corpus)
    expected = {u.id: u for u in listed(corpus)}
    assert len(real) == len(expected)
    for u in real:
        there = expected[u.id]
        assert u.duration == pytest.approx(there.duration, abs=1e-3)
        assert replace(u, wav="", duration=0) == replace(
            there, wav="", duration=0
        )
        assert u.sex in ("f", "m")


@pytest.mark.parametrize("corpus", SIZES)
def test_the_readmes_table_counts_speakers_and_labels(corpus, listed):
    text = (ROOT / "recipes" / corpus / "README.md").read_text()
    table = text[text.index("| speaker |") :].splitlines()
    rows = [[c.strip() for c in row.strip("| ").split("|")] for row in table]
    labels = rows[0][1:]
    written = {
        (row[0], label): int(n)
        for row in rows[2:]
        for label, n in zip(labels, row[1:], strict=True)
        if n != "0"
    }
    assert written == Counter((u.speaker, u.label) for u in listed(corpus))
    assert labels == list(find_corpus(corpus).labels)


@pytest.mark.parametrize("corpus", ALL)
def test_a_part_is_no_release(corpus, mini_corpus):
    folder = mini_corpus(corpus)
    with pytest.raises(
        InputError, match=rf"{corpus}: found \{{.*expected .*partial download"
    ):
        find_corpus(corpus).read(folder)


def test_more_than_was_published_is_another_release(listed, tmp_path):
    utterances = listed("EMODB")
    copy = replace(utterances[0], id="copy")
    with pytest.raises(
        InputError,
        match=r"EMODB: found \{'anger': 128\}, expected \{'anger': 127\} by "
        r"label; another release, copies\?",
    ):
        release("EMODB").check(tmp_path, [*utterances, copy])
    other = replace(utterances[0], speaker="03" * 2)
    with pytest.raises(
        InputError, match=r"'03': 48, '0303': 1.*'03': 49, '0303': 0.*speaker"
    ):
        release("EMODB").check(tmp_path, [*utterances[1:], other])


@pytest.mark.parametrize("corpus", ALL)
def test_the_folder_around_or_inside_is_told_from_the_release(
    corpus, mini_corpus, tmp_path
):
    folder = mini_corpus(corpus)
    read = find_corpus(corpus).read
    deep = tmp_path / "download" / "unpacked"
    deep.mkdir(parents=True)
    shutil.copytree(folder, deep / "My release")
    for outer in (deep, deep.parent):
        with pytest.raises(
            InputError,
            match=rf"lies inside it: use --data_folder={deep}/My release$",
        ):
            read(outer, complete=False)
    inner = min(path for path in folder.iterdir() if path.is_dir())
    with pytest.raises(InputError, match=rf"around it: use .*={folder}$"):
        read(inner, complete=False)
    assert read(deep / "My release", complete=False)


def test_another_folder_is_told_by_what_it_holds(tmp_path):
    (tmp_path / "holidays").mkdir()
    with pytest.raises(
        InputError, match=r"holds \['holidays'\]: CASIA needs .*chineseldc"
    ):
        find_corpus("CASIA").read(tmp_path)


def test_folders_unpacked_into_themselves_are_told(mini_corpus):
    folder = mini_corpus("URDU")
    inner = folder / "Sad" / "Sad"
    inner.mkdir()
    for wav in (folder / "Sad").glob("*.wav"):
        wav.rename(inner / wav.name)
    with pytest.raises(
        InputError, match=rf"10 files lie deeper, such as {inner}/SM10_F9_S9"
    ):
        find_corpus("URDU").read(folder)


@pytest.mark.parametrize("corpus", ALL)
def test_twins_that_macos_leaves_are_not_read(corpus, mini_corpus):
    folder = mini_corpus(corpus)
    before = find_corpus(corpus).read(folder, complete=False)
    for wav in list(folder.rglob("*.wav")):
        wav.with_name(f"._{wav.name}").write_bytes(b"\0\5\x16\7")
    assert find_corpus(corpus).read(folder, complete=False) == before


@pytest.mark.parametrize(
    ("corpus", "path"),
    [
        ("CASIA", "wangzhe/neutral/200.wav"),
        ("CASIA", "wangzhe/neutral/251.wav"),
        ("CASIA", "wangzhe/calm/201.wav"),
        ("CASIA", "someone/sad/201.wav"),
        ("EMODB", "wav/03a01Xa.wav"),
        ("EMODB", "wav/04a01Fa.wav"),
        ("EMODB", "wav/03a03Fa.wav"),
        ("EMODB", "wav/03a01Fa (1).wav"),
        ("IEMOCAP", "Ses06F_impro01_F000.wav"),
        ("IEMOCAP", "Ses01F_impro01.wav"),
        ("FSDD", "recordings/7_jackson_50.wav"),
        ("FSDD", "recordings/7_jackson_05.wav"),
        ("FSDD", "recordings/10_jackson_5.wav"),
        ("FSDD", "recordings/7_someone_5.wav"),
        ("SpeechCommands", "quick/0165e0e8_nohash_0.wav"),
        ("SpeechCommands", "yes/0165e0e8.wav"),
        ("SpeechCommands", "yes/0165e0e8_nohash_0.wav.wav"),
    ],
)
def test_names_that_are_not_the_corpus_are_refused(corpus, path):
    with pytest.raises(InputError, match=re.escape(path)):
        release(corpus).utterance(Path(path))


@pytest.mark.parametrize("corpus", ALL)
def test_files_that_end_in_capitals_are_read(corpus, mini_corpus):
    folder = mini_corpus(corpus)
    before = find_corpus(corpus).read(folder, complete=False)
    for wav in list(folder.rglob("*.wav"))[::2]:
        wav.rename(wav.with_suffix(".WAV"))
    after = find_corpus(corpus).read(folder, complete=False)
    assert [u.id for u in after] == [u.id for u in before]


def test_files_that_are_left_out_are_counted(mini_corpus, caplog):
    folder = mini_corpus("EMODB")
    wavs = sorted(folder.rglob("*.wav"))
    for wav in wavs[:5]:
        wav.rename(wav.with_suffix(".flac"))
    (folder / "more").mkdir()
    wavs[5].rename(folder / "more" / wavs[5].name)
    assert len(find_corpus("EMODB").read(folder, False)) == len(wavs) - 6
    assert f"has {len(wavs) - 6} of the 535 utterances" in caplog.text
    assert "6 audio files are left out, since they are not" in caplog.text
    assert "more/" in caplog.text and "and 3 more, all listed" in caplog.text


def test_the_tilde_is_the_home_folder(mini_corpus, monkeypatch):
    folder = mini_corpus("URDU")
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(find_corpus("URDU").read("~/URDU", complete=False)) == 40
