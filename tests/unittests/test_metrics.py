"""WA and UA, by hand and against scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from speechbrain_ptssnn import unweighted_accuracy, weighted_accuracy


# Three of class a (two right), one of b (right), one of c (wrong):
# WA = 3/5; UA = (2/3 + 1 + 0) / 3 = 5/9. Class d is only ever predicted.
@pytest.mark.parametrize("labels", [(0, 1, 2, 3), ("a", "b", "c", "d")])
def test_accuracies_are_those_worked_by_hand(labels):
    targets = [labels[k] for k in (0, 0, 0, 1, 2)]
    predictions = [labels[k] for k in (0, 0, 3, 1, 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert weighted_accuracy(targets, predictions) == pytest.approx(3 / 5)
        assert unweighted_accuracy(targets, predictions) == pytest.approx(5 / 9)


@pytest.mark.parametrize("seed", range(5))
def test_accuracies_equal_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    targets = rng.choice(7, 60, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    wrong = rng.random(60) < 0.4
    predictions = np.where(wrong, rng.choice(np.unique(targets), 60), targets)
    wa = weighted_accuracy(targets, predictions)
    ua = unweighted_accuracy(targets.tolist(), predictions.tolist())
    assert wa == pytest.approx(accuracy_score(targets, predictions))
    assert ua == pytest.approx(balanced_accuracy_score(targets, predictions))
    assert type(wa) is type(ua) is float


@pytest.mark.parametrize("metric", [weighted_accuracy, unweighted_accuracy])
@pytest.mark.parametrize(
    ("targets", "predictions"), [([], []), ([0, 1], [0]), ([0], [0, 1])]
)
def test_empty_or_unequal_lists_are_an_error(metric, targets, predictions):
    with pytest.raises(ValueError):
        metric(targets, predictions)
