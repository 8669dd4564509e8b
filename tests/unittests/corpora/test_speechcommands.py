"""Speech Commands: miniature trees, against torchaudio's reader; faults."""

import logging
import shutil
from collections import Counter

import pytest
from torchaudio.datasets import SPEECHCOMMANDS

from speechbrain_ptssnn.corpora.checks import check_utterances
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.corpora.given_folds import FoldColumn
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.corpora.speechcommands import COUNTS, RELEASE
from speechbrain_ptssnn.errors import InputError

CORPUS = find_corpus("SpeechCommands")
PARTS = {"train": "training", "valid": "validation", "test": "testing"}
TEST, VALID = "testing_list.txt", "validation_list.txt"


@pytest.fixture
def tree(mini_corpus, tmp_path):
    """105 files of three speakers, a part each; it may be changed."""
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    shutil.copytree(mini_corpus("SpeechCommands"), folder)
    return folder


def read(folder, complete=False):
    return CORPUS.read(folder, complete=complete)


def add(folder, name, text):
    path = folder / name
    path.write_text(f"{path.read_text()}{text}\n")


def test_the_miniature_is_read_as_torchaudio_reads_it(tree):
    utterances = read(tree)
    check_utterances(CORPUS, utterances)
    assert [u.id for u in utterances] == sorted(u.id for u in utterances)
    for part, subset in PARTS.items():
        theirs = SPEECHCOMMANDS(tree.parents[1], subset=subset)
        rows = map(theirs.get_metadata, range(len(theirs)))
        expected = {
            (str(tree.parent / path), label, speaker)
            for path, _, label, speaker, _ in rows
        }
        ours = [u for u in utterances if u.fold == part]
        assert len(ours) == len(theirs) == 35
        assert {(u.wav, u.label, u.speaker) for u in ours} == expected


def test_the_counts_are_the_published_ones(tmp_path):
    assert (len(COUNTS), sum(COUNTS.values())) == (35, 105829)
    assert RELEASE.counts["fold"] == {
        "train": 84843,
        "valid": 9981,
        "test": 11005,
    }
    assert sum(RELEASE.counts["fold"].values()) == 105829
    folds = [f for f, n in RELEASE.counts["fold"].items() for _ in range(n)]
    labels = [word for word, n in COUNTS.items() for _ in range(n)]
    whole = [
        Utterance(str(k), "", "s", label, 1.0, fold=fold)
        for k, (label, fold) in enumerate(zip(labels, folds, strict=True))
    ]
    RELEASE.check(tmp_path, whole)
    with pytest.raises(
        InputError, match=r"'backward': 1663\}, expected \{'backward': 1664\}"
    ):
        RELEASE.check(tmp_path, whole[1:])


def test_wrong_lists_give_wrong_counts(tmp_path):
    whole = [
        Utterance(f"{word}{k}", "", "s", word, 1.0, fold="train")
        for word, n in COUNTS.items()
        for k in range(n)
    ]
    with pytest.raises(
        InputError, match=r"'test': 0, 'train': 105829.*'test': 11005.*by fold"
    ):
        RELEASE.check(tmp_path, whole)


def test_the_lists_are_the_protocol_and_share_no_speaker(tree):
    (fold,) = FoldColumn("speaker", seed=1).split(read(tree))
    assert {len(part) for part in vars(fold).values()} == {35}
    wav = tree / "yes" / "0165e0e8_nohash_0.wav"
    shutil.copy(wav, wav.with_name("0165e0e8_nohash_1.wav"))
    add(tree, TEST, "yes/0165e0e8_nohash_1.wav")
    with pytest.raises(InputError, match=r"a speaker .* in two: '0165e0e8'"):
        FoldColumn("speaker", seed=1).split(read(tree))
    (fold,) = FoldColumn("utterance", seed=1).split(read(tree))
    assert "yes-0165e0e8_nohash_1" in fold.test


@pytest.mark.parametrize("name", [TEST, VALID])
@pytest.mark.parametrize("complete", [True, False])
def test_a_missing_list_is_named(name, complete, tree):
    (tree / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: is missing; .*http"):
        read(tree, complete)


def test_a_list_that_is_no_text_is_named(tree):
    (tree / VALID).write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match=rf"{VALID}: cannot be read"):
        read(tree)


def test_a_file_in_both_lists_is_named(tree):
    add(tree, VALID, "yes/ffd2ba2f_nohash_0.wav")
    with pytest.raises(
        InputError, match=r"both name 1 files: yes/ffd2ba2f_nohash_0\.wav"
    ):
        read(tree)


def test_a_listed_file_that_is_missing_is_named(tree, caplog):
    add(tree, TEST, "yes/ffd2ba2f_nohash_7.wav")
    message = "1 files of validation_list.txt and testing_list.txt are missing"
    with pytest.raises(
        InputError, match=rf"{message}: yes/ffd2ba2f_nohash_7\.wav; a partial"
    ):
        read(tree, complete=True)
    with caplog.at_level(logging.WARNING):
        assert len(read(tree)) == 105
    assert message in caplog.text
    assert "has 105 of the 105829 utterances" in caplog.text


@pytest.mark.parametrize("name", ["quick/0165e0e8_nohash_0", "yes/hello"])
def test_a_file_of_no_word_is_named(name, tree, write_wav):
    write_wav(tree / f"{name}.wav", rate=16000)
    with pytest.raises(InputError, match=rf"{name}\.wav: the path is not like"):
        read(tree)


def test_lists_written_on_windows_are_read(tree):
    for name in (TEST, VALID):
        text = (tree / name).read_text()
        (tree / name).write_text(text, newline="\r\n")
    assert Counter(u.fold for u in read(tree)) == dict.fromkeys(PARTS, 35)


@pytest.mark.parametrize("complete", [True, False])
def test_version_1_is_refused(complete, tree):
    for word in ("backward", "follow", "forward", "learn", "visual"):
        shutil.rmtree(tree / word)
    with pytest.raises(
        InputError, match=r"is version 1 .* get version 2 from http"
    ):
        read(tree, complete)


def test_a_part_of_the_words_is_read(tree):
    for word in set(COUNTS) - {"yes", "no"}:
        shutil.rmtree(tree / word)
    assert Counter(u.label for u in read(tree)) == {"yes": 3, "no": 3}


def test_noise_is_not_read(tree):
    assert (tree / "_background_noise_" / "white_noise.wav").is_file()
    assert all("noise_/" not in u.wav for u in read(tree))


def test_audio_of_another_rate_is_refused(tree, write_wav):
    write_wav(tree / "yes" / "00000000_nohash_0.wav", rate=8000)
    with pytest.raises(InputError, match=r"8000 Hz.*16000 Hz"):
        read(tree)
