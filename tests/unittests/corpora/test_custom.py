"""Manifests of one's own, right and wrong."""

import json
import logging
import re
import unicodedata

import numpy as np
import pytest
import soundfile
from ruamel.yaml import YAML

from speechbrain_ptssnn.corpora.common import classes_of
from speechbrain_ptssnn.corpora.custom import custom_corpus
from speechbrain_ptssnn.corpora.manifests import read_utterances, write_manifest
from speechbrain_ptssnn.errors import InputError

LABEL_MAP = {"calm": "calm", "laut": "angry"}
FILES = ("Anna Müller/1 a.wav", "李/二.flac", "b.wav")


@pytest.fixture
def folder(tmp_path):
    """Three files of one second."""
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, noise, 8000)
    return tmp_path


@pytest.fixture
def read(folder):
    def call(text, name="corpus.csv", complete=True):
        (folder / name).write_text(text, encoding="utf-8")
        return custom_corpus("Cafe", LABEL_MAP).read(folder / name, complete)

    return call


def test_a_manifest_becomes_utterances(read, folder):
    utterances = read(
        "path,label,speaker,session,sex,text,sentence,fold,id\n"
        f"{FILES[0]},calm,Anna,s1,f,Guten Tag,t1,1,\n"
        f"{folder / FILES[1]},laut,李,s2,m,二,t2,2,zwei\n"
    )
    first, second = utterances
    assert (first.id, second.id) == ("Anna Müller/1 a", "zwei")
    assert (first.speaker, first.label, first.session) == ("Anna", "calm", "s1")
    assert (first.sex, first.text, first.sentence) == ("f", "Guten Tag", "t1")
    assert (first.start, first.end, first.duration) == (0.0, None, 1.0)
    assert [u.wav for u in utterances] == [str(folder / f) for f in FILES[:2]]
    assert [u.fold for u in utterances] == ["1", "2"]


def test_parts_of_a_file_are_utterances(read):
    utterances = read(
        "path,label,start,end\n"
        "b.wav,calm,,0.25\n"
        "b.wav,laut,0.25,0.75\n"
        "b.wav,laut,0.75,1.04\n"  # a little more than there is
        "b.wav,laut,0.5,\n"
    )
    assert [(u.id, u.start, u.end, u.duration) for u in utterances] == [
        ("b_0-0.25", 0.0, 0.25, 0.25),
        ("b_0.25-0.75", 0.25, 0.75, 0.5),
        ("b_0.5-end", 0.5, 1.0, 0.5),
        ("b_0.75-1.04", 0.75, 1.0, 0.25),
    ]


def test_the_manifest_of_a_run_is_one(read, folder):
    utterances = read("path,label\nb.wav,calm\n李/二.flac,laut\n")
    write_manifest(folder / "manifest.json", utterances)
    corpus = custom_corpus("Cafe", LABEL_MAP)
    assert corpus.read(folder / "manifest.json") == utterances
    assert read_utterances(folder / "manifest.json") == utterances


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_umlaut_is_found_however_it_is_composed(form, read):
    name = unicodedata.normalize(form, FILES[0])
    text = f"path,label\n{name},calm\nb.wav,laut\n"
    assert read(text)[0].duration == 1.0


def test_json_numbers_are_read(read):
    rows = {"x": {"wav": "b.wav", "label": "calm", "start": 0, "end": 0.5}}
    (utterance,) = read(json.dumps(rows), "a.json", complete=False)
    assert (utterance.id, utterance.end) == ("x", 0.5)


def test_a_corpus_without_speakers_is_warned_of(read, caplog):
    with caplog.at_level(logging.WARNING):
        read("path,label,note\nb.wav,calm,x\n李/二.flac,laut,y\n")
    assert "corpus.csv: has no speakers" in caplog.text
    assert "columns that are not used: 'note'\n" in caplog.text


