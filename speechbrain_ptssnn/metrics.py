"""Accuracy, F1, calibration error and the risk of unsure answers, as in speech
emotion recognition.
"""

import numpy as np
from sklearn.metrics import accuracy_score, recall_score


def weighted_accuracy(targets, predictions):
    """Returns the share of utterances classified correctly (WA, section
    IV.A).

    Arguments
    ---------
    targets : sequence of int or str
        True labels, at least one.
    predictions : sequence of int or str
        Predicted labels, in the same order.

    Returns
    -------
    float
        In [0, 1].

    Example
    -------
    >>> weighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.75
    """
    return float(accuracy_score(targets, predictions))


def unweighted_accuracy(targets, predictions):
    """Returns the mean recall of the classes that are present in ``targets``
    (UA, section IV.A), in [0, 1].

    Arguments
    ---------
    targets, predictions : sequence of int or str
        As in :func:`weighted_accuracy`.

    Example
    -------
    >>> round(unweighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1]), 4)
    0.8333
    """
    present = np.unique(targets)
    return float(
        recall_score(targets, predictions, labels=present, average="macro")
    )


def speaker_confusions(speakers, targets, predictions, labels):
    """Returns each speaker's confusion matrix; their sum is that of all.

    Arguments
    ---------
    speakers, targets, predictions : sequence of str
        Speaker, true label and predicted label of each utterance.
    labels : sequence of str
        All labels, in index order.

    Returns
    -------
    numpy.ndarray
        Counts, [speakers, true label, predicted label]; speakers are sorted.

    Example
    -------
    >>> speaker_confusions("kkl", "xyy", "xxy", "xy").tolist()
    [[[1, 0], [1, 0]], [[0, 0], [0, 1]]]
    """
    names, rows = np.unique(list(speakers), return_inverse=True)
    index = {label: k for k, label in enumerate(labels)}
    true, predicted = (
        [index[label] for label in each] for each in (targets, predictions)
    )
    counts = np.zeros((len(names), len(index), len(index)), dtype=int)
    np.add.at(counts, (rows, true, predicted), 1)
    return counts


def class_recalls(confusion):
    """Returns the share of each class that was classified correctly.

    Arguments
    ---------
    confusion : numpy.ndarray
        Counts, [..., true label, predicted label].

    Returns
    -------
    numpy.ndarray
        [..., labels], in [0, 1]; nan where a class has no target.

    Example
    -------
    >>> class_recalls(np.array([[3, 1], [0, 0]])).tolist()
    [0.75, nan]
    """
    return _ratio(_hits(confusion), confusion.sum(-1))


def confusion_scores(confusion):
    """Returns WA, UA and F1 of one confusion matrix or of many.

    F1 is 2 h / (t + p) for a class with t targets and p predictions, of which
    h are correct. Macro F1 is its mean over the classes with t + p > 0.
    Weighted F1 is its mean weighted by t. Both equal scikit-learn's.

    Arguments
    ---------
    confusion : numpy.ndarray
        Counts, [..., true label, predicted label], not all 0.

    Returns
    -------
    dict
        "WA", "UA", "macro_F1" and "weighted_F1", each [...], in [0, 1].

    Example
    -------
    >>> scores = confusion_scores(np.array([[2, 1], [0, 1]]))
    >>> {name: round(float(score), 4) for name, score in scores.items()}
    {'WA': 0.75, 'UA': 0.8333, 'macro_F1': 0.7333, 'weighted_F1': 0.7667}
    """
    hits, true = _hits(confusion), confusion.sum(-1)
    f1 = _ratio(2 * hits, true + confusion.sum(-2))
    return {
        "WA": hits.sum(-1) / true.sum(-1),
        "UA": np.nanmean(class_recalls(confusion), -1),
        "macro_F1": np.nanmean(f1, -1),
        "weighted_F1": np.nansum(f1 * true, -1) / true.sum(-1),
    }


def expected_calibration_error(posteriors, hits, n_bins=15):
    """Returns the expected calibration error (ECE): how far the largest
    posteriors are from the share of correct predictions.

    Utterances are grouped by their largest posterior p: bin b holds
    (b-1) / n_bins < p <= b / n_bins. In each bin, the share of correct
    predictions is compared with the mean of p. ECE is the mean absolute
    difference, weighted by the number of utterances.
    Source: Guo et al., 2017, arXiv:1706.04599, eq. 3, with their 15 bins.

    Arguments
    ---------
    posteriors : array of float
        [utterances, classes], in [0, 1], at least one utterance.
    hits : sequence of bool
        Whether each utterance was classified correctly.
    n_bins : int
        Number of bins, of equal width.

    Returns
    -------
    float
        In [0, 1]; 0 is perfectly calibrated.

    Example
    -------
    >>> posteriors = [[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]]
    >>> round(
    ...     expected_calibration_error(posteriors, [True, True, True, False]),
    ...     4,
    ... )
    0.15
    """
    counts, confidence, accuracy = reliability(posteriors, hits, n_bins)
    gaps = np.abs(accuracy - confidence)
    return float((counts * gaps).sum() / counts.sum())


