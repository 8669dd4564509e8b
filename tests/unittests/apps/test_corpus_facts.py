"""Each warning, by a corpus that is made to deserve it, counted by hand."""

import re

import numpy as np
import pytest
import soundfile
import soxr

from speechbrain_ptssnn.apps.corpus_facts import (
    guess_from,
    known_keys,
    listen,
    tie,
    twins,
    warn,
)
from speechbrain_ptssnn.corpora.common import Utterance
from speechbrain_ptssnn.evaluation.separability import linear_score

RNG = np.random.default_rng(0)


@pytest.fixture
def corpus(tmp_path):
    """Writes noises in two classes; ``change`` alters one before it is
    written.
    """

    def make(change=lambda k, label, wave: wave, rate=16000, n=40, **facts):
        utterances = []
        for k in range(n):
            label = ("angry", "calm")[k % 2]
            wave = change(k, label, RNG.normal(0, 0.1, rate // 4))
            wav = tmp_path / f"{k}.wav"
            soundfile.write(wav, wave, rate)
            own = {key: value(k, label) for key, value in facts.items()}
            own.setdefault("speaker", f"s{k // 8}")
            row = Utterance(
                f"u{k:02}", str(wav), label=label, duration=1, **own
            )
            utterances.append(row)
        return utterances

    return make


def warnings_of(utterances, scores=None, guesses=None, **options):
    heard = listen(utterances, progressbar=False, **options)
    return warn(utterances, heard, scores or {}, guesses or {})


def test_a_plain_corpus_has_no_warning(corpus):
    assert warnings_of(corpus()) == []


def test_clipping_of_one_class(corpus):
    def change(k, label, wave):
        # 12 of the 20 angry ones.
        is_clipped = label == "angry" and k < 24
        return np.clip(wave, -0.1, 0.1) if is_clipped else wave

    (warning,) = warnings_of(corpus(change))
    assert warning == (
        "Recordings that are clipped go with the class: 60% of angry, 0% of "
        "calm."
    )


def test_an_offset_a_rate_and_a_silent_start_of_one_class(corpus):
    shifted = corpus(lambda k, label, x: x + 0.05 * (label == "calm"))
    (warning,) = warnings_of(shifted)
    assert "offset from zero by 1 % or more" in warning
    assert "100% of calm, 0% of angry" in warning
    zeros = np.zeros(3200)
    silent = corpus(lambda k, label, x: np.r_[zeros, x] if k % 2 else x)
    (warning,) = warnings_of(silent)
    assert "silent (zeros) for the first 0.2 s or more go with" in warning


def test_telephone_audio_in_one_class(corpus):
    def change(k, label, wave):
        if label == "angry":
            return wave
        return soxr.resample(soxr.resample(wave, 16000, 8000), 8000, 16000)

    tied, band = warnings_of(corpus(change))
    assert "without energy above 5 kHz go with the class: 100% of calm" in tied
    assert band.startswith("20 of 40 recordings hold nothing above 5 kHz")
    (band,) = warnings_of(corpus(rate=8000))
    assert band.startswith("All 40 recordings hold nothing above 5 kHz")
    assert "stored at 8,000 Hz" in band


def test_unlike_channels_and_the_class_that_is_read_from_one(corpus):
    def change(k, label, wave):
        other = RNG.normal(0, 0.05, len(wave))
        return np.stack([wave, other] if label == "angry" else [other, wave], 1)

    tied, unlike = warnings_of(corpus(change))
    assert "read from channel" in tied and "100%" in tied
    assert "two channels of 40 recordings are unlike" in unlike
    assert re.search(r"levels 6\.\d dB apart", unlike)  # a factor of two
    assert "channel 0 in 20, 1 in 20; --channel=0 takes" in unlike
    same = corpus(lambda k, label, wave: np.stack([wave, wave], 1))
    assert warnings_of(same) == []


def test_twins_with_two_classes_and_with_one(corpus):
    first = RNG.normal(0, 0.1, 4000)

    def change(k, label, wave):
        return first if k in (0, 1) else second if k in (2, 4) else wave

    second = RNG.normal(0, 0.1, 4000)
    utterances = corpus(change)
    heard = listen(utterances, progressbar=False)
    groups = twins(utterances, heard.recordings)
    assert [[u.id for u in group] for group in groups] == [
        ["u00", "u01"],
        ["u02", "u04"],
    ]
    across, alike = warn(utterances, heard, {}, {})
    assert "1 recording is there under two or more classes" in across
    assert "u00 (angry), u01 (calm)" in across
    assert alike.startswith("1 recording is there twice or more under one")


def test_silence_is_told_and_is_no_twin(corpus):
    (warning,) = warnings_of(corpus(lambda k, _, x: x * (k not in (0, 1))))
    assert warning.startswith("2 of 40 recordings are digital silence")


def test_one_class(corpus):
    utterances = [u for u in corpus() if u.label == "calm"]
    (warning,) = warnings_of(utterances)
    assert warning.startswith("There is one class only, calm")


def test_a_bad_file_is_said_and_the_others_are_measured(corpus):
    utterances = corpus(n=6)
    with open(utterances[1].wav, "r+b") as file:
        file.truncate(1000)
    heard = listen(utterances, progressbar=False)
    assert len(heard.measures) == len(heard.recordings) == 5
    (text,) = heard.unreadable
    assert utterances[1].wav in text


def test_who_speaks_gives_the_class_away(corpus):
    # Of five speakers four show one class; the fifth has four of each.
    speakers = {"angry": ["a", "b"], "calm": ["c", "d"]}

    def speaker(k, label):
        return "e" if k < 8 else speakers[label][k // 2 % 2]

    utterances = corpus(speaker=speaker)
    labels = [u.label for u in utterances]
    score = linear_score(np.zeros((40, 1)), labels)
    guess = guess_from("speaker", utterances, score, ["angry", "calm"])
    assert (guess.values, guess.single) == (5, 4)
    assert guess.single_utterances == 32 / 40
    assert guess.majority == 0.5
    assert 32 / 40 <= guess.WA <= 36 / 40
    (warning,) = warnings_of(utterances, guesses={"speaker": guess})
    assert "4 of 5 speakers show one class only" in warning
    assert f"right for {guess.WA:.1%}" in warning
    assert "train with --protocol=speaker as well" in warning


def test_a_balanced_speaker_gives_nothing_away(corpus):
    utterances = corpus()
    labels = [u.label for u in utterances]
    score = linear_score(np.zeros((40, 1)), labels)
    guess = guess_from("speaker", utterances, score, ["angry", "calm"])
    assert (guess.values, guess.single) == (5, 0)
    assert warnings_of(utterances, guesses={"speaker": guess}) == []


def test_unseen_speakers_that_are_harder(corpus):
    # The feature is the class, with the sign of the speaker's parity.
    utterances = corpus()
    labels = [u.label for u in utterances]
    speakers = [u.speaker for u in utterances]
    one_hot = np.zeros((40, 10))
    for k, u in enumerate(utterances):
        one_hot[k, 2 * int(u.speaker[1]) + (u.label == "calm")] = 1
    scores = {
        "class": linear_score(one_hot, labels),
        "class, unseen speakers": linear_score(one_hot, labels, speakers),
    }
    assert scores["class"].WA == 1
    assert scores["class, unseen speakers"].WA <= 0.6
    (warning,) = warnings_of(utterances, scores)
    assert "100.0% of the utterances in random folds" in warning


def test_keys_are_those_that_are_known_and_recur(corpus):
    utterances = corpus(
        session=lambda k, _: str(k % 2),
        sex=lambda k, _: "f" if k else "",  # not known of one
        sentence=lambda k, _: str(k),  # each once
    )
    assert known_keys(utterances) == ["speaker", "session"]


def test_a_small_or_chance_difference_is_no_tie():
    labels = ["a"] * 50 + ["b"] * 50
    few = [True] * 4 + [False] * 96  # 8 % of a, 0 % of b
    assert tie(few, labels) is None
    # 40 % and 20 %, but p = 0.05 with so few.
    assert tie([k % 50 < (20, 10)[k // 50] for k in range(100)], labels) is None
    assert tie([True] * 100, labels) is None
    assert tie([k < 50 for k in range(100)], labels) == (("a", 1), ("b", 0))
