import json

import pytest
import torch

from speechbrain_ptssnn.apps import layer_profile
from speechbrain_ptssnn.cli import main
from speechbrain_ptssnn.training.train_fold import fit


@pytest.fixture
def layers(recipe, make_backbone):
    """Profiles a tiny model; returns the file's content and its folder."""

    def profile(**options):
        options = {
            "backbone": "huggingface",
            "hub": make_backbone("whisper"),
            "head": "linear_probe",
            "fold": 1,
            **options,
        }
        head, *rest = recipe.arguments(**options)
        main(["layers", "URDU", head, *rest])
        (path,) = (recipe.path / "results").rglob("layers/1.json")
        return json.loads(path.read_text()), path.parent

    return profile


def test_a_layers_score_is_that_of_training_on_it_alone(
    layers, recipe, make_backbone
):
    outcome, folder = layers()
    assert list(outcome["scores"]) == ["0", "1", "2"]
    for layer in ("1", "2"):
        result = recipe.path / f"alone-{layer}"
        recipe.call(
            backbone="huggingface",
            hub=make_backbone("whisper"),
            head="linear_probe",
            fold=1,
            layer=layer,
            lr=0.003,
            restart_period=30,
            results_folder=result,
        )
        (file,) = result.rglob("result.json")
        alone = json.loads(file.read_text())
        (score,) = outcome["scores"][layer]
        assert score["UA"] == pytest.approx(alone["valid_UA"])
    assert (folder / "1.svg").read_text().count("validation accuracy")


def test_folds_join_and_nothing_is_trained_twice(layers, monkeypatch, capsys):
    trained = []

    def counted(command, hparams, store, fold, files):
        trained.append(store.channels)
        return fit(command, hparams, store, fold, files)

    monkeypatch.setattr(layer_profile, "fit", counted)
    layers(fold=1)
    outcome, _ = layers(fold="all")
    assert len(trained) == 3 * 2
    assert [row["fold"] for row in outcome["scores"]["2"]] == [1, 2]
    assert "validation of folds 1, 2 of 2" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="made with other settings"):
        layers(lr=0.1)
    with pytest.raises(SystemExit, match="is the profile of linear_probe, not"):
        layers(head="vanilla_snn")


def test_layers_are_compared_on_the_folds_that_all_have():
    def rows(*accuracies):
        return [
            {"fold": k, "WA": WA, "UA": WA} for k, WA in enumerate(accuracies)
        ]

    names = {"corpus": "URDU", "protocol": "random", "backbone": "tiny"}
    scores = {"1": rows(0.5, 0.9), "2": rows(0.6), "3": []}
    outcome = {**names, "head": "linear_probe", "scores": scores, "n_folds": 2}
    said = layer_profile.table(outcome).splitlines()
    assert said[0].endswith("validation of folds 0 of 2")
    assert said[2].split() == ["1", "50.00%", "50.00%"]
    assert said[3].split() == ["2", "60.00%", "60.00%", "best"]


def test_the_test_part_is_not_read(layers, monkeypatch):
    heard = set()
    original = layer_profile.LayerStore.__getitem__

    def listen(self, name):
        heard.add(name)
        return original(self, name)

    monkeypatch.setattr(layer_profile.LayerStore, "__getitem__", listen)
    parts = {}

    def remember(command, hparams, store, fold, files):
        parts.update(vars(fold))
        return fit(command, hparams, store, fold, files)

    monkeypatch.setattr(layer_profile, "fit", remember)
    layers()
    assert heard == {*parts["train"], *parts["valid"]}
    assert not heard & {*parts["test"]}


def test_one_hidden_state_is_no_profile(layers):
    with pytest.raises(SystemExit, match="gives one hidden state, so there"):
        layers(layer="last")
    with pytest.raises(SystemExit, match="fbank gives one hidden state"):
        main(["layers", "URDU", "--backbone=fbank"])


def test_a_layer_is_a_slice_of_the_channels():
    store = {"a": torch.arange(12.0).reshape(2, 6)}
    layer = layer_profile.LayerStore(store, slice(2, 4))
    assert layer["a"].tolist() == [[2.0, 3.0], [8.0, 9.0]]