def reliability(posteriors, hits, n_bins=15):
    """Groups utterances by their largest posterior, as the expected
    calibration error does.

    Arguments
    ---------
    posteriors, hits, n_bins
        As in :func:`expected_calibration_error`.

    Returns
    -------
    tuple of numpy.ndarray
        Of each bin that is not empty: the number of utterances, their mean
        largest posterior, and the share of them that is correct.

    Example
    -------
    >>> counts, confidence, accuracy = reliability(
    ...     [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]], [True, False, True]
    ... )
    >>> counts.tolist(), confidence.tolist(), accuracy.tolist()
    ([1, 2], [0.6, 0.9], [1.0, 0.5])
    """
    largest = np.max(posteriors, -1)
    edges = np.linspace(0, 1, n_bins + 1)[1:-1]
    bins = np.digitize(largest, edges, right=True)
    counts = np.bincount(bins, minlength=n_bins)
    filled = counts > 0
    means = [
        np.bincount(bins, values, n_bins)[filled] / counts[filled]
        for values in (largest, np.asarray(hits, float))
    ]
    return counts[filled], *means


def risk_coverage(posteriors, hits):
    """Returns how many answers are left, and how many of them are wrong, if
    those below a threshold are withheld.

    An utterance is answered if its largest posterior is at least the
    threshold. Coverage is the share of utterances that are answered; selective
    risk is the share of wrong ones among these answers, and 1 minus the
    selective accuracy. There is one point for each value that the largest
    posterior takes, so the order of utterances does not matter.
    Source: El-Yaniv and Wiener, 2010, JMLR 11:1605; with the largest
    posterior as confidence, Geifman and El-Yaniv, 2017, arXiv:1705.08500.

    Arguments
    ---------
    posteriors, hits
        As in :func:`expected_calibration_error`.

    Returns
    -------
    tuple of numpy.ndarray
        Thresholds, falling; coverage, rising to 1; and selective risk. All
        are in [0, 1].

    Example
    -------
    >>> thresholds, coverage, risk = risk_coverage(
    ...     [[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]],
    ...     [True, False, True, True],
    ... )
    >>> thresholds.tolist(), coverage.tolist(), risk.tolist()
    ([0.9, 0.7, 0.6], [0.25, 0.5, 1.0], [0.0, 0.5, 0.25])
    """
    thresholds, counts, wrong = _by_threshold(posteriors, hits)
    answered = counts.cumsum()
    return thresholds, answered / answered[-1], wrong.cumsum() / answered


def area_under_risk_coverage(posteriors, hits):
    """Returns the area under the risk-coverage curve (AURC): the mean, over
    all utterances, of the selective risk at the threshold that just answers
    the utterance.

    If the posteriors know nothing of the errors, 1 - WA is to be expected.
    Source: Geifman, Uziel and El-Yaniv, 2019, arXiv:1805.08206.
    Own choice: utterances of one posterior are answered together, since no
    threshold tells them apart.

    Arguments
    ---------
    posteriors, hits
        As in :func:`expected_calibration_error`.

    Returns
    -------
    float
        In [0, 1]; 0 if nothing is wrong.

    Example
    -------
    >>> area_under_risk_coverage(
    ...     [[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]],
    ...     [True, False, True, True],
    ... )
    0.25
    """
    _, counts, wrong = _by_threshold(posteriors, hits)
    risk = wrong.cumsum() / counts.cumsum()
    return float((counts * risk).sum() / counts.sum())


def _by_threshold(posteriors, hits):
    """The values of the largest posterior, falling, and how many utterances
    and how many wrong ones have each.
    """
    thresholds, groups, counts = np.unique(
        np.max(posteriors, -1), return_inverse=True, return_counts=True
    )
    wrong = np.bincount(groups, 1 - np.asarray(hits, float))
    return thresholds[::-1], counts[::-1], wrong[::-1]


def _hits(confusion):
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part, whole):
    nowhere = np.full(whole.shape, np.nan)
    return np.divide(part, whole, out=nowhere, where=whole > 0)
