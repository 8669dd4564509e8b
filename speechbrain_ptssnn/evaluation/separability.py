"""How well a linear head tells class, speaker or session from mean frames."""

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
    two folds, and there are at most as many folds as groups. The penalty is
    scikit-learn's default, L2 with C = 1, and is not tuned.

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
            head = make_pipeline(
                StandardScaler(), LogisticRegression(max_iter=1000)
            )
            head.fit(features[train], values[train])
            told[test] = head.predict(features[test])
    return LinearScore(
        n_values,
        used,
        folds,
        weighted_accuracy(list(values), list(told)),
        unweighted_accuracy(list(values), list(told)),
        weighted_accuracy(list(values), list(guessed)),
    )
