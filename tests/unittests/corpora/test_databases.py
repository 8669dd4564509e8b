"""Databases that audformat itself writes, right and wrong."""

import json
import logging
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.corpora.custom import custom_corpus
from speechbrain_ptssnn.corpora.databases import Database, is_database
from speechbrain_ptssnn.errors import InputError

audformat = pytest.importorskip(
    "audformat", reason="the extra [audformat] is missing"
)
LABELS = ["joy", "anger", "calm"]
FILES = [f"wav/{s}{k}.wav" for s in "abc" for k in range(6)]


@pytest.fixture
def make(tmp_path):
    """Writes a database of three speakers, with emotions in two split tables
    and speakers, whose gender their scheme says, in a third.
    """
    folder = tmp_path / "db"

    def call(segmented=False, storage="csv", change=None):
        (folder / "wav").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).normal(0, 0.1, (len(FILES), 8000))
        for file, wave in zip(FILES, noise, strict=True):
            soundfile.write(folder / file, wave, 8000)
        db = audformat.Database("tiny")
        db.schemes["emotion"] = audformat.Scheme(labels=LABELS)
        db.schemes["arousal"] = audformat.Scheme("float")
        genders = {"a": "female", "b": "male", "c": "female"}
        db.schemes["speaker"] = audformat.Scheme(
            labels={name: {"gender": each} for name, each in genders.items()}
        )
        for name in ("train", "dev", "test"):
            db.splits[name] = audformat.Split(name)
        table = db["files"] = audformat.Table(audformat.filewise_index(FILES))
        table["speaker"] = audformat.Column(scheme_id="speaker")
        table["speaker"].set([file[4] for file in FILES])
        table["arousal"] = audformat.Column(scheme_id="arousal")
        table["arousal"].set([k / 10 for k in range(len(FILES))])
        for k, split in enumerate(("train", "dev", "test")):
            files = FILES[6 * k : 6 * k + 6]
            index = audformat.filewise_index(files)
            if segmented:
                index = audformat.segmented_index(
                    files, [0.25] * 6, [0.75] * 5 + [None]
                )
            table = audformat.Table(index, split_id=split)
            db[f"emotion.{split}"] = table
            table["emotion"] = audformat.Column(scheme_id="emotion")
            table["emotion"].set(LABELS * 2)
        if change:
            change(db)
        db.save(folder, storage_format=storage)
        return folder

    return call


def read(folder, **options):
    labels = {label: label for label in LABELS}
    return custom_corpus("Tiny", labels, **options).read(folder)


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_a_database_becomes_utterances(make, storage):
    folder = make(storage=storage)
    assert is_database(folder) and not is_database(folder / "wav")
    utterances = read(folder)
    assert len(utterances) == len(FILES)
    assert [u.id for u in utterances] == [f.removesuffix(".wav") for f in FILES]
    first, last = utterances[0], utterances[-1]
    assert first.wav == str(folder / "wav/a0.wav")
    assert (first.speaker, first.sex, first.label) == ("a", "f", "joy")
    assert (last.speaker, last.sex, last.label) == ("c", "f", "calm")
    assert (first.duration, first.start, first.end) == (1.0, 0.0, None)
    assert [u.fold for u in utterances[::6]] == ["train", "valid", "test"]


def test_segments_are_parts_of_files(make):
    utterances = read(make(segmented=True))
    assert [(u.start, u.end, u.duration) for u in utterances[4:6]] == [
        (0.25, 0.75, 0.5),
        (0.25, 1.0, 0.75),  # an open end
    ]
    assert utterances[0].id == "wav/a0_0.25-0.75"
    assert {u.speaker for u in utterances} == {*"abc"}


def test_the_classes_are_those_of_the_scheme_in_its_order(make):
    database = Database(make())
    assert database.name == "tiny"
    assert database.labels() == ("joy", "anger", "calm")
    assert database.columns["sex"] == "gender"


def test_tables_are_chosen(make):
    folder = make()
    chosen = read(folder, table="emotion.train, emotion.test")
    assert [u.fold for u in chosen] == ["train"] * 6 + ["test"] * 6


def test_rows_without_a_label_are_left_out(make, caplog):
    def change(db):
        table = db["emotion.test"]
        table["emotion"].set(["joy", None, "calm", "joy", "anger", "calm"])

    with caplog.at_level(logging.WARNING):
        assert len(read(make(change=change))) == len(FILES) - 1
    assert "1 of 18 rows have no emotion and are left out" in caplog.text


