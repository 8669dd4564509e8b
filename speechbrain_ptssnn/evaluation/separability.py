"""How well a linear head tells class, speaker or session from mean frames, and
how much of their variance lies between classes.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from speechbrain_ptssnn.metrics import unweighted_accuracy, weighted_accuracy

FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class LinearScore:
    """What a linear head tells in cross-validation.

    Arguments
    ---------
    values : int
        Number of values that were told apart.
    used : list of int
        Which rows were used.
    folds : list of tuple
        (train, test) of each fold, positions in ``used``.
    WA, UA : float
        Weighted and unweighted accuracy over all test parts.
    majority : float
        WA of always guessing the commonest value of the training part.
    """

    values: int
    used: list
    folds: list
    WA: float
    UA: float
    majority: float


def linear_score(features, values, groups=None):
    """Cross-validates logistic regression on standardised features.

    The folds are 5, stratified by value and shuffled by a fixed seed. Values
    that occur fewer than 5 times are left out. With ``groups`` no group is in
    two folds, and there are at most as many folds as groups. The penalty of
    :func:`linear_head` is not tuned.

    Arguments
    ---------
    features : numpy.ndarray
        [rows, size].
    values : sequence of str
        What is to be told, one a row.
    groups : sequence of str, optional
        What may not be both trained on and tested, e.g. speakers.

    Returns
    -------
    LinearScore or None
        None if fewer than two values occur 5 times, or there is one group.

    Example
    -------
    >>> import numpy as np
    >>> values = ["a", "b"] * 10
    >>> features = np.array([[float(value == "a")] for value in values])
    >>> score = linear_score(features, values)
    >>> score.WA, score.majority
    (1.0, 0.5)
    """
    counts = Counter(values)
    used = [k for k, value in enumerate(values) if counts[value] >= FOLDS]
    features, values = features[used], np.array(values)[used]
    n_values, n_folds = len(set(values)), FOLDS
    if groups is not None:
        groups = np.array(groups)[used]
        n_folds = min(FOLDS, len(set(groups)))
    if n_values < 2 or n_folds < 2:
        return None
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    splits = splitter(n_folds, shuffle=True, random_state=SEED).split(
        features, values, groups
    )
    folds = [(train, test) for train, test in splits if len(test)]
    told, guessed = np.empty_like(values), np.empty_like(values)
    for train, test in folds:
        majority = DummyClassifier().fit(features[train], values[train])
        guessed[test] = told[test] = majority.predict(features[test])
        if len(set(values[train])) > 1:  # else there is nothing to learn
            head = linear_head().fit(features[train], values[train])
            told[test] = head.predict(features[test])
    return LinearScore(
        n_values,
        used,
        folds,
        weighted_accuracy(list(values), list(told)),
        unweighted_accuracy(list(values), list(told)),
        weighted_accuracy(list(values), list(guessed)),
    )


def linear_head(C=1.0):
    """Returns a classifier that is not trained yet: logistic regression on
    standardised features, by scikit-learn.

    Arguments
    ---------
    C : float
        Inverse of the L2 penalty's strength; scikit-learn's default is 1.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Example
    -------
    >>> head = linear_head().fit([[0.0], [1.0]], ["a", "b"])
    >>> head.predict([[0.2], [0.7]]).tolist()
    ['a', 'b']
    """
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=C, max_iter=1000)
    )


def share_between(features, values):
    """Returns how much of the features' variance lies between classes.

    For each channel it is the sum of squares between the classes' means over
    the total sum of squares (the correlation ratio, eta squared), then the
    mean over the channels that are not constant. By chance it is about
    (classes - 1) / (rows - 1). It looks at each channel alone and knows
    nothing of what several tell together.

    Arguments
    ---------
    features : numpy.ndarray
        [rows, size].
    values : sequence
        The class of each row.

    Returns
    -------
    float
        0 (all class means are equal, or all channels constant) to 1 (rows of
        one class are equal).

    Example
    -------
    >>> import numpy as np
    >>> features = np.array([[0.0, 7.0], [0.0, 7.0], [1.0, 7.0], [3.0, 7.0]])
    >>> share_between(features, ["a", "a", "b", "b"])  # 4 of 6
    0.6666666666666666
    """
    features = np.asarray(features, np.float64)
    values = np.asarray(values)
    centred = features - features.mean(0)
    between = np.zeros(features.shape[1])
    for value in np.unique(values):
        rows = centred[values == value]
        between += len(rows) * rows.mean(0) ** 2
    total = (centred**2).sum(0)
    varies = total > 1e-12 * (features**2).sum(0)  # beyond rounding
    if not varies.any():
        return 0.0
    return float((between[varies] / total[varies]).mean())
