from pathlib import Path

import pytest

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.training.hyperparams import Hyperparams

ROOT = Path(__file__).resolve().parents[3]


def as_keys(text):
    """YAML lines as the command line gives them: key to text."""
    return dict(line.split(": ", 1) for line in text.splitlines())


def hyperparams(overrides="backbone: fbank", head="pts_snn.yaml", **options):
    return Hyperparams(
        ROOT / "hparams" / head,
        as_keys(overrides),
        ROOT / "recipes" / "URDU",
        corpus="URDU",
        n_classes=4,
        **options,
    )


def test_nested_overrides_reach_the_head():
    settings = hyperparams(
        "backbone: fbank\nhead: {n_prompts: 2}\nplif: {v_threshold: 10.0}"
    )
    head = settings.build()["head"]
    assert len(head.attention.prompts) == 2
    assert head.encoder.blocks[0].plif.v_threshold == 10


@pytest.mark.parametrize(
    ("head", "line", "hint"),
    [
        ("linear_probe", "pooling: 5", r"write --head='{pooling: \.\.\.}'"),
        ("peers/superb", "saturation: 1.0", "leave it out"),
        ("vanilla_snn", "layer_norm: False", "leave it out"),
        ("linear_probe", "plif: {decay: 0.3}", "leave it out"),
        ("peers/linear_svm", "surrogate_alpha: 2.0", "leave it out"),
    ],
)
def test_a_key_that_the_head_does_not_use_is_refused(head, line, hint):
    key = line.partition(":")[0]
    with pytest.raises(InputError, match=rf"--{key} has no effect.*{hint}"):
        hyperparams(f"backbone: fbank\n{line}", f"{head}.yaml")


def test_a_key_that_the_head_uses_through_another_is_taken():
    settings = hyperparams(
        "backbone: fbank\nsurrogate_alpha: 2.0", "vanilla_snn.yaml"
    )
    assert settings.build()["head"].classifier.hidden.alpha == 2.0


def test_the_backbones_file_decides_on_normalisation():
    settings = hyperparams()
    assert settings.backbone_name == "fbank"
    assert settings.build()["normalizer"].rule == "corpus"
    settings = hyperparams("backbone: fbank\nnormalize: speaker")
    assert settings.build()["normalizer"].rule == "speaker"
    with pytest.raises(InputError, match=r"normalize must be one of none, cor"):
        hyperparams("backbone: fbank\nnormalize: speakers").build()


@pytest.mark.parametrize(
    ("old", "rule"), [("False", "none"), ("True", "corpus")]
)
def test_the_old_key_of_normalisation_is_read(old, rule, tmp_path):
    settings = hyperparams(f"backbone: fbank\nnormalize_features: {old}")
    assert settings.build()["normalizer"].rule == rule
    file = tmp_path / "mine.yaml"
    file.write_text(f"base: fbank.yaml\nnormalize_features: {old}\n")
    settings = hyperparams(f"backbone: {file}")
    assert settings.build()["normalizer"].rule == rule
    assert "normalize_features" not in settings.text()
    with pytest.raises(InputError, match="its new name is normalize"):
        hyperparams("normalize_features: speaker")


def test_a_backbone_of_ones_own_is_two_lines(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "backbone: !new:speechbrain_ptssnn.backbones.Fbank\n    n_mels: 20\n"
    )
    settings = hyperparams(f"backbone: {file}")
    hparams = settings.build()
    assert settings.backbone_name == "mine"
    assert hparams["head"].input_size == 40
    assert hparams["normalizer"].rule == "none"


def test_a_backbone_of_ones_own_may_stand_on_ours(tmp_path, make_backbone):
    file = tmp_path / "mine.yaml"
    file.write_text(f"base: huggingface.yaml\nhub: {make_backbone('wavlm')}\n")
    hparams = hyperparams(f"backbone: {file}\nlayer: weighted").build()
    assert hparams["backbone"].n_layers == hparams["head"].mixture.n_layers == 3
    assert hparams["head"].encoder.blocks[0].linear.in_features == 16


def test_the_default_backbone_is_the_papers():
    assert hyperparams("").backbone_name == "emotion2vec_base"


def test_the_corpus_says_which_protocol_is_the_default():
    assert hyperparams().protocol_name == "random"
    assert hyperparams(protocol="speaker").protocol_name == "speaker"
    given = "backbone: fbank\nprotocol: random"
    assert hyperparams(given, protocol="speaker").protocol_name == "random"


def test_a_head_file_changes_its_base_only_where_it_says_so():
    ours, base = hyperparams(head="linear_probe.yaml"), hyperparams()
    assert ours.document["lr"] == base.document["lr"]
    assert type(ours.build()["head"]).__name__ == "LinearProbe"


