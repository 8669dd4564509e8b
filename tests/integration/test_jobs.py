"""Folds and seeds in processes of their own, killed and resumed."""

import json
import os
import signal
import statistics
import threading
import time
from pathlib import Path

import pytest

from speechbrain_ptssnn.files import only_process


@pytest.fixture
def jobs(recipe):
    """The linear probe with ``--jobs=2``, in this process or in another."""

    def options(**changes):
        return {"head": "linear_probe", "jobs": 2, **changes}

    def run(**changes):
        recipe.run(**options(**changes))

    def start(**changes):
        return recipe.start(**options(**changes))

    recipe.jobs, recipe.start_jobs = run, start
    return recipe


def run_folder(results, seed=1):
    return Path(results, "URDU", "utterance", "fbank", "linear_probe", f"{seed}")


def predictions(results, seed=1):
    return (run_folder(results, seed) / "predictions.csv").read_text()


def wait_for(found, process):
    while not found():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.005)


def epochs(fold):
    """How often each epoch was trained, by its line in the fold's log."""
    lines = (fold / "train_log.txt").read_text().splitlines()
    numbers = [int(line.split()[1].rstrip(",")) for line in lines]
    return [numbers.count(k + 1) for k in range(max(numbers))]


def test_seeds_in_jobs_equal_one_run_a_seed(jobs, capsys):
    together = jobs.path / "together"
    with pytest.raises(ValueError):  # two seeds, two summaries
        jobs.jobs(seed="1,2", results_folder=together)
    said = capsys.readouterr().out
    values = {}
    for seed in (1, 2):
        alone = jobs.run(
            head="linear_probe", seed=seed, results_folder=jobs.path / f"{seed}"
        )
        assert predictions(together, seed) == alone.predictions
        for name in ("settings.json", "folds.json", "manifest.json"):
            assert (run_folder(together, seed) / name).read_text() == (
                alone.folder / name
            ).read_text()
        values[seed] = alone.summary["WA"]
    assert predictions(together, 1) != predictions(together, 2)
    seeds = json.loads((run_folder(together).parent / "seeds.json").read_text())
    assert seeds["WA_mean"] == statistics.mean(values.values())
    assert seeds["WA_std"] == statistics.stdev(values.values())
    for seed, wa in values.items():
        assert seeds["seeds"][str(seed)]["WA"] == wa
        assert f"{seed}             2 of 2{wa:8.2%}" in said
