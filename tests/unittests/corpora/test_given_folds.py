"""Folds that others assigned: EmoBox's published ones, one's own column."""

import json
from pathlib import Path

import pytest

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.corpora.given_folds import EmoBoxFolds, FoldColumn
from speechbrain_ptssnn.errors import InputError

UNITS = {
    "IEMOCAP": "session",
    "CASIA": "speaker",
    "EMODB": "utterance",
    "EMOVO": "speaker",
    "URDU": "utterance",
}


@pytest.mark.parametrize(
    ("corpus", "sizes"),
    [
        ("IEMOCAP", [1085, 1023, 1151, 1031, 1241]),
        ("CASIA", [300] * 4),
        ("EMODB", [107] * 5),
        ("EMOVO", [98] * 6),
        ("URDU", [100]),
    ],
)
def test_emobox_folds_are_the_published_ones(corpus, sizes, emobox, listed):
    folder = emobox / corpus.lower()
    utterances = listed(corpus)
    ids = {u.wav: u.id for u in utterances}
    folds = EmoBoxFolds(folder, UNITS[corpus], 1234, 3).split(utterances)
    assert [len(fold.test) for fold in folds] == sizes
    for number, fold in enumerate(folds, 1):
        (test,) = (folder / f"fold_{number}").glob("*_test_*.jsonl")
        wavs = [json.loads(line)["wav"] for line in test.open()]
        assert fold.test == sorted(ids[wav] for wav in wavs)
        assert not set(fold.train) & set(fold.valid)
        assert {*fold.train, *fold.valid, *fold.test} == set(ids.values())


def write_list(folder, fold, part, names):
    path = folder / f"fold_{fold}" / f"toy_{part}_fold_{fold}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(
            json.dumps({"key": name, "wav": f"downloads/toy/{name}.wav"}) + "\n"
            for name in names
        )
    )
    return path


def toy(names="abcdef"):
    return [
        Utterance(name, f"/my data/Toy/S/{name}.wav", f"s{k % 3}", "x", 1.0)
        for k, name in enumerate(names)
    ]


@pytest.fixture
def lists(tmp_path):
    write_list(tmp_path, 1, "train", ["s/a", "s/b", "s/c", "s/d"])
    write_list(tmp_path, 1, "test", ["s/e", "s/f"])
    return tmp_path


def split(folder, utterances=None, unit="utterance"):
    return EmoBoxFolds(folder, unit, 1, 2).split(utterances or toy())


def test_emobox_validation_is_cut_out_of_training_or_read(lists):
    (fold,) = split(lists)
    assert fold.test == ["e", "f"]
    assert sorted(fold.train + fold.valid) == ["a", "b", "c", "d"]
    assert len(fold.valid) == 2
    write_list(lists, 1, "train", ["s/a", "s/b", "s/c"])
    write_list(lists, 1, "valid", ["s/d"])
    (fold,) = split(lists)
    assert (fold.train, fold.valid) == (["a", "b", "c"], ["d"])


def test_fold_10_is_not_the_second(lists):
    for number in range(2, 11):
        names = "abcdef"[number % 5 :][:2]
        write_list(lists, number, "test", [f"s/{n}" for n in names])
        rest = [f"s/{n}" for n in "abcdef" if n not in names]
        write_list(lists, number, "train", rest)
    assert [fold.test for fold in split(lists)] == [
        ["e", "f"],
        *(list("abcdef"[k % 5 :][:2]) for k in range(2, 11)),
    ]


def test_what_the_lists_have_beyond_the_corpus_is_told(lists, caplog):
    (fold,) = split(lists, toy("abcde"))
    assert fold.test == ["e"]
    assert [r.message for r in caplog.records] == [
        f"{lists} lists 1 files that are not in the corpus: s/f.wav"
    ]


def test_what_no_list_has_is_an_error(lists):
    message = r"fold_1: no list names 1 of .* /my data/Toy/S/g\.wav"
    with pytest.raises(InputError, match=message):
        split(lists, toy("abcdefg"))


