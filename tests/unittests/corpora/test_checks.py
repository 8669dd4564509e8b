import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest

from speechbrain_ptssnn.corpora.checks import (
    check_counts,
    check_same_audio,
    check_speakers,
    check_utterances,
    warn_of_overlaps,
)
from speechbrain_ptssnn.corpora.common import Corpus, Utterance
from speechbrain_ptssnn.corpora.folds import Fold
from speechbrain_ptssnn.errors import InputError

LABELS = {"a": "calm", "b": "calm", "c": "angry", "d": "angry"}
CORPUS = [
    Utterance(name, f"{name}.wav", "s", label, 1.0)
    for name, label in LABELS.items()
]
FOLDS = [Fold(["a", "b"], ["c"], ["d"]), Fold(["c", "d"], [], ["a", "b"])]
DIFFERENT = {name: name.encode() for name in LABELS}


def test_audio_that_differs_is_no_leak(caplog):
    check_same_audio(CORPUS, FOLDS, DIFFERENT)
    assert not caplog.text


def test_features_are_not_standardised_by_speaker_without_speakers(caplog):
    check_speakers(CORPUS)
    assert not caplog.text  # one speaker, two labels
    unknown = [replace(CORPUS[0], speaker=""), *CORPUS[1:]]
    with pytest.raises(InputError, match=r"1 of 4 utterances have none: a;"):
        check_speakers(unknown)


def test_parts_that_overlap_on_two_sides_are_warned_of(caplog):
    def warned(*spans, folds=FOLDS):
        caplog.clear()
        utterances = [
            replace(u, wav="talk.wav", start=start, duration=end - start)
            for u, (start, end) in zip(CORPUS, spans, strict=True)
        ]
        warn_of_overlaps(utterances, folds)
        return caplog.text

    assert not warned((0, 2), (2, 4), (4, 6), (5.95, 8))
    assert not warned((0, 2), (1, 4), (4, 6), (6, 8))  # on one side
    spans = (0, 9), (20, 21), (8, 9), (9, 10)
    assert not warned(*spans, folds=[Fold(["a"], ["b"], [])])  # c is nowhere
    said = warned(*spans)
    assert "1 pair of utterances overlap in one file" in said
    assert "'a' and 'c' [fold 1: train and valid] [fold 2: test and t" in said


def test_a_copy_on_the_same_side_of_every_fold_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        check_same_audio(CORPUS, FOLDS, {**DIFFERENT, "b": b"a"})
    assert (
        "1 pair of utterances with the same recording, which counts twice: "
        "'a' (a.wav, calm) and 'b' (b.wav, calm)"
    ) in caplog.text


@pytest.mark.parametrize(
    ("copies", "pairs"),
    [
        (
            {"d": b"c"},
            "1 pair of utterances; keep one of each: 'c' (c.wav, angry) and "
            "'d' (d.wav, angry) [fold 1: valid and test]",
        ),
        (
            {"d": b"a"},
            "1 pair of utterances; keep one of each: 'a' (a.wav, calm) and "
            "'d' (d.wav, angry) [fold 1: train and test] [fold 2: test and "
            "train]",
        ),
        (
            {"b": b"a", "c": b"a", "d": b"a"},
            "2 pairs of utterances; keep one of each: 'a' (a.wav, calm) and "
            "'c'",
        ),
    ],
)
def test_a_copy_with_another_label_or_on_another_side_is_refused(copies, pairs):
    message = (
        "the same recording has two labels or is on two sides of a fold, in "
    )
    with pytest.raises(InputError, match=re.escape(message + pairs)):
        check_same_audio(CORPUS, FOLDS, DIFFERENT | copies)


def test_many_copies_are_counted_and_all_listed():
    n = 500
    corpus = [Utterance(f"{k:03}", "a.wav", "s", "calm", 1) for k in range(n)]
    ids = [u.id for u in corpus]
    fold = Fold(ids[:250], ids[250:300], ids[300:])
    recordings = {name: str(int(name) % 250).encode() for name in ids}
    message = r"in 250 pairs of .* and 247 more"
    with pytest.raises(InputError, match=message) as error:
        check_same_audio(corpus, [fold], recordings)
    path = str(error.value).rpartition("all listed in ")[2]
    lines = Path(path).read_text().splitlines()
    assert len(lines) == 250
    assert lines[0].endswith("'250' (a.wav, calm) [fold 1: train and valid]")
    assert lines[-1].endswith("'499' (a.wav, calm) [fold 1: train and test]")


def test_a_copy_with_another_label_is_refused_on_any_side():
    corpus = [CORPUS[0], replace(CORPUS[1], label="angry"), *CORPUS[2:]]
    with pytest.raises(InputError, match=r"'b' \(b\.wav, angry\)$"):
        check_same_audio(corpus, FOLDS, {**DIFFERENT, "b": b"a"})


def test_silence_is_no_recording_and_is_counted(caplog):
    with caplog.at_level(logging.WARNING):
        check_same_audio(CORPUS, FOLDS, {**DIFFERENT, "a": b"", "d": b""})
    assert "digital silence in 2 of 4 utterances: a.wav; d.wav" in caplog.text
    message = r"silence in 4 of 4 utt.*; and 1 more, all.*; check how"
    with pytest.raises(InputError, match=message):
        check_same_audio(CORPUS, FOLDS, dict.fromkeys(LABELS, b""))


def utterance(name, label):
    return Utterance(name, f"{label}/{name}.wav", "speaker", label, 1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no utterance"),
        (
            [("a", "sad")] * 2 + [("b", "sad")] * 5,
            r"id twice, in 5 cases; .*'a' in sad/a\.wav and sad/a\.wav; 'b' in",
        ),
        (
            [("a", "glad"), ("b", "sad"), ("c", "mad")],
            r"labels outside \['happy', 'sad'\], in 2 .*: 'glad' of glad",
        ),
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
