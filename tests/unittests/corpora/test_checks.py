import logging

import pytest

from speechbrain_ptssnn.corpora.checks import (
    check_counts,
    check_same_audio,
    check_utterances,
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


def test_audio_that_differs_is_no_leak(caplog):
    check_same_audio(CORPUS, FOLDS, lambda name: name)
    assert not caplog.text


def test_a_copy_on_the_same_side_of_every_fold_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        check_same_audio(CORPUS, FOLDS, {**LABELS, "c": 1, "d": 2}.get)
    assert "1 utterances have the same audio as another" in caplog.text
    assert "e.g. 'a' and 'b'" in caplog.text


@pytest.mark.parametrize(
    ("hashes", "message"),
    [
        (LABELS, r"'c' \(c\.wav\), 'd' .*fold 1 has in \['valid', 'test'\]"),
        (
            {"a": 1, "d": 1},
            r"d\.wav\) are the same audio, labelled \['angry', 'calm'\]",
        ),
    ],
)
def test_a_copy_with_another_label_or_on_another_side_is_refused(
    hashes, message
):
    hashes = {name: name for name in LABELS} | hashes
    with pytest.raises(InputError, match=message):
        check_same_audio(CORPUS, FOLDS, hashes.get)


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
