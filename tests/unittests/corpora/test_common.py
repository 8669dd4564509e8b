import logging

import pytest

from speechbrain_ptssnn.corpora.common import (
    Corpus,
    Utterance,
    classes_of,
    map_labels,
)
from speechbrain_ptssnn.errors import InputError


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
        ({"calm": "low"}, r"must name each label.*lacks \['glad', 'cross'\]"),
        (
            {"calm": "a", "glad": "b", "cross": None, "sad": "c"},
            "no other; it names 'sad'",
        ),
        ({"calm": "a", "glad": "a", "cross": None}, "leaves 1 classes"),
    ],
)
def test_a_label_map_that_does_not_fit_is_refused(label_map, message):
    corpus = Corpus("Cafe", ("calm", "glad", "cross"), read=None)
    with pytest.raises(InputError, match=message):
        classes_of(corpus, label_map)


def test_what_a_label_map_leaves_out_is_counted(caplog):
    labels = ("calm", "calm", "glad", "cross")
    given = [
        Utterance(f"{k}", "", "s", label, 1.0) for k, label in enumerate(labels)
    ]
    with caplog.at_level(logging.INFO):
        map_labels(given, {"calm": None, "glad": "a", "cross": "b"})
    assert "leaves out 2 of 4 utterances: {'calm': 2}" in caplog.text
