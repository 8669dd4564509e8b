import logging

import pytest

from speechbrain_ptssnn.corpora.checks import check_same_audio
from speechbrain_ptssnn.corpora.common import Utterance
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
