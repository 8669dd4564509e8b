"""A run of two folds of two utterances, made by hand."""

import json

import pytest

from speechbrain_ptssnn.evaluation.predictions import write_predictions
from speechbrain_ptssnn.evaluation.run_folder import RunFolder

LABELS = ("calm", "mad, very")
# Fold to (id, true, predicted) of its test utterances.
FOLDS = {1: [("b", 0, 0), ("a", 1, 0)], 2: [("c", 1, 1), ("é", 0, 0)]}
SPEAKERS = {"a": "s", "b": "t", "c": "s", "é": "t"}


@pytest.fixture
def run(tmp_path):
    """Its RunFolder. Speaker s is always mad, t always calm."""
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
                "prediction": LABELS[predicted],
                **{f"p_{label}": "0.6" for label in LABELS},
            }
            for name, true, predicted in outcome
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
    return RunFolder(tmp_path)
