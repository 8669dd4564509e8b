"""Currents, and silent and saturated neurons, worked by hand."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from speechbrain_ptssnn import PLIF, PTSSNN
from speechbrain_ptssnn.nnet.adaptive_lif import AdaptiveLIF
from speechbrain_ptssnn.nnet.monitor import CALIBRATED
from speechbrain_ptssnn.report.mismatch import UNCALIBRATED, measure_mismatch


def fake_run(heads, utterances, labels):
    """One fold a head, each testing all utterances: id to (label, feats)."""
    return SimpleNamespace(
        summary={"folds_done": list(heads), "labels": labels},
        utterances={
            id: SimpleNamespace(label=label)
            for id, (label, _) in utterances.items()
        },
        test_ids=lambda number: list(utterances),
        load=lambda number: (
            heads[number].eval(),
            lambda id: utterances[id][1].unsqueeze(0),
        ),
    )


@pytest.mark.parametrize("threshold", [1.0, 10.0])
def test_one_layer_by_hand(threshold):
    head = torch.nn.Sequential(PLIF(2, v_threshold=threshold))
    loud = torch.tensor([[0.05, 2.05]] * 4) * threshold
    mute = torch.tensor([[0.05, -9.0]] * 4) * threshold
    run = fake_run(
        {1: head}, {"a": ("sad", mute), "b": ("angry", loud)}, ["angry", "sad"]
    )
    (found,) = measure_mismatch(run).values()
    assert found.uncalibrated is None
    # Bins of 0.1: the first from -3, the 31st from 0, the 51st from 2.
    counts = {k: int(n) for k, n in enumerate(found.currents) if n}
    assert counts == {0: 4, 30: 8, 50: 4}
    assert list(found.rates) == ["all", "angry", "sad"]
    rates = {
        group: (each["mean"], each["silent"], each["saturated"])
        for group, each in found.rates.items()
    }
    assert rates == {
        "all": (0.25, 0.5, 0.0),
        "angry": (0.5, 0.5, 0.5),
        "sad": (0.0, 1.0, 0.0),
    }


def test_other_neurons_than_plif_have_a_threshold_too():
    head = torch.nn.Sequential(AdaptiveLIF(1))
    run = fake_run({1: head}, {"a": ("sad", torch.ones(4, 1))}, ["sad"])
    (found,) = measure_mismatch(run).values()
    assert found.currents[40] == 4  # the bin from 1.0


def test_a_label_that_a_fold_does_not_test_counts_where_it_is_tested():
    heads = {k: torch.nn.Sequential(PLIF(1)) for k in (1, 2)}
    feats = torch.full((4, 1), 2.0)
    run = fake_run(heads, {"a": ("x", feats), "b": ("y", feats)}, ["x", "y"])
    run.test_ids = {1: ["a"], 2: ["a", "b"]}.get
    (found,) = measure_mismatch(run).values()
    assert found.rates["y"] == {"mean": 1.0, "silent": 0.0, "saturated": 1.0}
    assert found.currents.sum() == 12


def test_uncalibrated_is_what_a_head_without_bias_voltage_has():
    torch.manual_seed(0)
    easy = partial(PLIF, v_threshold=0.1)
    head = PTSSNN(6, 3, hidden_size=16, size=8, bias_hidden=4, plif=easy)
    torch.nn.init.constant_(head.bias_generator.up.bias, 1.0)
    utterances = {name: ("x", torch.randn(30, 6)) for name in "abc"}
    run = fake_run({1: head}, utterances, ["x"])
    with_bias = measure_mismatch(run)
    torch.nn.init.zeros_(head.bias_generator.up.bias)
    without = measure_mismatch(run)
    hidden = with_bias[CALIBRATED]
    assert torch.equal(hidden.uncalibrated, without[CALIBRATED].currents)
    assert hidden.rates[UNCALIBRATED] == without[CALIBRATED].rates["all"]
    assert hidden.rates["all"]["mean"] > hidden.rates[UNCALIBRATED]["mean"]
    assert not torch.equal(hidden.uncalibrated, hidden.currents)
    assert [
        name
        for name, each in with_bias.items()
        if each.uncalibrated is not None
    ] == [CALIBRATED]
    # Binary input at a threshold of 1 goes through; prompts are not counted.
    assert with_bias["attention.plif"].rates == (
        with_bias["encoder.blocks.1.plif"].rates
    )
