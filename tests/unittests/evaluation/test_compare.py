"""Two runs on six utterances, worked by hand; what cannot be compared."""

import json

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.compare import compare, table
from speechbrain_ptssnn.evaluation.predictions import write_predictions

LABELS = ("a", "b")
# Utterances k1 ... m2 of the speakers k, l, m.
TRUE = dict(zip(("k1", "k2", "l1", "l2", "m1", "m2"), "aaabab", strict=True))
FOLDS = {
    "1": {"train": ["l1", "m1"], "valid": ["l2", "m2"], "test": ["k1", "k2"]},
    "2": {
        "train": ["k1"],
        "valid": ["k2"],
        "test": ["l1", "l2", "m1", "m2"],
    },
}


@pytest.fixture
def make(tmp_path):
    def make(name, predictions, true=TRUE, folds=FOLDS):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "settings.json").write_text("{}")
        (folder / "hyperparams.yaml").write_text(f"seed: {name[-1]}\n")
        (folder / "folds.json").write_text(json.dumps(folds))
        rows = [
            {
                "id": name,
                "speaker": name[0],
                "label": label,
                "prediction": prediction,
                **{f"p_{each}": "0.5" for each in LABELS},
            }
            for (name, label), prediction in zip(
                true.items(), predictions, strict=False
            )
        ]
        write_predictions(folder / "predictions.csv", rows, LABELS)
        return folder

    return make


# Right in A: all but m1; in B: k1, l1, m1.
A, B = "aaabbb", "abaaaa"


def test_values_are_those_worked_by_hand(make):
    comparison = compare(make("A/1", A), make("B/1", B))
    a, b = comparison["A"], comparison["B"]
    assert (a["WA"], b["WA"]) == pytest.approx((5 / 6, 3 / 6))
    # Four targets are a, of which each gets three; two are b.
    assert (a["UA"], b["UA"]) == pytest.approx((7 / 8, 3 / 8))
    assert (comparison["better_in_A"], comparison["better_in_B"]) == (3, 1)
    wa, ua = (comparison["difference"][key] for key in ("WA", "UA"))
    assert (wa["value"], ua["value"]) == pytest.approx((2 / 6, 1 / 2))
    # By speaker WA gains 1/6, 1/6, 0 and UA 1/8, 1/4, 1/8.
    assert (wa["p"], ua["p"]) == (4 / 8, 2 / 8)
    # k and l gain one of two predictions, m none; m m m is one of 27 draws.
    assert wa["interval_95"] == [0.0, 0.5]
    assert json.loads(json.dumps(comparison)) == comparison
    swapped = compare(*(comparison[side]["folders"][0] for side in "BA"))
    assert swapped["difference"]["UA"] == {
        "value": -ua["value"],
        "interval_95": [-bound for bound in reversed(ua["interval_95"])],
        "p": ua["p"],
    }


def test_seeds_count_with_the_share_of_them_that_is_right(make):
    folder = make("A/1", A).parent
    make("A/10", "bbbaba")  # all wrong
    comparison = compare(folder, make("B/1", B))
    assert comparison["A"]["WA"] == pytest.approx(2.5 / 6)
    assert comparison["A"]["UA"] == pytest.approx(3.5 / 8)
    assert comparison["B"]["UA"] == pytest.approx(3 / 8)
    # A: 1/2 but 0 for m1; B: 1 for k1, l1, m1.
    assert (comparison["better_in_A"], comparison["better_in_B"]) == (3, 3)
    text = table(comparison)
    assert "mean of 2 seeds (1, 10)" in text
    assert "right more often in A: 3 utterances" in text


def test_table_shows_the_comparison(make):
    text = " ".join(table(compare(make("A", A), make("B", B))).split())
    for shown in (
        "test utterances: 6, speakers: 3, folds: 2",
        "WA 83.33% 50.00% +33.33% +0.0 to +50.0% 0.5000",
        "right only in A: 3 utterances; only in B: 1",
        "the smallest p that so few speakers allow: 0.2500",
    ):
        assert shown in text


def test_smallest_p_is_told_where_nothing_could_be_significant(make):
    def text(n_speakers):
        true = {f"{k}": "ab"[k % 2] for k in range(n_speakers)}
        folds = {"1": {"train": [], "valid": [], "test": list(true)}}
        run = make(f"of {n_speakers}", true.values(), true, folds)
        return table(compare(run, run))

    assert "no interval: the test utterances name one speaker" in text(1)
    assert "the smallest p that so few speakers allow: 0.0625" in text(5)
    assert "the smallest p" not in text(6)  # 2 / 64 = 0.03


def test_runs_that_cannot_be_paired_are_refused(make, tmp_path):
    a = make("A", A)
    fewer = {name: label for name, label in TRUE.items() if name != "m2"}
    one_fold = {"1": FOLDS["1"], "2": {**FOLDS["2"], "test": list(fewer)[2:]}}
    others = {
        make("utterances", A, fewer, one_fold): "'m2' is tested in one of them",
        make("labels", A, {**TRUE, "l1": "b"}): "the label of 'l1' is '",
        make("folds", A, folds={"1": FOLDS["2"], "2": FOLDS["1"]}): "folds",
        make("part", A[:4]): "part is not complete: 2 of 6 test utterances",
        make("none", "") / "fold_1": "fold_1 is no run: .*pts_snn/1",
        tmp_path / "nowhere": "nowhere is no run",
    }
    (tmp_path / "none" / "predictions.csv").unlink()
    others[tmp_path / "none"] = "none is not complete: 6 of 6"
    for other, message in others.items():
        for pair in ((a, other), (other, a)):
            with pytest.raises(InputError, match=message) as error:
                compare(*pair)
            assert "\n" not in str(error.value)


def test_seeds_whose_folds_differ_are_refused(make):
    a = make("A/1", A)
    make("A/2", A, folds={"1": FOLDS["2"], "2": FOLDS["1"]})
    with pytest.raises(InputError, match=r"A/1 and .*A/2 cannot be compared"):
        compare(a.parent, a)


def test_seeds_of_different_settings_are_not_averaged(make):
    make("A/1", A)
    other = make("A/2", A)
    (other / "hyperparams.yaml").write_text("seed: 2\nlr: 0.2\n")
    with pytest.raises(InputError, match=r"different runs: lr=None and 0.2"):
        compare(make("B/1", B), other.parent)
