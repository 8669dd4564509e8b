import json

import pytest

from speechbrain_ptssnn.evaluation.summary import (
    read_predictions,
    summarize,
    table,
    write_predictions,
)

LABELS = ("calm", "mad, very")
FOLDS = {1: [("b", 0, 0), ("a", 1, 0)], 2: [("c", 1, 1), ("é", 0, 0)]}
SPEAKERS = {"a": "s", "b": "t", "c": "s", "é": "t"}


@pytest.fixture
def run(tmp_path):
    """Two folds of two utterances; (id, true, predicted). Speaker s is always
    mad, t always calm.
    """
    manifest = {
        name: {"speaker": SPEAKERS[name], "label": LABELS[true]}
        for outcome in FOLDS.values()
        for name, true, _ in outcome
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    ids = {k: [row[0] for row in outcome] for k, outcome in FOLDS.items()}
    folds = {
        k: {"train": ids[3 - k], "valid": [], "test": ids[k]} for k in FOLDS
    }
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    for number, outcome in FOLDS.items():
        folder = tmp_path / f"fold_{number}"
        folder.mkdir()
        rows = [
            {
                "id": name,
                "speaker": SPEAKERS[name],
                "label": LABELS[true],
                "prediction": LABELS[said],
                **{f"p_{label}": "0.6" for label in LABELS},
            }
            for name, true, said in outcome
        ]
        write_predictions(folder / "predictions.csv", rows, LABELS)
        silent = 0.9 if number == 2 else 0.0
        rates = {"mean": 0.1 * number, "silent": silent, "saturated": 0.0}
        result = {
            "fold": number,
            "valid_UA": number / 4,
            "device": f"chip {number % 2}",
            "firing_rates": {"out": rates},
        }
        (folder / "result.json").write_text(json.dumps(result))
    return tmp_path


def test_summary_is_over_all_test_predictions_together(run):
    summary = summarize(run, LABELS, folds=2, corpus="X")
    assert summary["n_utterances"] == 4
    assert summary["WA"] == 0.75
    assert summary["UA"] == 0.75  # (2 of 2 + 1 of 2) / 2
    assert summary["macro_F1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert summary["confusion"] == [[2, 0], [1, 1]]
    assert (summary["WA_fold_mean"], summary["WA_fold_std"]) == (0.75, 0.25)
    assert summary["devices"] == ["chip 0", "chip 1"]
    assert summary["firing_rates"]["out"]["mean"] == pytest.approx(0.15)
    assert summary["valid_UA"] == pytest.approx(0.375)
    assert summary["folds_done"] == [1, 2]
    assert json.loads((run / "summary.json").read_text()) == summary


def test_every_metric_stands_for_all_and_for_each_fold(run):
    summary = summarize(run, LABELS, folds=2)
    assert summary["weighted_F1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert summary["ECE"] == pytest.approx(abs(0.75 - 0.6))
    assert summary["recall"] == {"calm": 1.0, "mad, very": 0.5}
    first, second = summary["per_fold"]
    assert (first["fold"], second["fold"]) == (1, 2)
    assert (first["WA"], second["WA"]) == (0.5, 1.0)
    assert first["confusion"] == [[1, 0], [1, 0]]
    assert first["macro_F1"] == pytest.approx((2 / 3 + 0) / 2)
    assert {"weighted_F1", "ECE", "recall", "majority"} < set(first)


def test_confounds_and_intervals_stand_beside_the_metrics(run):
    summary = summarize(run, LABELS, folds=2)
    # Each fold trains on one utterance of each label: calm comes first.
    assert summary["majority"] == {"WA": 0.5, "UA": 0.5}
    assert summary["speaker_oracle"] == {"WA": 1.0, "UA": 1.0}
    assert summary["speaker_labels"] == {"s": [0, 2], "t": [2, 0]}
    # Speaker s has one of two right, t both: draws of s s, s t, t t.
    assert summary["interval_95"]["WA"] == [0.5, 1.0]
    assert set(summary["interval_95"]) == {
        "WA",
        "UA",
        "macro_F1",
        "weighted_F1",
    }


def test_a_part_of_the_folds_is_summarized_alone(run):
    (run / "fold_2" / "result.json").unlink()
    summary = summarize(run, LABELS, folds=2)
    assert summary["folds_done"] == [1]
    assert summary["n_utterances"] == 2
    assert summary["WA"] == 0.5
    assert summary["speaker_oracle"]["WA"] == 1.0
    assert summary["speaker_labels"] == {"s": [0, 2], "t": [2, 0]}


def test_predictions_are_sorted_and_survive_odd_names(run):
    summarize(run, LABELS, folds=2)
    rows = read_predictions(run / "predictions.csv")
    assert [row["id"] for row in rows] == ["a", "b", "c", "é"]
    assert rows[0]["label"] == "mad, very"


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
        "WA 75.00% 50.0 to 100.0% 50.00% 100.00% 75.00% 25.00%",
        "ECE 0.150",
        "bootstrap over 2 speakers",
        "mad, very 1 1 50.00%",
        "t 2 0",
        "out has collapsed in fold 2: over half of its neurons are silent",
        "1,234",
    ):
        assert shown in text


def test_table_says_why_there_is_no_interval_and_who_shows_one_label(run):
    manifest = {
        f"{speaker}{n}": {"speaker": speaker, "label": LABELS[n % k]}
        for k in (1, 2)
        for speaker in ("kl", "mnopqrstuvw")[k - 1]
        for n in range(2)
    }
    path = run / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | manifest))
    for number in FOLDS:
        predictions = run / f"fold_{number}" / "predictions.csv"
        predictions.write_text(predictions.read_text().replace(",t,", ",s,"))
    summary = summarize(run, LABELS, **FACTS)
    assert summary["interval_95"] is None
    text = table(summary)
    assert "no interval: the test utterances name one speaker" in text
    assert "2 of the corpus's 13 speakers show a single label" in text


def test_a_corpus_that_names_no_speaker_has_no_speaker_table(run):
    summary = summarize(run, LABELS, **FACTS)
    assert "speaker / label" in table(summary)
    nobody = {**summary, "speaker_labels": {"": [2, 2]}}
    assert "speaker / label" not in table(nobody)
