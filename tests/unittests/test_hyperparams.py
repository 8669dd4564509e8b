from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.hyperparams import Hyperparams

ROOT = Path(__file__).resolve().parents[2]


def hyperparams(overrides="", head="pts_snn.yaml"):
    return Hyperparams(
        ROOT / "hparams" / head,
        overrides,
        ROOT / "recipes" / "URDU",
        corpus="URDU",
        n_classes=4,
    )


def test_nested_overrides_reach_the_head():
    settings = hyperparams("head: {n_prompts: 2}\nplif: {v_threshold: 10.0}")
    head = settings.build()["head"]
    assert len(head.attention.prompts) == 2
    assert head.encoder.blocks[0].plif.v_threshold == 10


def test_the_backbones_file_decides_on_normalisation():
    settings = hyperparams()
    assert settings.backbone_name == "fbank"
    assert settings.build()["normalize_features"] is True
    assert (
        hyperparams("normalize_features: False").build()["normalize_features"]
        is False
    )


def test_a_backbone_of_ones_own_is_two_lines(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "backbone: !new:speechbrain_ptssnn.backbones.Fbank\n    n_mels: 20\n"
    )
    settings = hyperparams(f"backbone: {file}")
    hparams = settings.build()
    assert settings.backbone_name == "mine"
    assert hparams["head"].input_size == 40
    assert hparams["normalize_features"] is False


def test_a_head_file_changes_its_base_only_where_it_says_so():
    ours, base = hyperparams(head="linear_probe.yaml"), hyperparams()
    assert ours.document["lr"] == base.document["lr"]
    assert type(ours.build()["head"]).__name__ == "LinearProbe"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("lrr: 1", "unknown key 'lrr'"),
        ("backbone: nothing", r"unknown backbone 'nothing'.*fbank"),
        ("protocol: nothing", r"unknown protocol 'nothing'.*random"),
        ("lr: high", "lr must be a number, got 'high'"),
        ("complete: 3", "complete must be True or False, got 3"),
        ("head: {n_promts: 3}", "n_promts"),
        ("head: {shortcut: wide}", "'membrane', 'spike' or 'none'"),
    ],
)
def test_wrong_settings_are_named(overrides, message):
    with pytest.raises(InputError, match=message):
        hyperparams(overrides).build()
