"""The names of a run's files, and what cannot be read."""

from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.run_folder import (
    RunFolder,
    condition_of,
    model_folder,
    record_file,
    record_files,
    runs_of,
)

MODEL = ("URDU", "random", "fbank", "pts_snn")


def test_runs_are_in_the_order_of_their_seeds(tmp_path):
    folder = model_folder(tmp_path, *MODEL)
    for seed in (10, 2, 1):
        (folder / str(seed)).mkdir(parents=True)
    for seed in (10, 2):
        RunFolder(folder / str(seed)).folds.touch()
    assert [run.path.name for run in runs_of(folder)] == ["2", "10"]


def test_finished_folds_are_sorted_as_numbers(tmp_path):
    run = RunFolder(tmp_path)
    for number in (10, 2, 1):
        run.fold(number).path.mkdir()
    for number in (10, 2):
        run.fold(number).result.touch()
    assert run.finished == [2, 10]
    assert not run.fold(1).is_finished


def test_a_record_is_beside_the_models(tmp_path):
    folder = model_folder(tmp_path, *MODEL)
    folder.mkdir(parents=True)
    path = record_file(folder, "table4")
    assert path.parent == folder.parent
    path.touch()
    assert record_files(tmp_path) == [path]


def test_the_condition_is_read_from_the_path(monkeypatch, tmp_path):
    folder = model_folder(tmp_path, *MODEL)
    folder.mkdir(parents=True)
    expected = dict(
        zip(("corpus", "protocol", "backbone"), MODEL, strict=False)
    )
    assert condition_of(folder) == expected
    monkeypatch.chdir(folder)
    assert RunFolder(Path("1")).condition == expected
    assert RunFolder(Path("../pts_snn/1")).condition == expected


def test_what_is_missing_is_named(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(InputError, match=r"summary.json: is not there"):
        run.read_json(run.summary)
    with pytest.raises(InputError, match=r"hyperparams.yaml: is not there"):
        run.read_hyperparams()


def test_hyperparams_are_plain_values(tmp_path):
    run = RunFolder(tmp_path)
    run.hyperparams.write_text(
        "# 1\nlr: 0.0005 # AdamW\nname: 'a #b'\n"
        "loss: !new:x.Loss {alpha: 0.8}\n"
    )
    assert run.read_hyperparams() == {
        "lr": 0.0005,
        "name": "a #b",
        "loss": {"!new:x.Loss": {"alpha": 0.8}},
    }
