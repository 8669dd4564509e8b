"""The text of a summary."""

import json

from speechbrain_ptssnn.evaluation.summary import summarize
from speechbrain_ptssnn.evaluation.summary_table import (
    collapse_warnings,
    table,
)

LABELS = ("calm", "mad, very")
FACTS = {
    **dict.fromkeys(("corpus", "protocol", "backbone", "model"), "x"),
    "folds": 3,
    "seed": 1,
    "trainable_params": 1234,
}


def test_table_shows_the_summary(run):
    text = " ".join(table(summarize(run, LABELS, **FACTS)).split())
    for shown in (
        "2 of 3 folds",
        "WA 75.00% 50.0 to 100.0% 50.00% 100.00% 75.00% 35.36%",
        "ECE 0.150",
        "bootstrap over 2 speakers",
        "mad, very 1 1 50.00%",
        "t 2 0",
        "out has collapsed in fold 2: over half of its neurons are silent",
        "1,234",
    ):
        assert shown in text


def test_a_member_that_collapsed_is_not_the_whole_layer(run):
    summary = summarize(run, LABELS, **FACTS)
    rates = {"mean": 0.1, "silent": 0.2, "saturated": 0.0, "worst": 1.0}
    (sentence,) = collapse_warnings({**summary, "firing_rates": {"out": rates}})
    assert "over half of one member's neurons are silent" in sentence


def test_table_says_why_there_is_no_interval_and_who_shows_one_label(run):
    manifest = {
        f"{speaker}{n}": {"speaker": speaker, "label": LABELS[n % k]}
        for k in (1, 2)
        for speaker in ("kl", "mnopqrstuvw")[k - 1]
        for n in range(2)
    }
    path = run.manifest
    path.write_text(json.dumps(json.loads(path.read_text()) | manifest))
    for number in (1, 2):
        predictions = run.fold(number).predictions
        predictions.write_text(predictions.read_text().replace(",t,", ",s,"))
    summary = summarize(run, LABELS, **FACTS)
    assert summary["interval_95"] is None
    text = table(summary)
    assert "no interval: the test utterances name one speaker" in text
    assert "2 of the corpus's 13 speakers show a single label" in text


def test_one_fold_has_no_spread(run):
    run.fold(2).result.unlink()
    text = " ".join(table(summarize(run, LABELS, **FACTS)).split())
    assert "WA 50.00% 0.0 to 100.0% 50.00% 100.00% 50.00% -" in text


def test_a_corpus_that_names_no_speaker_has_no_speaker_table(run):
    summary = summarize(run, LABELS, **FACTS)
    assert "speaker / label" in table(summary)
    nobody = {**summary, "speaker_labels": {"": [2, 2]}}
    assert "speaker / label" not in table(nobody)