def test_emobox_lists_that_leak_are_refused(lists):
    with pytest.raises(
        InputError, match=r"a speaker .* 2 are in two: 's1'; 's2'"
    ):
        split(lists, unit="speaker")
    write_list(lists, 1, "test", ["s/a", "s/e", "s/f"])
    with pytest.raises(InputError, match=r"a utterance .* 1 are in two: 'a'"):
        split(lists)


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_a_folder_that_is_not_emoboxes_is_named(folder):
    with pytest.raises(InputError, match=f"emobox_folder='{folder}' has no"):
        split(folder)


@pytest.mark.parametrize("line", ["not json", "[1]", '{"key": "a"}', "3"])
def test_a_list_that_can_not_be_read_is_named_with_its_line(lists, line):
    path = write_list(lists, 1, "test", ["s/e"])
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(InputError, match=rf"{path.name}:2: not a JSON object"):
        split(lists)


def test_a_missing_list_is_named(lists):
    next(lists.glob("*/*_test_*")).unlink()
    with pytest.raises(InputError, match=r"0 files \*_test_\*\.jsonl"):
        split(lists)


def rows(folds):
    return [
        Utterance(f"u{k:02}", "", f"s{k % 4}", "xy"[k % 2], 1.0, fold=fold)
        for k, fold in enumerate(folds)
    ]


def column(folds, unit="utterance"):
    return FoldColumn(unit, seed=1, valid_parts=2).split(rows(folds))


def test_each_value_of_the_column_is_tested_once_in_order():
    folds = column(["2", "2", "10", "10", "1", "1"])
    assert [fold.test for fold in folds] == [
        ["u04", "u05"],
        ["u00", "u01"],
        ["u02", "u03"],
    ]
    for fold in folds:
        assert fold.valid
        assert len({*fold.train, *fold.valid, *fold.test}) == 6


@pytest.mark.parametrize("valid", ["valid", "train"])
def test_train_and_test_are_one_fold(valid):
    (fold,) = column(["train"] * 4 + [valid] * 2 + ["test"] * 2)
    assert fold.test == ["u06", "u07"]
    if valid == "valid":
        assert fold.valid == ["u04", "u05"]
    assert sorted(fold.train + fold.valid) == [f"u0{k}" for k in range(6)]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (["1", "", "2"], "1 of 3 .* have no fold; .*: u01$"),
        (
            ["train", "test", "3"],
            r"\['3', 'test', 'train'\]; write train, test",
        ),
        (["train", "valid"], r"\['train', 'valid'\]; write train, test"),
        (["1", "1"], r"the only fold is \['1'\]; two are needed"),
    ],
)
def test_a_column_that_is_no_assignment_is_refused(folds, message):
    with pytest.raises(InputError, match=message):
        column(folds)


def test_a_column_that_leaks_speakers_is_refused():
    leak = ["1", "2", "3", "4", "2", "2", "3", "4"]  # s0 in folds 1 and 2
    assert len(column(leak)) == 4
    with pytest.raises(InputError, match=r"a speaker .* 1 are in two: 's0'"):
        column(leak, unit="speaker")


def test_validation_of_a_column_keeps_units_whole():
    for fold in column(["1", "2", "3", "4"] * 2, unit="speaker"):
        speakers = [
            {int(name[1:]) % 4 for name in part}
            for part in (fold.train, fold.valid, fold.test)
        ]
        assert sum(map(len, speakers)) == 4


def test_an_id_with_its_folder_is_found_by_the_end_of_its_path(tmp_path):
    write_list(tmp_path, 1, "train", ["S/x/a", "S/y/a", "S/x/b"])
    write_list(tmp_path, 1, "test", ["S/y/b"])
    given = [
        Utterance(f"{x}{n}", str(Path("c", "S", x, f"{n}.wav")), "s", "l", 1.0)
        for x in "xy"
        for n in "ab"
    ]
    (fold,) = split(tmp_path, given)
    assert fold.test == ["yb"]


def column_of(*folds):
    corpus = [
        Utterance(f"{n}", "", f"s{n}", "calm", 1.0, fold=fold)
        for n, fold in enumerate(folds)
    ]
    return FoldColumn("utterance", seed=1, valid_parts=2).split(corpus)


def test_parts_are_known_in_any_case():
    (fold,) = column_of("Train", "TRAIN", "train", "Test")
    assert fold.test == ["3"]


def test_other_words_for_the_parts_are_refused():
    with pytest.raises(InputError, match=r"1 utt.*; write these: 1 .'dev'.$"):
        column_of("train", "dev", "test")
