import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from speechbrain_ptssnn.corpora import casia, emovo
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.corpora.folds import UNITS, KFold, Protocol
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.corpora.synthemo import plan_synthemo
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.training.hyperparams import Hyperparams

ROOT = Path(__file__).resolve().parents[3]


def corpus(n_speakers=12, per_label=10, labels=("a", "b", "c")):
    return [
        Utterance(
            f"{label}{n:02}",
            "",
            f"s{n % n_speakers}",
            label,
            1.0,
            session=f"{n % 6}",
            sentence=f"{n % 7}",
        )
        for label in labels
        for n in range(per_label)
    ]


@pytest.mark.parametrize("unit", UNITS)
def test_each_utterance_is_tested_once_and_parts_are_disjoint(unit):
    utterances = corpus()
    folds = KFold(5, unit, seed=7, valid_parts=3).split(utterances)
    ids = {u.id for u in utterances}
    assert sorted(i for fold in folds for i in fold.test) == sorted(ids)
    for fold in folds:
        assert set(fold.train) | set(fold.valid) | set(fold.test) == ids
        assert len(fold.train) + len(fold.valid) + len(fold.test) == len(ids)
        assert fold.valid


def test_random_folds_hold_every_label_alike():
    folds = KFold(5, "utterance", seed=7, valid_parts=3).split(corpus())
    for fold in folds:
        assert set(Counter(name[0] for name in fold.test).values()) == {2}


@pytest.mark.parametrize("unit", ["speaker", "session", "sentence"])
def test_units_stay_whole(unit):
    utterances = corpus()
    value = {u.id: getattr(u, unit) for u in utterances}
    for fold in KFold(5, unit, seed=7, valid_parts=3).split(utterances):
        parts = [
            {value[i] for i in part}
            for part in (fold.train, fold.valid, fold.test)
        ]
        assert sum(map(len, parts)) == len(set(value.values()))


def test_validation_may_be_cut_by_another_unit():
    utterances = corpus(12, 12)  # n % 12 speaks in session n % 6
    speaker = {u.id: u.speaker for u in utterances}
    session = {u.id: u.session for u in utterances}
    protocol = KFold(6, "session", seed=7, valid_parts=10, valid_unit="speaker")
    shared = 0
    for fold in protocol.split(utterances):
        assert len({session[i] for i in fold.test}) == 1
        assert len({speaker[i] for i in fold.valid}) == 1
        assert not {speaker[i] for i in fold.valid} & {
            speaker[i] for i in fold.train
        }
        shared += bool(
            {session[i] for i in fold.valid} & {session[i] for i in fold.train}
        )
    assert shared  # which validation by session would not allow


def test_validation_takes_no_label_away_from_training():
    # Of s0's, s1's and s2's parts the last is most like the whole, but only
    # there is "c".
    spoken = {"s0": "aab", "s1": "abb", "s2": "aabbc", "s3": "abc"}
    rows = [
        Utterance(f"{speaker}{n}", "", speaker, label, 1.0)
        for speaker, labels in spoken.items()
        for n, label in enumerate(labels)
    ]
    train, test = rows[:-3], rows[-3:]
    fold = KFold(4, "speaker", seed=1, valid_parts=3).make_fold(1, train, test)
    assert {name[:2] for name in fold.valid} in ({"s0"}, {"s1"})


def digest(folds):
    text = json.dumps([asdict(fold) for fold in folds])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("utterance", "3aba1b02572604a4"),
        ("speaker", "f8807aa849967ad2"),
        ("session", "7ae25ccf143772d5"),
        ("sentence", "24220f3e68f88cc3"),
    ],
)
def test_a_seed_gives_these_folds_on_every_machine(unit, expected):
    folds = KFold(4, unit, seed=1234, valid_parts=3).split(corpus())
    assert digest(folds) == expected


def as_published(name, listed):
    """Every utterance of a corpus; where its plan is known, without a list."""
    if name == "SynthEmo":
        return [
            Utterance(take.id, "", take.speaker, take.label, 1.0)
            for take in plan_synthemo()
        ]
    if name == "CASIA":
        wavs = [
            Path(speaker, label, f"{n}.wav")
            for speaker in casia.SPEAKERS
            for label in casia.LABELS
            for n in range(201, 251)
        ]
        return [
            Utterance(wav="", duration=1, **casia.RELEASE.describe(w))
            for w in wavs
        ]
    if name == "EMOVO":
        many = {"b": 3, "d": 2, "l": 4, "n": 5}
        wavs = [
            Path(speaker, f"{label}-{speaker}-{text}{n + 1}.wav")
            for speaker in emovo.SPEAKERS
            for label in emovo.LABELS
            for text in many
            for n in range(many[text])
        ]
        return [
            Utterance(wav="", duration=1, **emovo.RELEASE.describe(w))
            for w in wavs
        ]
    return listed()(name)


