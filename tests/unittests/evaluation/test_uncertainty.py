"""Intervals that hold the truth; p values by hand and against SciPy."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test

from speechbrain_ptssnn.evaluation.uncertainty import (
    bootstrap_intervals,
    sign_flip_p,
    smallest_p,
)


def accuracy(sums):
    return {"WA": sums[..., 0] / sums[..., 1]}


def test_interval_of_two_speakers_by_hand():
    # WA is 0.2 and 1.0, or 0.6 with half the draws: 2.5 % lies at the ends.
    counts = np.array([[2, 10], [10, 10]])
    low, high = bootstrap_intervals(accuracy, counts)["WA"]
    assert (low, high) == (0.2, 1.0)
    low, high = bootstrap_intervals(accuracy, counts, level=0.4)["WA"]
    assert (low, high) == (0.6, 0.6)


def test_one_speaker_gives_no_interval():
    assert bootstrap_intervals(accuracy, np.array([[2, 10]])) is None


def test_a_speaker_comes_with_all_utterances():
    # 30 utterances each, all right or all wrong: what one draws matters.
    right = np.tile([1, 0], 10)
    speakers = np.stack([30 * right, np.full(20, 30)], 1)
    utterances = np.repeat(np.stack([right, np.ones(20, int)], 1), 30, axis=0)
    width = {}
    for name, counts in (("speaker", speakers), ("utterance", utterances)):
        low, high = bootstrap_intervals(accuracy, counts)["WA"]
        width[name] = high - low
    # Standard errors 0.5 / sqrt(20) and 0.5 / sqrt(600).
    assert width["speaker"] == pytest.approx(2 * 1.96 * 0.1118, rel=0.1)
    assert width["utterance"] == pytest.approx(2 * 1.96 * 0.0204, rel=0.1)


@pytest.mark.parametrize(
    ("n_speakers", "least", "most"), [(20, 0.91, 0.97), (6, 0.82, 0.90)]
)
def test_intervals_hold_the_truth_as_often_as_the_docstring_says(
    n_speakers, least, most
):
    rng = np.random.default_rng(0)
    held = 0
    for k in range(400):
        right = rng.binomial(30, rng.beta(6, 3, n_speakers))
        counts = np.stack([right, np.full(n_speakers, 30)], 1)
        low, high = bootstrap_intervals(accuracy, counts, 500, seed=k)["WA"]
        held += low <= 6 / 9 <= high
    assert least < held / 400 < most


def test_intervals_are_scipys_but_for_its_random_numbers():
    rng = np.random.default_rng(0)
    counts = np.stack([rng.binomial(30, 0.7, 12), np.full(12, 30)], 1)
    # SciPy resamples the indices of speakers.
    expected = bootstrap(
        (np.arange(12),),
        lambda drawn, axis: accuracy(counts[drawn].sum(-2))["WA"],
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = bootstrap_intervals(accuracy, counts, draws=20_000)["WA"]
    assert found == pytest.approx(list(expected), abs=0.005)
    assert found[1] - found[0] > 0.05


def test_p_by_hand():
    # Sums of (±1 ±2 ±4): only ±7 and ±5 are as far from 0 as 1 - 2 - 4 = -5.
    assert sign_flip_p([1, -2, -4]) == 4 / 8
    assert sign_flip_p([0, 0, 0]) == 1
    assert sign_flip_p([0.1]) == 1
    assert sign_flip_p([0.1] * 6) == 2 / 2**6


@pytest.mark.parametrize("n_speakers", [1, 6, 14, 15, 19, 29])
def test_smallest_p_is_that_of_speakers_who_all_agree(n_speakers):
    # Some of 2^15 patterns are drawn twice: other seeds draw none like it.
    found = [
        sign_flip_p(np.full(n_speakers, 0.1), seed=seed) for seed in range(4)
    ]
    assert min(found) == smallest_p(n_speakers)


@pytest.mark.parametrize("n_speakers", [3, 8, 10])
def test_p_is_scipys(n_speakers):
    rng = np.random.default_rng(n_speakers)
    a, b = rng.binomial(20, 0.7, n_speakers), rng.binomial(20, 0.5, n_speakers)
    expected = permutation_test(
        (a / 20, b / 20),
        lambda x, y, axis: np.sum(x - y, axis),
        permutation_type="samples",
        n_resamples=2**n_speakers,
    )
    assert sign_flip_p(a / 20 - b / 20) == pytest.approx(expected.pvalue)


def test_many_speakers_are_drawn_close_to_all_patterns():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.4, 1, 15)
    sums = np.array(list(product((1, -1), repeat=15))) @ differences
    exact = np.mean(abs(sums) >= abs(differences.sum()) - 1e-12)
    p = sign_flip_p(differences)
    assert 0.02 < exact < 0.98
    assert p != exact
    assert p == pytest.approx(exact, abs=0.02)
    assert sign_flip_p(np.full(40, 0.1)) == 1 / 10_001  # never 0