def test_splits_that_overlap_and_speakers_in_part_are_not_used(make, caplog):
    def change(db):
        table = audformat.Table(
            audformat.filewise_index(FILES[:3]), split_id="test"
        )
        db["again"] = table
        table["emotion"] = audformat.Column(scheme_id="emotion")
        table["emotion"].set(LABELS)
        db["files"]["speaker"].set([None] * 2 + ["c"] * 16)

    with caplog.at_level(logging.WARNING):
        utterances = read(make(change=change))
    assert (
        {u.fold for u in utterances} == {u.speaker for u in utterances} == {""}
    )
    assert "3 of 18 rows have no fold or several, so it is not" in caplog.text
    assert "2 of 18 rows have no speaker or several" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"table": "emotion.tset"},
            r"has no table 'emotion\.tset' \(did you mean 'emotion\.test'\?\)",
        ),
        (
            {"columns": {"label": "emotions"}},
            r"no scheme or column 'emotions', .* label \(did you mean 'emotion",
        ),
        ({"columns": {"start": "x"}}, "columns: start comes from .* itself"),
        ({"table": "files"}, r"the tables \['files'\] hold no emotion"),
        ({"columns": {"label": "arousal"}}, "18 of 18 rows have a label that"),
    ],
)
def test_what_a_database_lacks_is_one_sentence(make, options, message):
    with pytest.raises(InputError, match=message) as error:
        read(make(), **options)
    assert "\n" not in str(error.value)


def test_numbers_are_no_classes(make):
    database = Database(make(), {"label": "arousal"})
    with pytest.raises(InputError, match="arousal has no list of labels"):
        database.labels()


def test_tables_that_contradict_each_other(make):
    def change(db):
        table = db["other"] = audformat.Table(audformat.filewise_index(FILES))
        table["emotion"] = audformat.Column(scheme_id="emotion")
        table["emotion"].set(["calm"] * len(FILES))

    with pytest.raises(InputError, match=r"choose with 'table' .*'other'") as e:
        read(make(change=change))
    assert "\n" not in str(e.value)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was opened')",)


def test_pickles_are_not_opened(make):
    folder = make()
    pickled = folder / "db.emotion.train.pkl"
    pickled.write_bytes(pickle.dumps(Bomb()))
    assert len(read(folder)) == len(FILES)
    (folder / "db.emotion.train.csv").unlink()
    with pytest.raises(InputError, match=r"train\.pkl: is a pickle, which can"):
        read(folder)
    pickled.unlink()
    with pytest.raises(InputError, match=r"lacks db\.emotion\.train\.csv or"):
        read(folder)


def test_a_header_cannot_run_code_either(make):
    folder = make()
    header = folder / "db.yaml"
    text = header.read_text()
    header.write_text(f"{text}\nx: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(InputError, match=r"db\.yaml: is not the header"):
        read(folder)
    header.write_text("just text")
    with pytest.raises(InputError, match=r"db\.yaml: is not the header"):
        read(folder)


def test_a_missing_file_and_a_missing_package(make, monkeypatch):
    folder = make()
    (folder / FILES[3]).unlink()
    with pytest.raises(
        InputError, match="of 18 audio files 1 are missing: wav"
    ):
        read(folder)
    monkeypatch.setitem(sys.modules, "audformat", None)
    with pytest.raises(InputError, match=r"pip install .*\[audformat\]"):
        read(folder)


def test_a_manifest_has_no_table(tmp_path):
    (tmp_path / "a.csv").write_text("path,label\n")
    with pytest.raises(InputError, match="table is for an audformat database"):
        read(tmp_path / "a.csv", table="emotion")


def test_commands_take_the_folder_and_a_yaml(make, tmp_path, capsys):
    folder = make(segmented=True)
    options = [
        "--backbone=fbank",
        "--noprogressbar",
        f"--features_folder={tmp_path / 'features'}",
    ]
    main(["extract", str(folder), *options])
    assert "features of 18 utterances, 18 computed" in capsys.readouterr().out
    file = tmp_path / "my.yaml"
    page = Path(__file__).resolve().parents[3] / "docs/own_corpus.md"
    section = page.read_text(encoding="utf-8").partition("in audformat\n")[2]
    (example, *_) = re.findall(r"```yaml\n(.*?)```", section, re.S)
    file.write_text(example.replace("data_folder: emodb", "data_folder: db"))
    results = tmp_path / "results"
    main(
        [
            *("train", str(file), *options, "--protocol=column"),
            *("--valid_parts=2", "--number_of_epochs=1"),
            *("--fold=1", f"--results_folder={results}", "--device=cpu"),
        ]
    )
    (path,) = results.glob("Tiny/column/fbank/pts_snn/1/folds.json")
    (fold,) = json.loads(path.read_text()).values()
    assert {name[:5] for name in fold["test"]} == {"wav/c"}
    assert {name[:5] for name in fold["train"] + fold["valid"]} == {"wav/a"}
