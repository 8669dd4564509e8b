import numpy as np
import pytest
import soundfile

from speechbrain_ptssnn.corpora.crosscorpus import cross_corpus
from speechbrain_ptssnn.errors import InputError

URDU = {"Angry": "angry", "Happy": None, "Neutral": None, "Sad": "sad"}
CAFE = {"laut": "angry", "still": "sad", "egal": None}
MAPS = {"URDU": URDU, "Cafe": CAFE}


@pytest.fixture
def cafe(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(tmp_path / "a.wav", noise, 8000)
    rows = "".join(
        f"a.wav,{label},{label}{k},anna\n" for label in CAFE for k in range(2)
    )
    (tmp_path / "cafe.csv").write_text(f"path,label,id,speaker\n{rows}")
    return tmp_path / "cafe.csv"


def test_two_corpora_become_one_with_train_and_test(mini_urdu, cafe):
    corpus = cross_corpus("URDU", "Cafe", MAPS)
    assert corpus.labels == ("angry", "sad")
    utterances = corpus.read({"URDU": mini_urdu, "Cafe": cafe}, complete=False)
    assert len(utterances) == 20 + 4
    ids = [u.id for u in utterances]
    assert ids == sorted(ids)
    by_id = {u.id: u for u in utterances}
    test, train = by_id["Cafe/laut1"], by_id["URDU/SM1_F0_S0"]
    assert (test.fold, test.label, test.speaker) == (
        "test",
        "angry",
        "Cafe/anna",
    )
    assert (train.fold, train.label, train.speaker) == (
        "train",
        "sad",
        "URDU/SM1",
    )


@pytest.mark.parametrize(
    ("names", "maps", "message"),
    [
        (("URDU", "URDU"), MAPS, "are both 'URDU'"),
        (("URDU", "EMOVO"), MAPS, "has no map for EMOVO, only for .*'URDU'"),
        (
            ("URDU", "Cafe"),
            {**MAPS, "Cafe": {**CAFE, "egal": "neutral"}},
            r"URDU and Cafe do not share the classes \['neutral'\]",
        ),
        (
            ("URDU", "Cafe"),
            {**MAPS, "URDU": {"Angry": "angry"}},
            "must name each label of URDU",
        ),
    ],
)
def test_maps_that_do_not_fit_are_refused(names, maps, message):
    with pytest.raises(InputError, match=message):
        cross_corpus(*names, maps)


@pytest.mark.parametrize("folder", ["", "/a", {"URDO": "/a"}])
def test_folders_are_asked_for_by_corpus(folder):
    corpus = cross_corpus("URDU", "Cafe", MAPS)
    message = r"folders of \['URDU', 'Cafe'\], as in '\{URDU: /a, Cafe: /b\}'"
    with pytest.raises(InputError, match=message):
        corpus.read(folder)


def test_a_corpus_that_is_wrong_is_named(mini_urdu):
    corpus = cross_corpus("URDU", "Cafe", MAPS)
    with pytest.raises(InputError, match="--data_folder is not set: URDU need"):
        corpus.read({"URDU": "", "Cafe": ""})
    with pytest.raises(InputError, match="for your own corpus, set"):
        corpus.read({"URDU": mini_urdu}, complete=False)