@pytest.mark.parametrize(
    ("name", "protocol", "expected"),
    [
        ("SynthEmo", "random", "7aff2b653d03acfc"),
        ("SynthEmo", "speaker", "576640ffe46aac0a"),
        ("EMOVO", "random", "d78d93d3b221d452"),
        ("EMOVO", "speaker", "70962fdd10ac8977"),
        ("EMOVO", "sentence", "926d44512422c96f"),
        ("CASIA", "speaker", "7f97120273083006"),
        ("CASIA", "random", "0f1bb8f7a1cf1e52"),
        ("URDU", "random", "efe95fb6ee8c4717"),
        ("URDU", "speaker", "73a8aa1cc1bc5025"),
        ("IEMOCAP", "session", "22c75286a9f148de"),
        ("IEMOCAP", "speaker", "fc653cab52ea8434"),
        ("IEMOCAP", "random", "3950b1a571310bde"),
        ("EMODB", "random", "2c9c3845b827a300"),
        ("EMODB", "speaker", "308fe17ac7e2d635"),
    ],
)
def test_published_corpora_have_these_folds(name, protocol, expected, request):
    def listed():
        return request.getfixturevalue("listed")

    utterances = as_published(name, listed)
    settings = Hyperparams(
        ROOT / "hparams" / "linear_probe.yaml",
        {"backbone": "fbank", "protocol": protocol},
        ROOT / "recipes" / name,
        corpus=name,
        n_classes=len(find_corpus(name).labels),
    )
    folds = settings.build()["protocol"].split(utterances)
    assert digest(folds) == expected


def test_folds_do_not_depend_on_the_order_of_the_utterances():
    protocol = KFold(5, "speaker", seed=7, valid_parts=3)
    assert protocol.split(corpus()) == protocol.split(corpus()[::-1])


@pytest.mark.parametrize(
    ("unit", "n_speakers", "message"),
    [
        ("utterance", 1, "30 utterances cannot be dealt to 40 parts"),
        ("speaker", 3, "3 speakers cannot be dealt to 40 parts"),
    ],
)
def test_too_few_to_deal_is_an_error(unit, n_speakers, message):
    with pytest.raises(InputError, match=message):
        KFold(40, unit, seed=1).split(corpus(n_speakers))


def test_one_speaker_alone_asks_for_another_protocol():
    with pytest.raises(InputError, match=r"^1 speaker cannot.*another unit"):
        KFold(2, "speaker", seed=1).split(corpus(1))


@pytest.mark.parametrize("unit", ["speaker", "session", "sentence"])
def test_who_has_no_unit_is_named(unit):
    rows = [*corpus(), Utterance("lost", "", "", "a", 1.0)]
    with pytest.raises(
        InputError, match=f"1 of .* have no {unit}, by .*: lost$"
    ):
        KFold(4, unit, seed=1).split(rows)


def test_a_label_that_only_the_test_fold_has_is_an_error():
    utterances = [
        *corpus(),
        *(Utterance(f"d{n}", "", "s99", "d", 1.0) for n in range(5)),
    ]
    with pytest.raises(InputError, match=r"\['d'\] .*not in the training set"):
        KFold(5, "speaker", seed=1, valid_parts=3).split(utterances)


def test_labels_that_validation_or_test_lack_are_told(caplog):
    # "a" is spoken by s0 and s1 alone, so it can't be in all three parts.
    rows = [
        Utterance(f"{speaker}{label}", "", speaker, label, 1.0)
        for speaker in ("s0", "s1", "s2", "s3")
        for label in "abc"
        if label != "a" or speaker in ("s0", "s1")
    ]
    folds = KFold(4, "speaker", seed=1, valid_parts=3).split(rows)
    expected = []
    for number, fold in enumerate(folds, 1):
        for name, part in (("validation", fold.valid), ("test", fold.test)):
            if not any(i.endswith("a") for i in part):
                expected.append(
                    f"fold {number}: the {name} set has no utterance of ['a']"
                )
    assert len(expected) >= 4
    assert [record.message for record in caplog.records] == expected


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("train", "fold 3: a speaker .* 1 are in two: 's1'"),
        ("valid", "fold 3: a speaker .* 1 are in two: 's1'"),
        ("test", "fold 3: no utterance is tested"),
    ],
)
def test_a_faulty_assignment_is_refused(part, message):
    by_speaker = {
        name: [u for u in corpus(3) if u.speaker == name]
        for name in ("s0", "s1", "s2")
    }
    parts = dict(
        zip(("train", "test", "valid"), by_speaker.values(), strict=True)
    )
    protocol = KFold(3, "speaker", seed=1)
    protocol.make_fold(3, **parts)
    if part == "test":
        parts["test"] = []
    else:
        parts[part] = [*parts[part], by_speaker["s1"][0]]
    with pytest.raises(InputError, match=message):
        protocol.make_fold(3, **parts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_folds": 1}, "n_folds must be at least 2, got 1"),
        ({"unit": "room"}, r"unit must be one of \['utterance', .*'room'"),
        ({"valid_unit": "room"}, "unit must be one of"),
        ({"valid_parts": 1}, "valid_parts must be 2 or more: 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        KFold(**{"n_folds": 2, "unit": "speaker", "seed": 1, **arguments})


def test_yaml_files_and_old_results_know_it_as_protocol():
    assert Protocol is KFold
