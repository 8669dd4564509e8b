"""predictions.csv: written, read, checked."""

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import (
    check_comparable,
    predictions_of,
    read_predictions,
)
from speechbrain_ptssnn.evaluation.summary import summarize

LABELS = ("calm", "mad, very")


def test_predictions_are_sorted_and_survive_odd_names(run):
    summarize(run, LABELS, folds=2)
    rows = read_predictions(run.predictions)
    assert [row["id"] for row in rows] == ["a", "b", "c", "é"]
    assert rows[0]["label"] == "mad, very"


def test_some_folds_are_read_alone(run):
    run.fold(2).result.unlink()
    summarize(run, LABELS, folds=2)
    predictions = predictions_of(run, [1])
    assert list(predictions.rows) == ["a", "b"]
    assert list(predictions.folds) == ["1"]
    with pytest.raises(InputError, match="2 of 4 test utterances have no"):
        predictions_of(run)


def test_runs_of_other_folds_cannot_be_compared(run):
    summarize(run, LABELS, folds=2)
    both = [predictions_of(run, numbers) for numbers in ([1, 2], [1])]
    with pytest.raises(InputError, match="'c' is tested in one of them only"):
        check_comparable(both)


def test_a_flipped_letter_of_a_label_is_damage(run):
    summarize(run, LABELS, folds=2)
    text = run.predictions.read_text(encoding="utf-8")
    run.predictions.write_text(text.replace(",calm,", ",cahm,", 1))
    with pytest.raises(InputError, match="is damaged; the training's command"):
        read_predictions(run.predictions)
