"""Folds and seeds in processes of their own: same results, killed or not."""

import json
import os
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from speechbrain_ptssnn.utils.files import only_process

IN_JOBS = {"head": "linear_probe", "jobs": 2}
LONG = {"number_of_epochs": 20}  # so that one can be killed in the middle


def run_folder(results, seed=1):
    return Path(
        results, "URDU", "utterance", "fbank", "linear_probe", str(seed)
    )


def predictions(results, seed=1):
    return (run_folder(results, seed) / "predictions.csv").read_text()


def when(found):
    """Waits for a file, for two minutes at most."""
    for _ in range(24_000):
        if found():
            return
        time.sleep(0.005)
    pytest.fail("waited in vain")


def is_saved(fold):
    return any(fold.glob("save/*/complete.json"))


def times_trained(fold):
    """How often each epoch was, by its line in the fold's log."""
    lines = (fold / "train_log.txt").read_text().splitlines()
    numbers = [int(line.split()[1].strip(",")) for line in lines]
    return [numbers.count(k) for k in range(1, max(numbers) + 1)]


def was_resumed(fold, n_epochs=20):
    """No epoch was trained twice, but for the one that was being saved."""
    times = times_trained(fold)
    return len(times) == n_epochs and times[0] == 1 and sum(times) <= 21


def test_seeds_in_jobs_equal_runs_of_one_and_a_failed_one_stops_none(
    recipe, capsys
):
    options = {**IN_JOBS, "seed": "1,2", "fold": 1}
    results = recipe.path / "results"
    fold = run_folder(results) / "fold_1"
    with (
        only_process(fold),
        pytest.raises(SystemExit, match="failed folds: 1, see above"),
    ):
        recipe.call(**options)
    assert (
        f"seed 1, fold 1 failed: error: {fold}: another process is at work"
        in capsys.readouterr().out
    )
    assert "Traceback" not in (fold / "log.txt").read_text()
    done = run_folder(results, 2) / "fold_1" / "result.json"
    written = done.stat().st_mtime_ns
    recipe.call(**options)
    assert done.stat().st_mtime_ns == written
    said = " ".join(capsys.readouterr().out.split())
    accuracies = {}
    for seed in (1, 2):
        alone = recipe.run(
            head="linear_probe",
            fold=1,
            seed=seed,
            results_folder=recipe.path / f"alone_{seed}",
        )
        assert predictions(results, seed) == alone.predictions
        for name in ("settings.json", "folds.json", "manifest.json"):
            assert (run_folder(results, seed) / name).read_text() == (
                alone.folder / name
            ).read_text()
        accuracies[seed] = alone.summary["WA"]
        assert f" {seed} 1 of 2 {accuracies[seed]:.2%} " in said
    assert predictions(results, 1) != predictions(results, 2)
    seeds = json.loads((run_folder(results).parent / "seeds.json").read_text())
    assert {int(k): s["WA"] for k, s in seeds["seeds"].items()} == accuracies
    mean = statistics.mean(accuracies.values())
    assert seeds["WA_mean"] == pytest.approx(mean)
    assert seeds["WA_std"] == statistics.stdev(accuracies.values())


def test_children_end_with_a_killed_parent_and_the_same_command_goes_on(recipe):
    folds = [run_folder(recipe.path / "results") / f"fold_{k}" for k in (1, 2)]
    process = recipe.start(**IN_JOBS, **LONG)
    when(lambda: all(map(is_saved, folds)))
    process.kill()
    process.wait()
    recipe.call(**IN_JOBS, **LONG)
    assert all(map(was_resumed, folds))
    alone = recipe.run(
        head="linear_probe", results_folder=recipe.path / "alone", **LONG
    )
    assert predictions(recipe.path / "results") == alone.predictions


def trainer_of(fold):
    """The process that trains it, and that process's parent."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            command = (status.parent / "cmdline").read_text().split("\0")
            parent = status.read_text().partition("PPid:")[2].split()[0]
        except (OSError, IndexError):  # it has ended
            continue
        results = f"--results_folder={fold.parents[5]}"
        if {results, f"--fold={fold.name[-1]}"} <= set(command):
            return int(status.parent.name), int(parent)
    return None


def kill_worker(folds):
    """Of the first fold when the second is done; gives when that was."""
    when(lambda: is_saved(folds[0]))
    trainer, worker = trainer_of(folds[0])
    os.kill(trainer, signal.SIGSTOP)
    assert not (folds[0] / "result.json").exists()
    when((folds[1] / "result.json").exists)
    assert b"ray::" in Path(f"/proc/{worker}/cmdline").read_bytes()
    os.kill(worker, signal.SIGKILL)
    os.kill(trainer, signal.SIGCONT)
    return (folds[1] / "result.json").stat().st_mtime_ns


def test_a_killed_ray_worker_costs_its_own_fold_only(recipe):
    pytest.importorskip("ray", reason="the extra [ray] is missing")
    folds = [run_folder(recipe.path / "results") / f"fold_{k}" for k in (1, 2)]
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_worker, folds)
        recipe.call(launcher="ray", **IN_JOBS, **LONG)
    assert (folds[1] / "result.json").stat().st_mtime_ns == killing.result()
    assert times_trained(folds[1]) == [1] * 20
    assert was_resumed(folds[0])
    alone = recipe.run(
        head="linear_probe", results_folder=recipe.path / "alone", **LONG
    )
    assert predictions(recipe.path / "results") == alone.predictions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"launcher": "slurm"}, r"launcher must be .*'ray'.*, got 'slurm'"),
        ({"seed": "1,x"}, "several like 1,2,3, got '1,x'"),
        ({"seed": "1,2,1"}, "seed=1,2,1 names one twice"),
    ],
)
def test_bad_settings_end_in_one_sentence(options, message, recipe):
    with pytest.raises(SystemExit, match=message):
        recipe.call(**options)
    assert not (recipe.path / "results").exists()


@pytest.mark.parametrize(
    "options", [{"jobs": 2}, {"seed": "1,2"}, {"launcher": "ray"}]
)
def test_torchrun_shares_out_batches_only(options, recipe, monkeypatch):
    for key, value in {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "0",
    }.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(SystemExit, match="without torchrun"):
        recipe.call(**options)
