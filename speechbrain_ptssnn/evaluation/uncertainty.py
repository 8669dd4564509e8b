"""How sure a value is: intervals, p values and standard deviations.

Intervals and p values resample speakers, not utterances: the utterances of one
speaker tend to be right or wrong together, and over utterances the intervals
would be too narrow. They do not contain the variation over seeds and folds,
which standard deviations show.

``scipy.stats.bootstrap`` and ``permutation_test`` do the same and draw other
random numbers, so that published values would change. The tests compare them
with ours.
"""

from itertools import product
from statistics import stdev

import numpy as np

EXACT_UP_TO = 14  # speakers: 16,384 patterns of signs
DRAWS = 10_000  # patterns of signs, for more speakers


def sample_std(values):
    """The standard deviation of a sample (n - 1).

    Arguments
    ---------
    values : list of float
        One or more.

    Returns
    -------
    float or None
        None for one value, which has no spread.

    Example
    -------
    >>> sample_std([1.0, 2.0, 3.0]), sample_std([1.0])
    (1.0, None)
    """
    return stdev(values) if len(values) > 1 else None


def bootstrap_intervals(scores, counts, draws=2000, level=0.95, seed=1):
    """Percentile bootstrap over speakers (Efron, 1979).

    Each draw takes as many speakers as there are, with replacement, each with
    all utterances. With few speakers the intervals are too narrow: in
    simulation (``tests/unittests/evaluation/test_uncertainty.py``) intervals
    of 95 % contain the true value in 93 to 95 % of cases with 20 speakers,
    and in 85 to 88 % with six.

    Arguments
    ---------
    scores : callable
        Takes sums of ``counts`` over speakers, [draws, ...]; returns a dict
        of name to [draws].
    counts : numpy.ndarray
        Each speaker's counts, [speakers, ...], like confusion matrices.
    draws : int
        Number of resamples.
    level : float
        Share of the resamples inside the interval.
    seed : int
        Of the draws.

    Returns
    -------
    dict or None
        Name of a score to [low, high]; None with one speaker.

    Example
    -------
    >>> right_and_all = np.array([[9, 10], [5, 10], [7, 10]])
    >>> bootstrap_intervals(
    ...     lambda sums: {"WA": sums[:, 0] / sums[:, 1]}, right_and_all
    ... )
    {'WA': [0.5, 0.9]}
    """
    n = len(counts)
    if n == 1:
        return None
    weights = np.random.default_rng(seed).multinomial(n, [1 / n] * n, draws)
    tails = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: np.quantile(values, tails).tolist()
        for name, values in scores(np.tensordot(weights, counts, 1)).items()
    }


def sign_flip_p(differences, draws=DRAWS, seed=1):
    """Two-sided p value of a paired permutation test.

    If two runs are equally good, a speaker's predictions can be swapped
    between them, which changes the sign of that speaker's difference. Up to
    14 speakers all 2^n patterns of signs are counted; above, ``draws`` random
    patterns and the observed one (Phipson and Smyth, 2010, arXiv:1603.05766).

    Arguments
    ---------
    differences : array of float
        [speakers]; their sum is the difference of the two runs.
    draws : int
        Number of random patterns.
    seed : int
        Of the patterns.

    Returns
    -------
    float
        Share of patterns whose sum is as far from 0 as the one observed.

    Example
    -------
    >>> sign_flip_p([0.1, 0.2, 0.3])
    0.25
    """
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    # Sums that differ only by rounding count as equal.
    observed = abs(differences.sum()) - 1e-12
    if n <= EXACT_UP_TO:
        signs = np.array(list(product((1, -1), repeat=n)))
        return float(np.mean(abs(signs @ differences) >= observed))
    signs = np.random.default_rng(seed).choice((1, -1), (draws, n))
    extreme = np.count_nonzero(abs(signs @ differences) >= observed)
    return (1 + extreme) / (1 + draws)


def smallest_p(n_speakers):
    """The smallest value that :func:`sign_flip_p` can give.

    Arguments
    ---------
    n_speakers : int
        One or more.

    Returns
    -------
    float
        Up to 14 speakers the share of two patterns, the one observed and its
        opposite; above, of the one observed among those drawn and itself.

    Example
    -------
    >>> smallest_p(6), round(smallest_p(29), 6)
    (0.03125, 0.0001)
    """
    if n_speakers <= EXACT_UP_TO:
        return 2 / 2**n_speakers
    return 1 / (1 + DRAWS)