GOOD = "b.wav,calm,Anna,,\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "b.wav,wild,Anna,,",
            r"1 of 2 rows .* not in label_map.*calm.*row 3: 'w",
        ),
        (",laut,Anna,,", "path is empty .* in 1 of 2 rows; fill .*: row 3$"),
        ("b.wav,,Anna,,", "label is empty .*: row 3$"),
        ("b.wav,laut,,,", "speaker is empty .* the column: row 3$"),
        ("b.wav,laut,Anna,1..5,", "row 3: start '1..5' is not a number of se"),
        ("b.wav,laut,Anna,,inf", "row 3: end 'inf' is not a number"),
        ("b.wav,laut,nan,,", "speaker is empty .* in 1 of 2 .*: row 3$"),
        ("b.wav,laut,Anna,0.5,0.5", r"row 3: start 0\.5 and end 0\.5.*b\.wav"),
        (
            "b.wav,laut,Anna,-1,0.5",
            "row 3: start -1.0 and end 0.5 are not a part",
        ),
        ("b.wav,laut,Anna,0,1.06", r"row 3: start.*1\.06.* lasts 1\.000 s"),
        (
            "b.wav,laut,Anna,1.02,",
            "row 3: start 1.02 and end 1.0 are not a part",
        ),
        ("b.wav,laut,Anna,,", "row 3: id 'b' of row 2$"),
        ("b.wav,calm,Anna,0,1", r"no utterance has the labels \['laut'\]"),
    ],
)
def test_a_bad_row_is_named(rows, message, read):
    with pytest.raises(InputError, match=rf"corpus\.csv.*{message}") as error:
        read(f"path,label,speaker,start,end\n{GOOD}{rows}\n")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no utterance"),
        ("path,label\n", "has no utterance"),
        (
            "file,emotion\na,b\n",
            r"add this .*: columns: {path: file, label: emotion}$",
        ),
        (
            "path,emotion\na,b\n",
            "no column label, but .*'emotion'.*: columns: {label: emotion}$",
        ),
        ("path,label,wav\na,b,c\n", "'path' and 'wav' are the same; keep one"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(text, message, read):
    with pytest.raises(InputError, match=message):
        read(text)


def test_all_missing_files_are_counted_and_some_named(read, folder):
    rows = "".join(f"no/{k}.wav,calm\n" for k in range(5000))
    message = (
        r"of 5001 audio files 5000 are missing: no/0\.wav \(row 3\); "
        r"no/1\.wav \(row 4\); no/2\.wav \(row 5\); and 4997 .* start from "
    )
    with pytest.raises(InputError, match=message + re.escape(str(folder))):
        read(f"path,label\nb.wav,laut\n{rows}")


def test_bad_audio_is_counted_and_named(read, folder):
    for k in range(4):
        (folder / f"{k}.wav").write_bytes(b"no audio")
    rows = "".join(f"{k}.wav,calm\n" for k in range(4))
    with pytest.raises(
        InputError,
        match=r"4 audio files .* used: row 3, .*0\.wav: is a text",
    ):
        read(f"path,label\nb.wav,laut\n{rows}")


@pytest.mark.parametrize("manifest", [None, "", ".", "none.csv"])
def test_no_manifest_says_what_is_needed(manifest):
    with pytest.raises(InputError, match="columns path and label; see docs"):
        custom_corpus("Cafe", LABEL_MAP).read(manifest)


def test_labels_come_from_the_map_alone():
    with pytest.raises(InputError, match="Cafe: label_map is not set"):
        custom_corpus("Cafe", {})
    numbers = {0: "calm", 1: "angry"}
    with pytest.raises(InputError, match="label_map: write 0 in quotes"):
        classes_of(custom_corpus("Cafe", numbers), numbers)


def custom(folder, table, name="corpus.csv", complete=False, **options):
    (folder / name).write_text(table, encoding="utf-8")
    corpus = custom_corpus("Cafe", LABEL_MAP, **options)
    return corpus.read(folder / name, complete)


COLUMNS = {"path": "File_ID", "label": "emotion", "speaker": "speaker_id"}
AS_IT_CAME = "file_id,Emotion,speaker_id\n{0}b,calm,1\n{0}b.2,laut,2\n"


@pytest.fixture
def samples(folder):
    """Moves the audio into a folder of its own, as published tables have it."""
    (folder / "samples").mkdir()
    (folder / "b.wav").rename(folder / "samples" / "b.wav")
    noise = np.random.default_rng(1).normal(0, 0.1, 8000)
    soundfile.write(folder / "samples" / "b.2.FLAC", noise, 8000, format="FLAC")
    for name in ("b.txt", "._b.wav", "b.2.csv"):
        (folder / "samples" / name).touch()
    return folder


def test_a_table_as_it_came_is_read(samples):
    utterances = custom(
        samples,
        AS_IT_CAME.format(""),
        columns=COLUMNS,
        audio_folder="samples",
    )
    assert [(u.id, u.speaker, u.label) for u in utterances] == [
        ("b", "1", "calm"),
        ("b.2", "2", "laut"),
    ]
    assert utterances[1].wav == str(samples / "samples" / "b.2.FLAC")


def test_columns_win_over_columns_of_our_names(folder):
    table = "path,label,emotion,wav\nb.wav,7,calm,x\n"
    columns = {"label": "emotion", "path": "path", "id": "path"}
    (utterance,) = custom(folder, table, columns=columns)
    assert (utterance.id, utterance.label) == ("b.wav", "calm")


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (AS_IT_CAME, {"path": "file"}, "no column 'file', which columns nam"),
        (AS_IT_CAME, {"paht": "file_id"}, r"name 'paht' \(did you mean 'path"),
        (
            AS_IT_CAME,
            {},
            "no column path and no column label, .* this line to your YAML: "
            "columns: {path: file_id, label: emotion, speaker: speaker_id}$",
        ),
        (
            "x: y,Rate,speaker_id\n1,2,3\n",
            {"label": "x: y"},
            'columns: {label: "x: y", path: YOUR_COLUMN, speaker: speaker_id}$',
        ),
    ],
)
def test_columns_that_do_not_fit_are_told(table, columns, message, folder):
    with pytest.raises(InputError, match=message):
        custom(folder, table, columns=columns)


