"""Seeds put together: all that are equally far, and no other."""

import json

import pytest

from speechbrain_ptssnn.evaluation.seeds import (
    SHARED,
    summarize_seeds,
    table_of_seeds,
)


@pytest.fixture
def summarize(tmp_path):
    def summarize(*seeds):
        summaries = [
            {
                **dict.fromkeys(SHARED, "x"),
                "folds": 2,
                "seed": seed,
                "folds_done": folds_done,
                "WA": wa,
                "UA": wa / 2,
            }
            for seed, folds_done, wa in seeds
        ]
        path = tmp_path / "seeds.json"
        outcome = summarize_seeds(path, summaries)
        assert json.loads(path.read_text()) == outcome
        return outcome

    return summarize


def test_a_seed_that_was_broken_off_is_shown_and_not_averaged(summarize):
    outcome = summarize((1, [1, 2], 0.5), (2, [1], 0.9), (3, [1, 2], 0.7))
    assert list(outcome["seeds"]) == ["1", "2", "3"]
    assert outcome["WA_mean"] == pytest.approx(0.6)
    assert outcome["UA_mean"] == pytest.approx(0.3)
    assert outcome["WA_std"] == pytest.approx(0.2 / 2**0.5)


def test_one_whole_seed_has_no_spread(summarize):
    outcome = summarize((1, [1, 2], 0.5), (2, [1], 0.9))
    assert (outcome["WA_mean"], outcome["WA_std"]) == (0.5, None)
    assert table_of_seeds(outcome).splitlines()[-1].split() == ["std", "-", "-"]