def test_a_file_elsewhere_stands_on_ours_and_its_data_lie_beside_it(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: linear_probe.yaml\ncorpus: Cafe\ndata_folder: data/my.csv\n"
        "label_map: {calm: calm, loud: angry}\n"
    )
    settings = Hyperparams(
        file,
        as_keys("backbone: fbank\nlabel_map: {loud: loud}"),
        ROOT / "recipes" / "URDU",
        corpus="Cafe",
        n_classes=2,
    )
    hparams = settings.build()
    assert hparams["model"] == "linear_probe"
    assert hparams["data_folder"] == str(tmp_path / "data" / "my.csv")
    mapped = {"calm": "calm", "loud": "loud"}
    assert hparams["label_map"] == settings.value("label_map") == mapped


def test_another_head_may_stand_in_for_that_of_a_users_file(tmp_path):
    below, file = tmp_path / "below.yaml", tmp_path / "mine.yaml"
    below.write_text("base: pts_snn.yaml\nlr: 0.01\nhead: {n_prompts: 2}\n")
    file.write_text("base: below.yaml\nmodel: mine\nweight_decay: 0.1\n")
    hparams = hyperparams("backbone: fbank\nbase: linear_probe", file).build()
    assert type(hparams["head"]).__name__ == "LinearProbe"
    assert hparams["model"] == "linear_probe"
    assert (hparams["lr"], hparams["weight_decay"]) == (0.01, 0.1)
    hparams = hyperparams("backbone: fbank\nbase: pts_snn", file).build()
    assert len(hparams["head"].attention.prompts) == 5
    with pytest.raises(InputError, match=r"pts_snn\.yaml is one of ours; name"):
        hyperparams("backbone: fbank\nbase: linear_probe")
    whole = hyperparams().text()
    file.write_text(whole)
    with pytest.raises(InputError, match=r"mine.yaml: has no base of ours"):
        hyperparams("backbone: fbank\nbase: linear_probe", file)


def test_a_base_that_does_not_exist_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("base: linear_probe\n")
    message = r"base 'linear_probe' \(did you mean 'linear_probe.yaml'\?\) is"
    with pytest.raises(InputError, match=message):
        hyperparams(head=file)


def test_what_is_no_yaml_of_keys_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("path,label\n")
    with pytest.raises(InputError, match=r"a\.csv: is not a YAML file of keys"):
        Hyperparams(tmp_path / "a.csv", {}, None)


def test_a_head_file_anywhere_changes_single_arguments(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: pts_snn.yaml\nmodel: mine\nhead: {n_prompts: 2}\n"
        "plif: {per_neuron: False}\nlabel_map: {joy: happy}\n"
    )
    hparams = hyperparams(head=file).build()
    assert hparams["model"] == "mine"
    assert hparams["label_map"] == {"joy": "happy"}
    assert hparams["head"].attention.prompts.shape == (2, 256)
    assert hparams["head"].classifier.hidden.w.shape == (1,)


def test_an_unknown_backbone_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"unknown backbone 'no'.*fbank"):
        hyperparams("backbone: no")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("lrr: 1", "unknown key 'lrr'"),
        ("protocol: nothing", r"unknown protocol 'nothing'.*random"),
        ("lr: high", "lr must be a number, got 'high'"),
        ("complete: 3", "complete must be True or False, got 3"),
        ("head: {n_promts: 3}", "n_promts"),
        ("head: {shortcut: wide}", "'membrane', 'spike' or 'none'"),
    ],
)
def test_wrong_settings_are_named(overrides, message):
    with pytest.raises(InputError, match=message):
        hyperparams(f"backbone: fbank\n{overrides}").build()


def test_what_a_users_file_says_wins_over_backbone_and_protocol(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "base: pts_snn.yaml\nlayer_norm: True\nnumber_of_epochs: 5\n"
        "label_map: {Angry: a, Happy: b, Neutral: b, Sad: null}\n"
    )
    settings = Hyperparams(
        tmp_path / "mine.yaml",
        {"backbone": "opensmile_compare"},
        ROOT / "recipes" / "URDU",
        corpus="URDU",
    )
    assert settings.value("layer_norm") is True
    assert settings.value("clip_features") == 6  # the backbone's
    assert settings.value("label_map")["Happy"] == "b"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("number_of_epoch: 5", "unknown key 'number_of_epoch'"),
        ("seed: 1,2,3", "seed must be a whole number, got '1,2,3'"),
        ("lr: fast", "lr must be a number, got 'fast'"),
    ],
)
def test_a_users_file_is_checked_like_the_command_line(line, message, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"base: pts_snn.yaml\n{line}\n")
    with pytest.raises(InputError, match=message):
        Hyperparams(
            tmp_path / "mine.yaml",
            {"backbone": "fbank"},
            ROOT / "recipes" / "URDU",
        )


