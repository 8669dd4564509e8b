from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.training.hyperparams import Hyperparams

ROOT = Path(__file__).resolve().parents[3]


def hyperparams(backbone, head="pts_snn", **keys):
    return Hyperparams(
        ROOT / f"hparams/{head}.yaml",
        {"backbone": backbone, **keys},
        ROOT / "recipes" / "URDU",
        corpus="URDU",
        n_classes=4,
    )


def results_name(settings):
    return settings.build(["backbone_name"])["backbone_name"]


def rules(hparams):
    return [norm.rule for norm in hparams["normalizer"].norms]


def test_several_backbones_stand_side_by_side(make_backbone):
    settings = hyperparams(
        "whisper-small+fbank", hub=str(make_backbone("whisper")), layer="1"
    )
    assert settings.backbone_name == "whisper-small+fbank"
    assert results_name(settings) == "tiny-whisper-L1+fbank"
    hparams = settings.build()
    assert hparams["backbone"].sizes == hparams["normalizer"].sizes == [16, 160]
    assert hparams["backbone"].backbones[0].layers == [1]
    assert hparams["head"].input_size == 176
    # Both are standardised; saturation 0.3 is fbank's; the head's LayerNorm
    # over both streams is off, and Whisper has its own.
    assert rules(hparams) == ["corpus", "corpus"]
    assert hparams["normalizer"].layer_norm == [True, False]
    assert hparams["layer_norm"] is False
    assert hparams["saturation"] == 0.3


def test_keys_that_several_have_are_numbered(make_backbone):
    settings = hyperparams(
        "whisper-base+fbank+huggingface",
        hub_1=str(make_backbone("whisper")),
        hub_3=str(make_backbone("wavlm")),
        layer_1="mean",
        layer_3="-2",
        window_1="audio",
    )
    name = "tiny-whisper-mean-audio+fbank+tiny-wavlm-L-2"
    assert results_name(settings) == name
    backbone = settings.build()["backbone"]
    assert backbone.backbones[0].layers == [1, 2]
    assert backbone.backbones[2].layers == [1]
    with pytest.raises(InputError, match=r"unknown key 'layer'.*'layer_1'"):
        hyperparams("whisper-base+huggingface", layer="1")


def test_co_attention_needs_two_front_ends(make_backbone):
    keys = {"head": "peers/co_attention", "layer": "1"}
    keys["hub"] = str(make_backbone("whisper"))
    head = hyperparams("whisper-base+fbank", **keys).build()["head"]
    assert head.sizes == [16, 160]
    for names, n in (("fbank", 1), ("fbank+fbank+fbank", 3)):
        with pytest.raises(InputError) as error:
            hyperparams(names, "peers/co_attention").build()
        assert str(error.value) == (
            f"co-attention needs two front-ends, got {n}; choose two, e.g. "
            "--backbone=whisper-base+fbank"
        )


def test_lists_of_rules_can_be_given(make_backbone):
    settings = hyperparams(
        "huggingface+fbank",
        hub=str(make_backbone("wavlm")),
        normalize="[corpus, corpus]",
        clip_features="[4.0, .inf]",
        saturation="0.2",
    )
    hparams = settings.build()
    assert rules(hparams) == ["corpus", "corpus"]
    assert hparams["normalizer"].norms[0].clip == 4
    assert hparams["saturation"] == 0.2
    with pytest.raises(InputError, match="normalize must be one value, or a"):
        hyperparams("huggingface+fbank", normalize="[corpus]")


def test_one_value_is_for_all_front_ends(make_backbone):
    hub = str(make_backbone("wavlm"))
    for given, expected in (
        ({"normalize": "speaker"}, ["speaker", "speaker"]),
        ({"normalize_features": "True"}, ["corpus", "corpus"]),  # its old name
        ({"normalize_features": [True, False]}, ["corpus", "none"]),
    ):
        settings = hyperparams("huggingface+fbank", hub=hub, **given)
        assert rules(settings.build()) == expected


def test_a_backbone_that_is_none_is_named():
    with pytest.raises(InputError, match=r"unknown backbone 'fbnk'.*'fbank'"):
        hyperparams("whisper-base+fbnk")
