"""Energy of a trained run, as ``ptssnn energy`` measures it."""

import json

import pytest

from speechbrain_ptssnn.energy.measure import table, write_energy


def test_a_trained_run_is_measured(recipe):
    run = recipe.run(fold=1, pooling=1)
    outcome, path = write_energy(run.folder, frames=100)
    assert path == run.folder / "energy.json"
    assert json.loads(path.read_text()) == json.loads(json.dumps(outcome))
    assert outcome["folds"] == [1]
    assert outcome["n_utterances"] == run.summary["n_utterances"]
    rates = run.summary["firing_rates"]
    mean, scaled = outcome["mean"], outcome["scaled"]
    for name, neurons in (
        ("encoder.blocks.1", "encoder.blocks.0.plif"),
        ("attention", "encoder.blocks.1.plif"),
        ("classifier.linear", "classifier.hidden"),
    ):
        layer = next(x for x in scaled["layers"] if x["name"] == name)
        assert layer["kind"] == "binary"
        assert layer["density"] == pytest.approx(rates[neurons]["mean"])
        assert layer["strict"]["ACs"] == pytest.approx(
            layer["density"] * layer["operations"]
        )
    first = scaled["layers"][0]
    assert first["name"] == "encoder.blocks.0"
    assert first["strict"]["MACs"] == 100 * 160 * 512
    assert mean["layers"][0]["strict"]["MACs"] == pytest.approx(
        mean["frames"] * 160 * 512
    )
    for part in (mean, scaled):
        for rule in ("strict", "paper"):
            for key in ("MACs", "ACs", "mJ"):
                assert part[rule][key] == pytest.approx(
                    sum(layer[rule][key] for layer in part["layers"])
                )
    assert scaled["paper"]["mJ"] < scaled["strict"]["mJ"]
    assert outcome["backbone"]["MACs"] is None
    sums = [line.split() for line in table(outcome).splitlines()]
    assert ["strict", "100.0"] in [line[:2] for line in sums]
    assert f"{scaled['strict']['mJ']:.4f}" in table(outcome)
    assert "has no weights" in table(outcome)
    assert f"{scaled['element_wise']['sum']:,.0f}" in table(outcome)


def test_a_backbone_with_weights_is_counted_or_not(recipe, make_backbone):
    run = recipe.run(
        head="linear_probe",
        backbone="huggingface",
        hub=make_backbone("wavlm"),
        fold=1,
    )
    outcome, _ = write_energy(str(run.folder))
    backbone = outcome["backbone"]
    assert (backbone["name"], backbone["seconds"]) == ("tiny-wavlm", 4.55)
    assert backbone["mJ"] == pytest.approx(backbone["MACs"] * 4.6e-9)
    assert outcome["scaled"]["strict"] == outcome["scaled"]["paper"]
    outcome, path = write_energy(run.folder, with_backbone=False)
    assert "backbone" not in json.loads(path.read_text())
    assert "backbone" not in table(outcome)
