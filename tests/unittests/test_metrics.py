"""Every metric, by hand and against scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)

from speechbrain_ptssnn import unweighted_accuracy, weighted_accuracy
from speechbrain_ptssnn.metrics import (
    area_under_risk_coverage,
    class_recalls,
    confusion_scores,
    expected_calibration_error,
    risk_coverage,
    speaker_confusions,
)


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


@pytest.fixture(params=range(5))
def answers(request):
    """(speakers, targets, predictions); class 5 is never a target, class 6
    neither a target nor predicted.
    """
    rng = np.random.default_rng(request.param)
    targets = rng.choice(5, 80, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    wrong = rng.random(80) < 0.4
    predictions = np.where(wrong, rng.choice(6, 80), targets)
    return rng.choice(list("klm"), 80), targets, predictions


def test_confusions_of_the_speakers_are_scikit_learns(answers):
    speakers, targets, predictions = answers
    confusions = speaker_confusions(*answers, range(7))
    for speaker, confusion in zip("klm", confusions, strict=True):
        own = speakers == speaker
        assert np.array_equal(
            confusion,
            confusion_matrix(targets[own], predictions[own], labels=range(7)),
        )


def test_scores_of_a_confusion_matrix_are_scikit_learns(answers):
    _, targets, predictions = answers
    confusion = confusion_matrix(targets, predictions, labels=range(7))
    f1 = {
        f"{mean}_F1": f1_score(targets, predictions, average=mean)
        for mean in ("macro", "weighted")
    }
    assert confusion_scores(confusion) == pytest.approx(
        {
            "WA": weighted_accuracy(targets, predictions),
            "UA": unweighted_accuracy(targets, predictions),
            **f1,
        }
    )
    expected = recall_score(
        targets,
        predictions,
        labels=range(7),
        average=None,
        zero_division=np.nan,
    )
    recalls = class_recalls(confusion)
    assert np.isnan(expected[5:]).all()
    assert np.allclose(recalls, expected, equal_nan=True)


def test_many_confusion_matrices_score_as_one_by_one(answers):
    confusions = speaker_confusions(*answers, range(7))
    together = confusion_scores(confusions)
    for k, confusion in enumerate(confusions):
        one = confusion_scores(confusion)
        assert one == {name: each[k] for name, each in together.items()}


# 0.5 stands in the lower of two bins. Lower: 1 of 2 right, mean p 0.45; upper:
# 1 of 2 right, mean p 0.8.
def test_calibration_error_by_hand():
    posteriors = [[0.5, 0.5], [0.4, 0.3], [0.4, 0.6], [0.0, 1.0]]
    hits = [True, False, False, True]
    error = expected_calibration_error(posteriors, hits, n_bins=2)
    assert error == pytest.approx((abs(0.5 - 0.45) + abs(0.5 - 0.8)) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_that_of_scikit_learns_curve(seed):
    rng = np.random.default_rng(seed)
    posteriors = rng.dirichlet([0.5] * 4, 300)
    confidence = posteriors.max(-1)
    hits = rng.random(300) < confidence**2
    right, said = calibration_curve(hits, confidence, n_bins=15)
    counts = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    expected = np.average(abs(right - said), weights=counts[counts > 0])
    error = expected_calibration_error(posteriors, hits)
    assert error == pytest.approx(expected)


# The largest posteriors are 0.9, 0.8, 0.8, 0.6 and 0.5; those of 0.8 are one
# right and one wrong, 0.6 is wrong. So 1 of 5 is answered at 0.9, with risk 0;
# 3 of 5 at 0.8, with risk 1/3; 4 of 5 at 0.6, with risk 2/4; all at 0.5, with
# risk 2/5. AURC = (0 + 1/3 + 1/3 + 1/2 + 2/5) / 5 = 47/150.
POSTERIORS = [[0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.6, 0.4], [0.2, 0.8]]
HITS = [True, True, True, False, False]


@pytest.mark.parametrize("seed", range(3))
def test_the_risk_coverage_curve_is_that_worked_by_hand(seed):
    order = np.random.default_rng(seed).permutation(5)
    answers = np.array(POSTERIORS)[order], np.array(HITS)[order]
    thresholds, coverage, risk = risk_coverage(*answers)
    assert thresholds.tolist() == [0.9, 0.8, 0.6, 0.5]
    assert coverage.tolist() == pytest.approx([1 / 5, 3 / 5, 4 / 5, 1])
    assert risk.tolist() == pytest.approx([0, 1 / 3, 1 / 2, 2 / 5])
    assert area_under_risk_coverage(*answers) == pytest.approx(47 / 150)


@pytest.mark.parametrize("seed", range(3))
def test_risk_and_coverage_are_what_is_left_above_each_threshold(seed):
    rng = np.random.default_rng(seed)
    posteriors = rng.dirichlet([0.5] * 4, 60).round(1)  # many ties
    hits = rng.random(60) < posteriors.max(1)
    risks = {}
    for threshold, coverage, risk in zip(
        *risk_coverage(posteriors, hits), strict=True
    ):
        is_answered = posteriors.max(1) >= threshold
        assert coverage == pytest.approx(is_answered.mean())
        assert risk == pytest.approx(1 - hits[is_answered].mean())
        risks[threshold] = risk
    area = np.mean([risks[each] for each in posteriors.max(1)])
    assert area_under_risk_coverage(posteriors, hits) == pytest.approx(area)


def test_the_area_knows_the_best_and_the_worst_order():
    confidence = np.linspace(0.5, 0.95, 10)
    posteriors = np.stack([confidence, 1 - confidence], 1)
    assert area_under_risk_coverage(posteriors, [True] * 10) == 0
    assert area_under_risk_coverage(posteriors, [False] * 10) == 1
    hits = np.arange(10) >= 2  # the two least certain are wrong
    assert area_under_risk_coverage(posteriors, hits) == pytest.approx(
        (1 / 9 + 2 / 10) / 10
    )