@pytest.mark.parametrize("name", ["run #2", "010", "2026_11", "2026-11-27"])
def test_a_folder_may_be_called_anything(name):
    settings = hyperparams(f"backbone: fbank\nresults_folder: {name}")
    assert settings.build()["results_folder"] == name
    assert settings.plain()["results_folder"] == name


@pytest.mark.parametrize(
    "line",
    [
        "results_folder: 2026-11-27",
        "features_folder: 010",
        "results_folder: 2026",
        "model: 1e3",
        "corpus: True",
        "data_folder: 2026_11",
        "data_folder: {EMOVO: 0x10}",
    ],
)
def test_a_name_that_yaml_takes_for_something_else_needs_quotes(line, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"base: pts_snn.yaml\n{line}\n")
    key, _, value = line.partition(": ")
    with pytest.raises(InputError, match=rf"mine\.yaml: {key}.*in quotes"):
        hyperparams(head=file)
    if "{" not in line:
        file.write_text(f"base: pts_snn.yaml\n{key}: '{value}'\n")
        found = hyperparams(head=file).plain()[key]
        assert found in (value, str(tmp_path / value), "URDU")


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("key", ["results_folder", "features_folder", "model"])
def test_a_name_is_not_empty(key, value, tmp_path):
    with pytest.raises(InputError, match=f"--{key} is empty; write a name"):
        hyperparams(f"backbone: fbank\n{key}: {value}")
    file = tmp_path / "mine.yaml"
    file.write_text(f"base: pts_snn.yaml\n{key}: '{value}'\n")
    with pytest.raises(InputError, match=rf"mine\.yaml: {key} is empty"):
        hyperparams(head=file)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(
        "base: ~/base.yaml\nfeatures_folder: ~/features\n"
        "data_folder: {EMOVO: ~/emovo}\n"
    )
    (tmp_path / "base.yaml").write_text(
        (ROOT / "hparams" / "pts_snn.yaml").read_text()
    )
    (tmp_path / "tiny.yaml").write_text("base: fbank.yaml\n")
    settings = hyperparams(
        "backbone: ~/tiny.yaml\nresults_folder: ~/results",
        head=tmp_path / "mine.yaml",
    )
    found = settings.plain()
    assert settings.backbone_name == "tiny"
    assert found["features_folder"] == str(tmp_path / "features")
    assert found["results_folder"] == str(tmp_path / "results")
    assert found["data_folder"] == {"EMOVO": str(tmp_path / "emovo")}
    given = "backbone: fbank\ndata_folder: {EMOVO: ~/a}"
    settings = Hyperparams(
        ROOT / "hparams" / "pts_snn.yaml",
        as_keys(given),
        ROOT / "recipes" / "CrossCorpus",
        "emovo_to_urdu",
    )
    assert settings.value("data_folder")["EMOVO"] == str(tmp_path / "a")


def test_plain_settings_are_known_before_anything_is_built():
    settings = hyperparams(
        "backbone: huggingface\nhub: /nowhere/my-model/\nlr: 0.5"
    )
    plain = settings.plain()
    assert (plain["results_folder"], plain["lr"]) == ("results", 0.5)
    assert not {"head", "backbone", "loss", "plif"} & {*plain}
    assert settings.build(["backbone_name"]) == {"backbone_name": "my-model"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("head: {kappa: abc}", "head: kappa must be a number, got 'abc'"),
        ("head: {n_prompts: 2.5}", "head: n_prompts must be a whole number"),
        ("head: {attention: 1}", "head: attention must be True or False"),
        ("loss: {focal_weight: null}", "loss: focal_weight must be a number"),
        ("plif: {decay: [1]}", "plif: decay must be a number"),
    ],
)
def test_arguments_of_objects_are_of_their_defaults_kind(overrides, message):
    with pytest.raises(InputError, match=message):
        hyperparams(f"backbone: fbank\n{overrides}")


@pytest.mark.parametrize(
    "line",
    ["loss: !new:no.such.Loss", "opt_class: !name:torch.optim.NoSuchOptimizer"],
)
def test_a_class_that_does_not_exist_is_a_sentence(line, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"base: pts_snn.yaml\n{line}\n")
    with pytest.raises(InputError, match=r"hyperparameters: .*[Nn]o.?[Ss]uch"):
        hyperparams(head=tmp_path / "mine.yaml").build()


def test_a_reference_to_a_number_is_no_folder(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "base: pts_snn.yaml\nresults_folder: !ref <seed>\n"
    )
    with pytest.raises(InputError, match="results_folder is 1 to YAML"):
        hyperparams(head=tmp_path / "mine.yaml").build()
