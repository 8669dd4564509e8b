"""Recipes differ by name only, every YAML builds, README names everything."""

import re
from pathlib import Path

import pytest

from speechbrain_ptssnn.corpora.common import find_corpus
from speechbrain_ptssnn.hyperparams import Hyperparams

ROOT = Path(__file__).resolve().parents[2]
CORPORA = sorted(path.parent.name for path in ROOT.glob("recipes/*/train.py"))
BACKBONES = sorted(path.stem for path in ROOT.glob("hparams/backbones/*.yaml"))
# What the name of a backbone begins with, and the tiny model to try it with.
KINDS = {
    "emotion2vec": "emotion2vec",
    "huggingface": "wav2vec2",
    "wav2vec2": "wav2vec2",
    "xls-r": "xls-r",
    "hubert": "hubert",
    "wavlm": "wavlm",
    "data2vec": "data2vec",
    "w2v-bert": "w2v-bert",
    "whisper": "whisper",
}
HEADS = sorted(path.name for path in ROOT.glob("hparams/*.yaml"))
PROTOCOLS = sorted(
    (path.parents[1].name, path.stem)
    for path in ROOT.glob("recipes/*/protocols/*.yaml")
)


@pytest.mark.parametrize("corpus", CORPORA)
def test_recipes_differ_by_name_only(corpus):
    script = (ROOT / "recipes" / corpus / "train.py").read_text()
    reference = (ROOT / "recipes" / CORPORA[0] / "train.py").read_text()
    assert script.replace(corpus, CORPORA[0]) == reference
    assert find_corpus(corpus).name == corpus


def build(head, corpus, overrides=""):
    return Hyperparams(
        ROOT / "hparams" / head,
        f"backbone: fbank\n{overrides}",
        ROOT / "recipes" / corpus,
        find_corpus(corpus).protocol,
        corpus=corpus,
        n_classes=4,
    ).build()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_yaml_builds(head, corpus):
    hparams = build(head, corpus)
    assert hparams["model"] == head.removesuffix(".yaml")
    assert hparams["head"].input_size == hparams["backbone"].output_size


@pytest.mark.parametrize(("corpus", "name"), PROTOCOLS)
def test_every_protocol_builds_as_named(corpus, name):
    hparams = build("linear_probe.yaml", corpus, f"protocol: {name}")
    protocol = hparams["protocol"]
    assert protocol.seed == hparams["split_seed"]
    unit = {"random": "utterance", "four_classes": "speaker"}.get(name, name)
    if hasattr(protocol, "n_folds"):
        assert (protocol.unit, protocol.n_folds > 1) == (unit, True)
    # Speakers that validate are not trained on where those tested are not;
    # a corpus of one's own may have sessions and no speakers.
    if protocol.unit in ("speaker", "session") and corpus != "Custom":
        assert protocol.valid_unit == "speaker"


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_recipe_has_these_protocols(corpus):
    names = {name for each, name in PROTOCOLS if each == corpus}
    needed = {find_corpus(corpus).protocol}
    if corpus != "CrossCorpus":
        needed |= {"random", "speaker"}
    if corpus not in ("SynthEmo", "Custom", "CrossCorpus"):
        needed.add("emobox")
    assert needed <= names
    readme = (ROOT / "recipes" / corpus / "README.md").read_text()
    assert all(f"| `{name}`" in readme for name in names)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_builds(backbone, make_backbone):
    overrides = f"backbone: {backbone}"
    if backbone.startswith("opensmile"):
        pytest.importorskip(
            "opensmile", reason="the extra [opensmile] is missing"
        )
    elif backbone != "fbank":
        (kind,) = [k for k in KINDS if backbone.startswith(k)]
        overrides += f"\nlayer: weighted\nhub: {make_backbone(KINDS[kind])}"
    hparams = Hyperparams(
        ROOT / "hparams" / "pts_snn.yaml",
        overrides,
        ROOT / "recipes" / CORPORA[0],
        corpus=CORPORA[0],
        n_classes=4,
    ).build()
    assert hparams["head"].input_size == hparams["backbone"].output_size
    assert hparams["head"].mixture.n_layers == hparams["backbone"].n_layers


@pytest.mark.parametrize("name", BACKBONES)
def test_every_hub_model_is_pinned_or_says_why_not(name):
    text = (ROOT / f"hparams/backbones/{name}.yaml").read_text()
    if "\nhub: " in text and name != "huggingface":
        assert re.search(
            r"^revision: [0-9a-f]{40}$|^# Not pinned: ", text, re.M
        )


def test_defaults_of_the_yaml_are_those_of_the_head():
    from speechbrain_ptssnn import PTSSNN

    hparams = Hyperparams(
        ROOT / "hparams" / "pts_snn.yaml",
        "backbone: fbank",
        ROOT / "recipes" / CORPORA[0],
        corpus=CORPORA[0],
        n_classes=4,
    ).build()
    built, default = hparams["head"], PTSSNN(160)
    assert repr(built) == repr(default)
    plif = built.classifier.hidden
    for name in ("v_threshold", "alpha", "detach_reset", "decay_reset"):
        assert getattr(plif, name) == getattr(default.classifier.hidden, name)


@pytest.mark.parametrize("name", [*CORPORA, *BACKBONES])
def test_readme_names_every_corpus_and_backbone(name):
    assert name in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_recipe_says_where_and_how(corpus):
    text = (ROOT / "recipes" / corpus / "README.md").read_text()
    for needed in ("train.py", "data_folder", ".wav"):
        assert needed in text
