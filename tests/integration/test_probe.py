"""``ptssnn probe``: from a trained run to its table, files and report."""

import json

import pytest
import torch

from speechbrain_ptssnn.apps.stage_probes import probe_run
from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.separability import (
    linear_head,
    share_between,
)
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.report.curves import read_curves
from speechbrain_ptssnn.report.page import write_report

STAGES = ["mel", "coarse", "fine", "encoder", "layer 1", "layer 2"]


@pytest.fixture
def train(recipe):
    def call(head="spike_encoder/small", **options):
        return recipe.run(head=head, backbone="fbank_10ms", **options)

    return call


def test_a_run_is_probed_and_reported(train, capsys):
    run = train(normalize="corpus")
    report = write_report([run.folder]).read_text()
    assert "Stages of the spike encoder" in report
    assert "ptssnn probe RUN" in report
    main(["probe", str(run.folder)])
    path = run.folder / "probes.json"
    outcome = json.loads(path.read_text())
    assert outcome["folds"] == [1, 2]
    assert outcome["n_utterances"] == run.summary["n_utterances"]
    for kind in ("trained", "untrained"):
        assert [*outcome[kind]["stages"]] == STAGES
        assert [*outcome[kind]["errors"]] == ["coarse", "encoder"]
    mel, other = (
        outcome[kind]["stages"]["mel"] for kind in ("trained", "untrained")
    )
    assert mel == other  # the network has no part in it
    # The mel values, done again without the monitor.
    trained = TrainedRun(run.folder)
    right, between = 0, 0
    for fold in outcome["folds"]:
        _, features = trained.load(fold)
        x, y = {}, {}
        for part in ("train", "test"):
            ids = trained.part_ids(fold, part)
            x[part] = torch.stack([features(id)[0].mean(0) for id in ids])
            y[part] = [trained.utterances[id].label for id in ids]
        linear = linear_head(mel["C"][fold - 1]).fit(x["train"], y["train"])
        right += sum(linear.predict(x["test"]) == y["test"])
        between += share_between(x["test"].numpy(), y["test"]) / 2
    assert mel["accuracy"][-1] == right / outcome["n_utterances"]
    assert mel["between"] == pytest.approx(between, abs=1e-5)
    text = capsys.readouterr().out
    assert "untrained" in text and str(path) in text
    assert "trained" in (run.folder / "probes.svg").read_text()
    report = write_report([run.folder]).read_text()
    assert "Linear heads on the means" in report
    assert "ptssnn probe RUN" not in report


def test_each_epoch_logs_the_stages_of_validation(train):
    run = train(fold=1)
    curves = read_curves(run.folder / "fold_1" / "tensorboard")
    for stage in STAGES:
        assert [*curves[f"stages/{stage}/between"]] == [1, 2]
    errors = curves["stages/encoder/error"], curves["stages/coarse/error"]
    assert errors[0][2] < errors[1][2]
    assert "encoder/error" in (run.folder / "fold_1/train_log.txt").read_text()


def test_the_untrained_head_is_the_trainings(train):
    # Without a learning rate, training leaves all parameters at their start.
    run = train(fold=1, lr=0.0, lr_min=0.0)
    trained = TrainedRun(run.folder)
    head, _ = trained.load(1)
    torch.manual_seed(99)
    start = dict(trained.start_head(1).named_parameters())
    for name, parameter in head.named_parameters():
        assert torch.equal(parameter, start[name]), name


@pytest.mark.parametrize("head", ["spike_encoder/mel", "linear_probe"])
def test_other_heads_are_refused(train, head):
    run = train(head, fold=1)
    with pytest.raises(InputError, match="no stages to probe"):
        probe_run(run.folder)
    assert not (run.folder / "probes.json").exists()
