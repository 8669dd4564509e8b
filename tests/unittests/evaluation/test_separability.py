"""The linear head's score, against scikit-learn's own cross-validation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from speechbrain_ptssnn.evaluation.separability import (
    linear_score,
    share_between,
)

RNG = np.random.default_rng(0)
LABELS = ["a", "b", "c"] * 20
FEATURES = RNG.normal(size=(60, 4)) + [[ord(v) % 3, 0, 0, 0] for v in LABELS]


def test_it_is_scikit_learns_cross_validation():
    score = linear_score(FEATURES, LABELS)
    told = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        FEATURES,
        LABELS,
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    )
    right = told == np.array(LABELS)
    assert score.WA == right.mean() < 1
    recalls = [right[np.array(LABELS) == v].mean() for v in "abc"]
    assert np.mean(recalls) == pytest.approx(score.UA)
    assert (score.values, len(score.folds)) == (3, 5)
    assert score.majority == pytest.approx(1 / 3)


def test_rare_values_are_left_out():
    labels = ["rare"] * 4 + ["a", "b"] * 10
    features = np.arange(24.0)[:, None]
    score = linear_score(features, labels)
    assert score.used == list(range(4, 24))
    assert score.values == 2
    assert linear_score(features[:14], labels[:14])  # five of each
    assert linear_score(features[:13], labels[:13]) is None


def test_no_group_is_on_both_sides():
    groups = [f"s{k % 4}" for k in range(60)]
    score = linear_score(FEATURES, LABELS, groups)
    assert len(score.folds) == 4  # as many as groups
    tested = [k for _, test in score.folds for k in test]
    assert sorted(tested) == list(range(60))
    for train, test in score.folds:
        assert not {groups[k] for k in train} & {groups[k] for k in test}
    assert linear_score(FEATURES, LABELS, ["one"] * 60) is None


def test_groups_of_one_class_each_leave_nothing_to_learn():
    labels, groups = ["a"] * 5 + ["b"] * 5, ["x"] * 5 + ["y"] * 5
    score = linear_score(np.arange(10.0)[:, None], labels, groups)
    assert score.WA == score.majority == 0


def test_the_majority_is_that_of_the_training_part():
    labels = ["a"] * 15 + ["b"] * 5
    score = linear_score(np.zeros((20, 1)), labels)
    assert score.majority == score.WA == 0.75
    assert score.UA == 0.5


def test_the_share_between_classes_by_hand():
    values = ["a", "a", "b", "b"]
    none = np.array([[0.0], [1.0], [0.0], [1.0]])
    whole = np.array([[0.0], [0.0], [5.0], [5.0]])
    constant = np.full((4, 1), 0.1)
    assert share_between(none, values) == 0
    assert share_between(whole, values) == 1
    assert share_between(constant, values) == 0
    both = np.hstack([none, whole, constant])
    assert share_between(both, values) == 0.5
    # In a channel's own unit, around any mean.
    assert share_between(1e-3 * both + 7, values) == pytest.approx(0.5)


def test_by_chance_the_share_is_that_of_the_classes():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(101, 500))
    values = generator.permutation(np.arange(101) % 11)
    assert share_between(features, values) == pytest.approx(0.1, abs=0.01)
