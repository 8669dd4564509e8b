"""Accuracy as speech emotion recognition counts it."""

import numpy as np
from sklearn.metrics import accuracy_score, recall_score


def weighted_accuracy(targets, predictions):
    """Share of utterances classified rightly (WA, section IV.A).

    Arguments
    ---------
    targets : sequence of int or str
        True labels, not empty.
    predictions : sequence of int or str
        Predicted labels, as many.

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
    """Mean over the classes present in ``targets`` of the share of each that
    was classified rightly (UA, section IV.A).

    Arguments
    ---------
    targets : sequence of int or str
        True labels, not empty.
    predictions : sequence of int or str
        Predicted labels, as many.

    Returns
    -------
    float
        In [0, 1].

    Example
    -------
    >>> round(unweighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1]), 4)
    0.8333
    """
    present = np.unique(targets)
    return float(
        recall_score(targets, predictions, labels=present, average="macro")
    )
