"""Which seeds of a model are put together, and which are not."""

import json

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.scores import read_seeds


@pytest.fixture
def make(tmp_path):
    def make(seed, folds_done, **hyperparams):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "summary.json").write_text(
            json.dumps({"seed": seed, "folds_done": folds_done})
        )
        hyperparams = {"seed": str(seed), "lr": "0.1", **hyperparams}
        (folder / "settings.json").write_text(
            json.dumps({"hyperparams": hyperparams})
        )
        return tmp_path

    return make


def test_folds_that_all_seeds_have_done_count(make):
    make(10, [1, 2, 3])
    folder = make(2, [2, 3, 4])
    (folder / "3").mkdir()  # without a summary
    seeds = read_seeds(folder)
    assert [each.name for each in seeds.folders] == ["2", "10"]
    assert seeds.done == [2, 3]
    assert seeds.left_out == []
    assert [each["seed"] for each in seeds.summaries] == [2, 10]


def test_a_seed_that_was_broken_off_takes_nothing_from_the_others(make):
    make(1, [1, 2, 3])
    make(2, [3])
    seeds = read_seeds(make(3, [1, 2, 3, 4]))
    assert [each.name for each in seeds.folders] == ["1", "3"]
    assert (seeds.done, seeds.left_out) == ([1, 2, 3], [2])


def test_no_fold_done_is_nothing(make, tmp_path):
    assert read_seeds(tmp_path) is None
    assert read_seeds(make(1, [])) is None


def test_seeds_of_different_settings_are_refused(make):
    make(1, [1])
    with pytest.raises(InputError, match=r"1 and .*2 .*: lr=0.1 and 0.2;"):
        read_seeds(make(2, [1], lr="0.2"))