def test_the_proposed_line_is_yaml_that_works(samples):
    table = AS_IT_CAME.format("samples/")
    with pytest.raises(InputError) as error:
        custom(samples, table)
    line = str(error.value).partition("YAML: ")[2]
    utterances = custom(samples, table, **YAML(typ="safe").load(line))
    assert [u.label for u in utterances] == ["calm", "laut"]


def test_a_folder_that_has_the_files_is_proposed(samples):
    with pytest.raises(
        InputError, match=r"2 are missing: .*; write audio_folder: samples in"
    ):
        custom(samples, AS_IT_CAME.format(""), columns=COLUMNS)


def test_a_name_that_fits_several_files_is_told(samples):
    noise = np.zeros(800)
    soundfile.write(samples / "samples" / "b.ogg", noise, 8000)
    with pytest.raises(InputError, match=r"1 names .*b \(row 2: b.ogg, b.wav"):
        custom(
            samples,
            AS_IT_CAME.format(""),
            columns=COLUMNS,
            audio_folder="samples",
        )


def test_the_tilde_is_the_home_folder(samples, monkeypatch):
    monkeypatch.setenv("HOME", str(samples))
    table = "path,label\n~/samples/b.wav,calm\n"
    (utterance,) = custom(samples, table)
    assert utterance.wav == str(samples / "samples" / "b.wav")
    read = custom_corpus("Cafe", LABEL_MAP, audio_folder="~/samples").read
    (samples / "corpus.csv").write_text("path,label\nb.wav,calm\n")
    assert read("~/corpus.csv", False)[0].wav == utterance.wav


@pytest.mark.parametrize("empty", ["NaN", "nan", "None", "null", "NA", "N/A"])
def test_a_cell_that_says_nothing_is_empty(empty, read, caplog):
    utterances = read(
        "path,label,speaker,session,sex,sentence,start,end,id,text\n"
        f"b.wav,calm{f',{empty}' * 8}\n",
        complete=False,
    )
    (u,) = utterances
    assert (u.id, u.start, u.end) == ("b", 0.0, None)
    assert u.speaker == u.session == u.sex == u.sentence == ""
    assert u.text == empty
    assert "has no speakers" in caplog.text


def test_the_nan_of_pandas_is_empty_and_no_emotion_may_be_called_none(folder):
    rows = '[{"path": "b.wav", "label": "None", "speaker": NaN, "end": NaN}]'
    (folder / "a.json").write_text(rows)
    labels = {"None": "none", "laut": "loud"}
    (u,) = custom_corpus("Cafe", labels).read(folder / "a.json", False)
    assert (u.label, u.speaker, u.end) == ("None", "", None)


@pytest.mark.parametrize(
    "names",
    [
        ("Anna", "anna"),
        ("01", "1"),
        ("spk07", "spk7"),
        ("Anna  M", "Anna M"),
        ("1.0", "1"),
        (
            unicodedata.normalize("NFD", "Jü"),
            unicodedata.normalize("NFC", "Jü"),
        ),
    ],
)
def test_speakers_that_are_nearly_the_same_are_named(names, read, caplog):
    read(
        "path,label,speaker\n"
        f"b.wav,calm,{names[0]}\n李/二.flac,laut,{names[1]}\n"
    )
    assert "speakers that differ only by case, leading zeros" in caplog.text
    assert " and ".join(map(repr, sorted(names))) in caplog.text


def test_speakers_that_differ_are_not_warned_of(read, caplog):
    read("path,label,speaker\nb.wav,calm,10\n李/二.flac,laut,100\n")
    assert "differ only" not in caplog.text
