"""Which seeds of a model are averaged, and what comes of it."""

import json

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import write_predictions
from speechbrain_ptssnn.evaluation.run_folder import RunFolder, runs_of
from speechbrain_ptssnn.evaluation.seeds import (
    SHARED,
    choose_seeds,
    read_seeds,
    summarize_seeds,
    table_of_seeds,
)
from speechbrain_ptssnn.experiments.record import Values

LABELS = ["a", "b"]
# Each of four folds tests two utterances.
TRUE = {f"{fold}{label}": label for fold in range(1, 5) for label in LABELS}
FOLDS = {
    str(fold): {
        "train": [id for id in TRUE if id[0] != str(fold)],
        "valid": [],
        "test": [f"{fold}{label}" for label in LABELS],
    }
    for fold in range(1, 5)
}


@pytest.fixture
def make(tmp_path):
    def make(seed, folds_done, wrong="", settings=None, **hyperparams):
        """A run that is right but for some utterances."""
        run = RunFolder(tmp_path / str(seed))
        run.path.mkdir()
        run.folds.write_text(json.dumps(FOLDS))
        run.manifest.write_text(
            json.dumps(
                {
                    id: {"speaker": "kl"[int(id[0]) % 2], "label": label}
                    for id, label in TRUE.items()
                }
            )
        )
        rows = [
            {
                "id": id,
                "speaker": "kl"[int(id[0]) % 2],
                "label": label,
                "prediction": label
                if id not in wrong.split()
                else "ab"[label == "a"],
                **dict.fromkeys(("p_a", "p_b"), 0.5),
            }
            for id, label in TRUE.items()
            if int(id[0]) in folds_done
        ]
        write_predictions(run.predictions, rows, LABELS)
        share = sum(r["label"] == r["prediction"] for r in rows) / (
            len(rows) or 1
        )
        summary = {
            **dict.fromkeys(SHARED, "x"),
            **{"folds": 4, "seed": seed, "folds_done": folds_done},
            **{"labels": LABELS, "WA": share, "UA": share, "valid_UA": 0.5},
            **{"trainable_params": 7, "git_revision": None},
        }
        run.summary.write_text(json.dumps(summary))
        for fold in folds_done:
            run.fold(fold).path.mkdir()
            result = {"temperature": 0.2, "valid_UA": 0.5}
            run.fold(fold).result.write_text(json.dumps(result))
        run.settings.write_text(json.dumps(settings or {"processes": 1}))
        hyperparams = {
            **{"seed": seed, "lr": "0.1", "number_of_epochs": 3},
            **{"complete": "true", "__set_seed": f"!apply:f [{seed}]"},
            **hyperparams,
        }
        run.hyperparams.write_text(
            "".join(f"{key}: {value}\n" for key, value in hyperparams.items())
        )
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("folds_done", "kept", "common"),
    [
        ([], [], []),
        ([[]], [], []),
        ([[], [2]], [1], [2]),
        ([[1, 2, 3], [2, 3, 4]], [0, 1], [2, 3]),
        # One seed that was broken off takes nothing from the others.
        ([[1, 2, 3], [3], [1, 2, 3, 4]], [0, 2], [1, 2, 3]),
        # 3 x 2 is more than 2 x 2 and 1 x 4.
        ([[1, 2], [1, 2, 3, 4], [1, 2]], [0, 1, 2], [1, 2]),
        # The seed with the most folds is not among the best group.
        ([[1, 2, 3], [4, 5], [4, 5]], [1, 2], [4, 5]),
        # 2 x 1 and 1 x 2 are equal: more folds.
        ([[1], [1, 2]], [1], [1, 2]),
        # Equal in all: the first folds.
        ([[3], [1], [2]], [1], [1]),
    ],
)
def test_seeds_times_common_folds_is_largest(folds_done, kept, common):
    assert choose_seeds(folds_done) == (kept, common)


def test_folds_that_all_seeds_have_done_count(make):
    make(10, [1, 2, 3])
    folder = make(2, [2, 3, 4])
    (folder / "3").mkdir()  # without a summary
    seeds = read_seeds(folder)
    assert [run.path.name for run in seeds.runs] == ["2", "10"]
    assert seeds.folds_done == [2, 3]
    assert seeds.left_out == []
    assert [each["seed"] for each in seeds.summaries] == [2, 10]


def test_no_fold_done_is_nothing(make, tmp_path):
    assert read_seeds(tmp_path) is None
    assert read_seeds(make(1, [])) is None


