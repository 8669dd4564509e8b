"""The summary of a run made by hand."""

import json

import pytest

from speechbrain_ptssnn.evaluation.summary import summarize

LABELS = ("calm", "mad, very")


def test_summary_is_over_all_test_predictions_together(run):
    summary = summarize(run, LABELS, folds=2, corpus="X")
    assert summary["n_utterances"] == 4
    assert summary["WA"] == 0.75
    assert summary["UA"] == 0.75  # (2 of 2 + 1 of 2) / 2
    assert summary["macro_F1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert summary["confusion"] == [[2, 0], [1, 1]]
    assert summary["WA_fold_mean"] == 0.75
    assert summary["WA_fold_std"] == pytest.approx(0.25 * 2**0.5)  # n - 1
    assert summary["devices"] == ["chip 0", "chip 1"]
    assert summary["firing_rates"]["out"]["mean"] == pytest.approx(0.15)
    assert summary["valid_UA"] == pytest.approx(0.375)
    assert summary["folds_done"] == [1, 2]
    assert json.loads(run.summary.read_text()) == summary


def test_the_calibration_error_without_temperature_is_shown_too(run):
    fold = run.fold(1)
    result = json.loads(fold.result.read_text())
    fold.result.write_text(json.dumps({**result, "temperature": 0.5}))
    rows = fold.predictions.read_text()
    fold.predictions.write_text(rows.replace("0.6,0.6", "0.8,0.2"))
    summary = summarize(run, LABELS, folds=2)
    # One of two is right in fold 1, both are in fold 2.
    assert summary["ECE"] == pytest.approx((abs(1 - 1.6) + abs(2 - 1.2)) / 4)
    # The roots of 0.8 and 0.2 are 2 to 1; fold 2 has equal posteriors.
    expected = (abs(1 - 4 / 3) + abs(2 - 1)) / 4
    assert summary["ECE_uncalibrated"] == pytest.approx(expected)


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


def test_chance_levels_and_intervals_stand_beside_the_metrics(run):
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
    run.fold(2).result.unlink()
    summary = summarize(run, LABELS, folds=2)
    assert summary["folds_done"] == [1]
    assert summary["n_utterances"] == 2
    assert summary["WA"] == 0.5
    assert summary["WA_fold_std"] is None
    assert summary["speaker_oracle"]["WA"] == 1.0
    assert summary["speaker_labels"] == {"s": [0, 2], "t": [2, 0]}
