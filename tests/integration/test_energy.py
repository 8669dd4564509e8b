"""Energy of a trained run, as ``ptssnn energy`` measures it."""

import json

import pytest

from speechbrain_ptssnn.backbones import Fbank, HuggingFace
from speechbrain_ptssnn.energy.measure import (
    backbone_operations,
    table,
    write_energy,
)


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
    assert outcome["backbone"] == "fbank"
    manifest, folds = (
        json.loads((run.folder / f"{name}.json").read_text())
        for name in ("manifest", "folds")
    )
    durations = [manifest[id]["duration"] for id in folds["1"]["test"]]
    for part, seconds in (
        (mean, sum(durations) / len(durations)),
        (scaled, 4.55 * 100 / 226),
    ):
        assert part["seconds"] == pytest.approx(seconds)
        macs = Fbank().multiplications(round(16000 * seconds))
        assert part["backbone"]["MACs"] == macs
        assert part["backbone"]["mJ"] == pytest.approx(macs * 4.6e-9)
        for rule in ("strict", "paper"):
            assert part["total"][rule]["mJ"] == pytest.approx(
                part[rule]["mJ"] + macs * 4.6e-9
            )
    sums = [line.split() for line in table(outcome).splitlines()]
    assert ["strict", "2.01", "100.0"] in [line[:3] for line in sums]
    assert f"{scaled['strict']['mJ']:.4f}" in table(outcome)
    assert f"{scaled['total']['strict']['mJ']:.4f}" in table(outcome)
    assert f"{scaled['element_wise']['sum']:,.0f}" in table(outcome)


def test_a_backbone_with_weights_is_counted_or_not(recipe, make_backbone):
    run = recipe.run(
        head="linear_probe",
        backbone="huggingface",
        hub=make_backbone("wavlm"),
        fold=1,
    )
    outcome, _ = write_energy(str(run.folder))
    scaled = outcome["scaled"]
    assert (outcome["backbone"], scaled["seconds"]) == ("tiny-wavlm", 4.55)
    macs = backbone_operations(HuggingFace(make_backbone("wavlm")), 4.55)
    assert scaled["backbone"] == {
        "MACs": macs,
        "mJ": pytest.approx(macs * 4.6e-9),
    }
    assert scaled["strict"] == scaled["paper"]
    outcome, path = write_energy(run.folder, with_backbone=False)
    content = json.loads(path.read_text())
    for key in ("mean", "scaled"):
        assert not {"backbone", "total"} & content[key].keys()
    assert "front-end" not in table(outcome)


def test_a_head_gets_one_frame_where_the_front_end_gives_one(
    recipe, monkeypatch
):
    run = recipe.run(head="linear_probe", fold=1)
    monkeypatch.setattr(Fbank, "is_pooled", True)
    outcome, _ = write_energy(run.folder)
    scaled = outcome["scaled"]
    assert (scaled["frames"], scaled["seconds"]) == (1, 4.55)
    first = scaled["layers"][0]
    assert first["operations"] == 160 * 256
    assert scaled["backbone"]["MACs"] == Fbank().multiplications(72800)
    assert "an utterance of 1 frame with" in table(outcome)