def test_the_seeds_table_and_the_experiments_table_agree(make):
    make(1, [1, 2, 3], "1a 2b")
    make(2, [1], "1a 1b")
    folder = make(3, [1, 2, 3, 4], "1a 4a 4b")
    outcome = summarize_seeds(runs_of(folder))
    values = Values.of(read_seeds(folder))
    assert json.loads((folder / "seeds.json").read_text()) == outcome
    # Of six utterances of folds 1 to 3: 4 and 5 are right.
    scores = {seed: each["WA"] for seed, each in values.seeds.items()}
    assert scores == pytest.approx({"1": 4 / 6, "3": 5 / 6})
    for key in ("WA", "UA"):
        assert outcome[f"{key}_mean"] == getattr(values, key)
        assert outcome[f"{key}_std"] == getattr(values, f"{key}_std")
    assert outcome["WA_mean"] == pytest.approx(9 / 12)
    assert outcome["WA_std"] == pytest.approx(1 / 6 / 2**0.5)  # n - 1
    assert outcome["folds_done"] == values.folds_done == [1, 2, 3]
    assert outcome["left_out"] == values.left_out == [2]
    assert list(outcome["seeds"]) == ["1", "2", "3"]
    assert outcome["seeds"]["2"] == {"folds_done": [1], "WA": 0.0, "UA": 0.0}
    assert outcome["seeds"]["3"]["folds_done"] == [1, 2, 3, 4]
    assert outcome["seeds"]["3"]["WA"] == pytest.approx(5 / 6)
    # The largest posterior is always 0.5.
    assert pytest.approx((1 / 6 + 2 / 6) / 2) == values.ECE
    last = table_of_seeds(outcome).splitlines()[-1]
    assert " ".join(last.split()) == "2 (left out) 1 of 4 0.00% 0.00%"


def test_posteriors_without_a_temperature_have_no_calibration_error(make):
    make(1, [1, 2])
    seeds = read_seeds(make(2, [1, 2]))
    assert pytest.approx(0.5) == seeds.ECE
    seeds.runs[1].fold(2).result.write_text('{"valid_UA": 0.5}')
    assert seeds.ECE is None


def test_one_kept_seed_has_no_spread(make):
    make(1, [1, 2, 3, 4], "1a")
    outcome = summarize_seeds(runs_of(make(2, [1])))
    assert (outcome["WA_mean"], outcome["WA_std"]) == (7 / 8, None)
    lines = [line.split() for line in table_of_seeds(outcome).splitlines()]
    assert ["std", "-", "-"] in lines


def test_seeds_of_different_settings_are_refused(make):
    make(1, [1])
    folder = make(2, [1], lr="0.2")
    with pytest.raises(InputError, match=r"1 and .*2 .*: lr=0.1 and 0.2;"):
        read_seeds(folder)
    make(3, [])
    (folder / "2" / "summary.json").unlink()
    assert read_seeds(folder).folds_done == [1]


def test_what_surrounds_the_settings_is_compared_too(make):
    make(1, [1])
    folder = make(2, [1], settings={"processes": 2})
    with pytest.raises(InputError, match=r"processes .*=1 and 2;"):
        read_seeds(folder)


def test_seeds_of_old_and_new_runs_are_alike(make):
    old = {"processes": 1, "hyperparams": {"lr": "0.1"}}
    make(1, [1], settings=old, jobs=2, data_folder="here")
    folder = make(2, [1], jobs=4, data_folder="there")
    assert len(read_seeds(folder).runs) == 2


def test_an_object_that_is_built_with_the_seed_is_no_difference(make):
    make(1, [1], head="{size: 2, parts: [{seed: 1}]}")
    folder = make(2, [1], head="{size: 2, parts: [{seed: 2}]}")
    assert len(read_seeds(folder).runs) == 2
    make(3, [1], head="{size: 2, parts: [{seed: 1}]}")  # a fixed one
    with pytest.raises(InputError, match="seeds of different runs: head="):
        read_seeds(folder)


@pytest.mark.parametrize("nested", ["{}", "{{EMOVO: {}}}"])
def test_seeds_with_their_classes_in_another_order_are_refused(make, nested):
    key = "label_map" if nested == "{}" else "label_maps"
    make(1, [1], **{key: nested.format("{joy: good, anger: bad}")})
    folder = make(2, [1], **{key: nested.format("{anger: bad, joy: good}")})
    with pytest.raises(InputError, match="different runs: order of the cl"):
        read_seeds(folder)


def test_a_protocols_seed_that_is_a_runs_by_chance_is_no_difference(make):
    make(1, [1], protocol="{seed: 2}")
    folder = make(2, [1], protocol="{seed: 2}")
    assert len(read_seeds(folder).runs) == 2
    make(3, [1], protocol="{seed: 3}")
    with pytest.raises(InputError, match="different runs: protocol="):
        read_seeds(folder)


def test_the_validation_counts_on_the_common_folds_only(make):
    make(1, [1, 2])
    folder = make(2, [1, 2, 3])
    better = {"temperature": 0.2, "valid_UA": 0.95}
    (folder / "2" / "fold_3" / "result.json").write_text(json.dumps(better))
    file = folder / "2" / "summary.json"
    summary = json.loads(file.read_text())
    file.write_text(json.dumps({**summary, "valid_UA": 0.65}))
    seeds = read_seeds(folder)
    assert (seeds.folds_done, seeds.valid_UA) == ([1, 2], 0.5)
