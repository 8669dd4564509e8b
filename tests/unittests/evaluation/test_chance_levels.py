"""Guesses by hand on six utterances, and on URDU."""

from dataclasses import asdict

import pytest

from speechbrain_ptssnn.corpora.folds import KFold
from speechbrain_ptssnn.corpora.urdu import LABELS, RELEASE
from speechbrain_ptssnn.evaluation.chance_levels import (
    chance_levels,
    speaker_labels,
)

ROWS = {"k1": "a", "k2": "a", "k3": "b", "l1": "b", "l2": "b", "m1": "b"}
MANIFEST = {
    name: {"speaker": name[0], "label": label} for name, label in ROWS.items()
}
FOLDS = [
    # Labels a, b and, only with the validation part, another b: b is guessed.
    {"train": ["k1", "l1"], "valid": ["l2"], "test": ["k2", "k3", "m1"]},
    # k shows a and b once each: a, the first, is guessed; l is unseen: b.
    {"train": ["k2", "k3", "m1"], "valid": [], "test": ["k1", "l1", "l2"]},
]


def test_guesses_are_those_worked_by_hand():
    # Of k2 k3 m1, k1 l1 l2 (a b b, a b b) the majority guess says b each
    # time, the oracle a a b, a b b.
    both = chance_levels(MANIFEST, FOLDS, ["a", "b"])
    assert both["majority"] == pytest.approx({"WA": 4 / 6, "UA": 1 / 2})
    assert both["speaker_oracle"] == pytest.approx(
        {"WA": 5 / 6, "UA": (1 + 3 / 4) / 2}
    )
    first = chance_levels(MANIFEST, FOLDS[:1], ["a", "b"])
    assert first["speaker_oracle"]["WA"] == pytest.approx(2 / 3)


def test_ties_go_to_the_first_label_whatever_the_order_of_training():
    fold = {"train": ["k3", "k2"], "valid": [], "test": ["k1"]}
    for labels, share in ((["a", "b"], 1), (["b", "a"], 0)):
        scores = chance_levels(MANIFEST, [fold], labels)
        assert scores["majority"]["WA"] == share
        assert scores["speaker_oracle"]["WA"] == share


def test_speaker_label_table_counts_the_corpus():
    table = speaker_labels(MANIFEST, ["a", "b"])
    assert table == {"k": [2, 1], "l": [0, 2], "m": [0, 1]}


def test_urdu_says_who_speaks(shared_data):
    utterances = RELEASE.read(shared_data / "URDU")
    manifest = {u.id: asdict(u) for u in utterances}
    oracle = {}
    for unit in ("utterance", "speaker"):
        folds = KFold(10, unit, seed=1234).split(utterances)
        scores = chance_levels(manifest, list(map(asdict, folds)), LABELS)
        oracle[unit] = scores["speaker_oracle"]["WA"]
        unseen = scores["majority"] == scores["speaker_oracle"]
        assert unseen == (unit == "speaker")
    assert oracle["utterance"] == pytest.approx(0.955)
    assert oracle["speaker"] < 0.25
    table = speaker_labels(manifest, LABELS)
    assert len(table) == 29
    assert sum(row.count(0) == 3 for row in table.values()) == 26
