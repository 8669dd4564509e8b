import hashlib
from collections import Counter

import pytest

from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.corpora.folds import Protocol
from speechbrain_ptssnn.errors import InputError


def corpus(n_speakers=12, per_label=10, labels=("a", "b", "c")):
    return [
        Utterance(f"{label}{n:02}", "", f"s{n % n_speakers}", label, 1.0)
        for label in labels
        for n in range(per_label)
    ]


@pytest.mark.parametrize("unit", ["utterance", "speaker"])
def test_each_utterance_is_tested_once_and_parts_are_disjoint(unit):
    utterances = corpus()
    folds = Protocol(5, unit, seed=7, valid_parts=3).split(utterances)
    ids = {u.id for u in utterances}
    assert sorted(i for fold in folds for i in fold.test) == sorted(ids)
    for fold in folds:
        assert set(fold.train) | set(fold.valid) | set(fold.test) == ids
        assert len(fold.train) + len(fold.valid) + len(fold.test) == len(ids)
        assert fold.valid


def test_random_folds_hold_every_label_alike():
    folds = Protocol(5, "utterance", seed=7, valid_parts=3).split(corpus())
    for fold in folds:
        assert set(Counter(name[0] for name in fold.test).values()) == {2}


def test_speakers_stay_whole():
    utterances = corpus()
    speaker = {u.id: u.speaker for u in utterances}
    for fold in Protocol(5, "speaker", seed=7, valid_parts=3).split(utterances):
        parts = [
            {speaker[i] for i in part}
            for part in (fold.train, fold.valid, fold.test)
        ]
        assert sum(map(len, parts)) == 10


@pytest.mark.parametrize(
    ("unit", "digest"),
    [("utterance", "f3f711b68a70c2ea"), ("speaker", "04b5c976d5bf4da3")],
)
def test_a_seed_gives_these_folds_on_every_machine(unit, digest):
    tests = [
        fold.test
        for fold in Protocol(5, unit, seed=7, valid_parts=3).split(corpus())
    ]
    assert hashlib.sha256(repr(tests).encode()).hexdigest()[:16] == digest


def test_folds_do_not_depend_on_the_order_of_the_utterances():
    protocol = Protocol(5, "speaker", seed=7, valid_parts=3)
    assert protocol.split(corpus()) == protocol.split(corpus()[::-1])


@pytest.mark.parametrize(
    ("unit", "n_speakers", "message"),
    [
        ("utterance", 1, "30 utterances can not be dealt to 40 parts"),
        ("speaker", 3, "3 speakers can not be dealt to 40 parts"),
    ],
)
def test_too_few_to_deal_is_an_error(unit, n_speakers, message):
    with pytest.raises(InputError, match=message):
        Protocol(40, unit, seed=1).split(corpus(n_speakers))


def test_a_label_that_only_the_test_fold_has_is_an_error():
    utterances = [
        *corpus(),
        *(Utterance(f"d{n}", "", "s99", "d", 1.0) for n in range(5)),
    ]
    with pytest.raises(InputError, match=r"\['d'\] is tested but not in"):
        Protocol(5, "speaker", seed=1, valid_parts=3).split(utterances)
