"""The names of a run's files, and what cannot be read."""

import json
from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.predictions import write_predictions
from speechbrain_ptssnn.evaluation.run_folder import (
    RunFolder,
    condition_of,
    fixed_keys,
    model_folder,
    record_file,
    record_files,
    runs_of,
)

MODEL = ("URDU", "random", "fbank", "pts_snn")


def test_an_older_energy_file_is_read_as_one_of_today(tmp_path):
    run = RunFolder(tmp_path)

    def read(backbone):
        scaled = {"strict": {"mJ": 0.5}, "paper": {"mJ": 0.25}}
        content = {"scaled": scaled, **backbone}
        run.energy.write_text(json.dumps(content))
        return run.read_energy()

    old = {"name": "wavlm", "seconds": 4.55, "MACs": 10, "mJ": 150.0}
    content = read({"backbone": old})
    assert content["backbone"] == "wavlm"
    assert content["scaled"]["backbone"]["mJ"] == 150
    total = {"strict": {"mJ": 150.5}, "paper": {"mJ": 150.25}}
    assert content["scaled"]["total"] == total
    # Signal processing was not counted.
    uncounted = {"name": "fbank", "seconds": 4.55, "MACs": None, "mJ": None}
    for backbone in ({}, {"backbone": uncounted}):
        assert not {"backbone", "total"} & read(backbone)["scaled"].keys()


def test_runs_are_in_the_order_of_their_seeds(tmp_path):
    folder = model_folder(tmp_path, *MODEL)
    for seed in (10, 2, 1):
        (folder / str(seed)).mkdir(parents=True)
    for seed in (10, 2):
        RunFolder(folder / str(seed)).folds.touch()
    assert [run.path.name for run in runs_of(folder)] == ["2", "10"]


def test_finished_folds_are_sorted_as_numbers(tmp_path):
    run = RunFolder(tmp_path)
    numbers = (10, 2, 1)
    tested = {str(number): {"test": ["a"]} for number in numbers}
    run.folds.write_text(json.dumps(tested))
    for number in numbers:
        run.fold(number).path.mkdir()
    row = {"id": "a", "speaker": "k"}
    row |= {"label": "l", "prediction": "l", "p_l": "1"}
    for number in (10, 2):
        write_predictions(run.fold(number).predictions, [row], ["l"])
        run.fold(number).result.write_text("{}")
    assert run.finished == [2, 10]
    assert not run.is_finished(1)


@pytest.mark.parametrize("name", ["result.json", "predictions.csv"])
@pytest.mark.parametrize("left", [0, 0.5, 0.99])
def test_a_fold_with_a_damaged_file_is_not_finished(name, left, run):
    assert run.finished == [1, 2]
    path = run.fold(1).path / name
    text = path.read_bytes()
    path.write_bytes(text[: int(left * len(text))])
    assert run.finished == [2]
    path.unlink()
    assert run.finished == [2]


def test_a_fold_that_lacks_a_prediction_is_not_finished(run):
    path = run.fold(1).predictions
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert run.finished == [2]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("summary", "the training's command, given again, writes it"),
        ("folds", "the training's command, given again, writes it"),
        ("manifest", "the training's command, given again, writes it"),
        ("energy", "'ptssnn energy .*' writes it"),
        ("latency", r"benchmarks/latency\.py writes it"),
        ("settings", r"nobody knows how .*remove .* another --results_folder"),
    ],
)
def test_an_empty_file_is_named_with_what_mends_it(name, remedy, tmp_path):
    run = RunFolder(tmp_path)
    path = getattr(run, name)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"{path.name}: is empty; .*{remedy}"):
        run.read_json(path)
    path.write_text("[1, 2")
    with pytest.raises(
        InputError, match=f"{path.name}: is damaged; .*{remedy}"
    ):
        run.read_json(path)


def test_empty_hyperparams_are_named_with_what_mends_them(tmp_path):
    run = RunFolder(tmp_path)
    run.hyperparams.write_bytes(b"")
    with pytest.raises(InputError, match=r"params\.yaml: is empty; .*nobody"):
        run.read_hyperparams()


def test_settings_of_old_runs_are_read_in_the_form_of_today(tmp_path):
    run = RunFolder(tmp_path)
    run.hyperparams.write_text("lr: 0.1\njobs: 2\n")
    options = {"debug": False, "max_grad_norm": 2.0}
    run.settings.write_text(
        json.dumps({"hyperparams": {"lr": "0.1"}, "run options": options})
    )
    assert run.read_settings() == {
        "hyperparams": {
            "lr": 0.1,
            "max_grad_norm": 2.0,
            "window": "full",
            "margin": 0.5,
        },
        "order of the classes": [],
        "run options": {"debug": False},
    }
    run.hyperparams.write_text("lr: 0.1\nmax_grad_norm: 1.0\n")
    run.settings.write_text(json.dumps({"run options": {"debug": False}}))
    assert run.read_settings()["hyperparams"]["max_grad_norm"] == 1


def test_arguments_that_older_runs_lack_have_the_values_of_then():
    plif, head = (
        "!name:speechbrain_ptssnn.nnet.plif.PLIF",
        "!new:speechbrain_ptssnn.lobes.pts_snn.PTSSNN",
    )
    old = {plif: {"decay": 0.5}}
    keys = fixed_keys({"plif": old, "head": {head: {"size": 4, "plif": old}}})
    new = {plif: {"decay": 0.5, "reset": "subtract"}}
    assert keys["plif"] == keys["head"][head]["plif"] == new
    assert keys["head"][head]["causal"] is False
    hard = {plif: {"reset": "hard"}}
    assert fixed_keys({"plif": hard})["plif"] == hard


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


def test_a_backbone_with_more_arguments_is_the_same_setting():
    def keys(**arguments):
        backbone = {"!new:Backbone": {"hub": "a", **arguments}}
        size = {"!apply:getattr": [backbone, "output_size"]}
        return {"backbone": backbone, "head": {"input_size": size}}

    fixed = fixed_keys(keys())
    assert fixed == fixed_keys(keys(window="full") | {"window": "full"})
    assert fixed != fixed_keys(keys(window="audio") | {"window": "audio"})
    assert fixed["head"]["input_size"]["!apply:getattr"][1] == "output_size"
