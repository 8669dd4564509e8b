"""Energy of a run, through the command that users call."""

import json

import pytest

from speechbrain_ptssnn.energy.measure import main


def test_a_trained_run_is_measured(recipe, capsys):
    run = recipe.run(fold=1, pooling=1)
    main([str(run.folder), "--frames=100"])
    text = capsys.readouterr().out
    outcome = json.loads((run.folder / "energy.json").read_text())
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
    assert f"strict  count,  100.0 frames: {scaled['strict']['mJ']:.4f}" in text
    assert "has no weights" in text
    assert f"{scaled['element_wise']['sum']:,.0f}" in text


def test_a_backbone_with_weights_is_counted_or_not(
    recipe, make_backbone, capsys
):
    run = recipe.run(
        head="linear_probe",
        backbone="huggingface",
        hub=make_backbone("wavlm"),
        fold=1,
    )
    main([str(run.folder)])
    outcome = json.loads((run.folder / "energy.json").read_text())
    backbone = outcome["backbone"]
    assert (backbone["name"], backbone["seconds"]) == ("tiny-wavlm", 4.55)
    assert backbone["mJ"] == pytest.approx(backbone["MACs"] * 4.6e-9)
    assert outcome["scaled"]["strict"] == outcome["scaled"]["paper"]
    main([str(run.folder), "--backbone=no"])
    assert "front-end" not in capsys.readouterr().out.split("energy.json")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "holds no fold_"), (["--frames=0"], "--frames must be at least 1")],
)
def test_what_can_not_be_measured_is_said(tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        main([str(tmp_path), *arguments])
