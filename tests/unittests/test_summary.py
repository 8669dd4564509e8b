import json

import pytest

from speechbrain_ptssnn.summary import (
    read_predictions,
    summarize,
    table,
    write_predictions,
)

LABELS = ("calm", "mad, very")
FOLDS = {1: [("b", 0, 0), ("a", 1, 0)], 2: [("c", 1, 1), ("é", 0, 0)]}


@pytest.fixture
def run(tmp_path):
    """Two folds of two utterances; (id, true, predicted)."""
    for number, outcome in FOLDS.items():
        folder = tmp_path / f"fold_{number}"
        folder.mkdir()
        hits = [true == said for _, true, said in outcome]
        rows = [
            {
                "id": name,
                "speaker": "s",
                "label": LABELS[true],
                "prediction": LABELS[said],
                **{f"p_{label}": "0.5" for label in LABELS},
            }
            for name, true, said in outcome
        ]
        write_predictions(folder / "predictions.csv", rows, LABELS)
        rates = {"out": {"mean": 0.1 * number, "silent": 0, "saturated": 0}}
        result = {
            "fold": number,
            "WA": sum(hits) / 2,
            "UA": sum(hits) / 2,
            "firing_rates": rates,
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
    assert summary["firing_rates"]["out"]["mean"] == pytest.approx(0.15)
    assert summary["folds_done"] == [1, 2]
    assert json.loads((run / "summary.json").read_text()) == summary


def test_predictions_are_sorted_and_survive_odd_names(run):
    summarize(run, LABELS, folds=2)
    rows = read_predictions(run / "predictions.csv")
    assert [row["id"] for row in rows] == ["a", "b", "c", "é"]
    assert rows[0]["label"] == "mad, very"


def test_table_shows_the_summary(run):
    facts = dict.fromkeys(("corpus", "protocol", "backbone", "model"), "x")
    facts |= {"folds": 3, "seed": 1, "trainable_params": 1234}
    text = table(summarize(run, LABELS, **facts))
    for shown in ("2 of 3 folds", "75.00%", "25.00%", "1,234", "mad, very"):
        assert shown in text
