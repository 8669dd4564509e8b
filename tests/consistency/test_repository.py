"""Recipes differ by name only, every YAML builds, tables hold the records."""

import json
import re
from pathlib import Path

import pytest
import torch

from speechbrain_ptssnn.cli import main as ptssnn
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.energy.operations import count_operations
from speechbrain_ptssnn.energy.pricing import total_energy
from speechbrain_ptssnn.experiments.sets import read_set
from speechbrain_ptssnn.training.brain import repeated
from speechbrain_ptssnn.training.hyperparams import Hyperparams
from write_results import PAPER_CORPORA
from write_results import main as results

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
HPARAMS = ROOT / "hparams"
# Heads for two front-ends are tried with halves of the channels of one.
HALVES = {
    "peers/co_attention.yaml": {n: [n // 2, n // 2] for n in (130, 160, 768)}
}
HEADS = sorted(path.name for path in HPARAMS.glob("*.yaml"))
VARIANTS = sorted(
    str(path.relative_to(HPARAMS))
    for folder in ("ablations", "peers", "spike_encoder")
    for path in HPARAMS.glob(f"{folder}/*.yaml")
)
SETS = sorted(HPARAMS.glob("sets/*.yaml"))
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


def as_keys(text):
    """YAML lines as the command line gives them: key to text."""
    return dict(line.split(": ", 1) for line in text.splitlines())


def build(head, corpus=CORPORA[0], overrides="", n_classes=4):
    if head in HALVES and not overrides:
        overrides = f"head: {{sizes: {HALVES[head][160]}}}"
    return Hyperparams(
        HPARAMS / head,
        as_keys(f"backbone: fbank\n{overrides}"),
        ROOT / "recipes" / corpus,
        find_corpus(corpus).protocol,
        corpus=corpus,
        n_classes=n_classes,
    ).build()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_yaml_builds(head, corpus):
    hparams = build(head, corpus)
    assert hparams["model"] == head.removesuffix(".yaml")
    assert hparams["head"].input_size == hparams["backbone"].output_size


@pytest.mark.parametrize("name", [*HEADS, *VARIANTS])
def test_the_energy_of_every_head_can_be_counted(name):
    head = build(name)["head"]
    rows = count_operations(head, torch.randn(1, 20, head.input_size))
    # Trees compare; they multiply nothing.
    assert (total_energy(rows) > 0) == ("trees" not in name)


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
    if corpus not in ("CrossCorpus", "SpeechCommands"):
        needed |= {"random", "speaker"}
    if corpus in PAPER_CORPORA:
        needed.add("emobox")
    assert needed <= names
    readme = (ROOT / "recipes" / corpus / "README.md").read_text()
    assert all(f"| `{name}`" in readme for name in names)


@pytest.mark.parametrize("name", [*HEADS, *VARIANTS])
def test_every_head_trains_a_step_and_is_named_as_its_file(name):
    hparams = build(name)
    head, loss = hparams["head"], hparams["loss"]
    names = {Path(name).stem, name.removesuffix(".yaml").replace("/", "_")}
    assert hparams["model"] in names
    before = {k: p.clone() for k, p in head.named_parameters()}
    rates = head(torch.randn(3, 12, 160), torch.tensor([1.0, 0.5, 0.25]))
    if hasattr(head, "solve"):
        part = list(torch.randn(4, 12, 160)), [0, 1, 2, 3]
        head.solve(part, part)
    else:
        loss(rates, repeated(torch.tensor([0, 1, 3]), rates)).backward()
        hparams["opt_class"](head.parameters()).step()
    for key, parameter in head.named_parameters():
        assert parameter.isfinite().all(), key
    after = dict(head.named_parameters())
    assert any(not torch.equal(after[k], before[k]) for k in before)


@pytest.mark.parametrize("name", [v for v in VARIANTS if "ablations" in v])
def test_an_ablation_differs_from_pts_snn_where_it_says_so(name):
    full, ablation = build("pts_snn.yaml"), build(name)
    assert type(full["head"]) is type(ablation["head"])
    feats = torch.randn(2, 20, 160, generator=torch.Generator().manual_seed(0))
    results = []
    for hparams in (full, ablation):
        torch.manual_seed(0)
        head = hparams["head"]
        for value in head.parameters():
            torch.nn.init.normal_(value, std=0.3)
        head(feats).square().sum().backward()
        results.append([p.grad for p in head.parameters()])
    assert len(results[0]) != len(results[1]) or any(
        a.shape != b.shape or not torch.equal(a, b)
        for a, b in zip(*results, strict=True)
    )


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_every_set_builds(path, tmp_path, capsys):
    options = ["--corpus=URDU", "--backbone=fbank", "--table_only"]
    ptssnn(["experiments", path.stem, *options, f"--results_folder={tmp_path}"])
    said = capsys.readouterr().out
    for row in read_set(path).rows:
        assert said.count(f"\n{row.name} ") == 2


def test_every_ablation_and_peer_is_in_a_set():
    heads = {row.head for path in SETS for row in read_set(path).rows}
    assert {HPARAMS / name for name in [*HEADS, *VARIANTS]} <= heads


def test_readmes_results_are_those_of_the_records():
    results(["--check"])


def recorded_values():
    """All accuracies, differences and p in percent, and energies in mJ."""
    for path in (ROOT / "docs" / "results").rglob("*.json"):
        for row in json.loads(path.read_text()).get("rows", ()):
            values, difference = row["figures"], row["difference"]
            if values:
                yield 100 * values["WA"]
                yield 100 * values["majority"]["WA"]
                yield 100 * values["speaker_oracle"]["WA"]
                energy = values["energy"] or {"mJ": 0}
                front_end = energy.get("front_end_mJ") or 0
                yield from (energy["mJ"], energy["mJ"] + front_end)
            if difference:
                yield 100 * abs(difference["WA"]["value"])
                yield difference["WA"]["p"]


def test_readmes_prose_has_the_values_of_the_records():
    text = (ROOT / "README.md").read_text()
    prose = text[text.index("## Results") : text.index("<!-- results")]
    number = r"(\d+(?:\.\d+)?)"
    found = re.findall(
        rf"{number}(?: to {number})?( points| %| mJ)"
        rf"|p = {number}(?:, {number})?",
        " ".join(prose.split()),
    )
    known = [*recorded_values()]
    quoted = {"84.25", "61.94"}  # the paper's
    # Estimates of front-ends alone stand on these pages.
    pages = [ROOT / "docs" / "energy.md", ROOT / "docs/decisions/front_ends.md"]
    energies = set(re.findall(number, "".join(p.read_text() for p in pages)))
    assert len(found) > 20
    for first, last, unit, *p in found:
        for each in filter(None, (first, last, *p)):
            digits = len(each.partition(".")[2])
            is_recorded = any(f"{value:.{digits}f}" == each for value in known)
            is_estimate = unit == " mJ" and each in energies
            assert is_recorded or is_estimate or each in quoted, each


def test_the_table_of_heads_counts_their_parameters():
    text = (ROOT / "docs" / "peers.md").read_text()
    rows = re.findall(
        r"^\| `([\w/]+\.yaml)` .*\| ([\d,]+) \| ([\d,]+) \|", text, re.M
    )
    peers = {v for v in VARIANTS if "peers" in v}
    assert {name for name, *_ in rows} == peers | set(HEADS)
    for name, *counts in rows:
        has_norm = "<layer_norm>" in (ROOT / "hparams" / name).read_text()
        for size, n_classes, count in zip(
            (768, 130), (4, 7), counts, strict=True
        ):
            sizes = f", sizes: {HALVES[name][size]}" if name in HALVES else ""
            overrides = f"head: {{input_size: {size}{sizes}}}"
            if has_norm and size == 768:  # 130 are opensmile's, no LayerNorm
                overrides += "\nlayer_norm: True"
            hparams = build(name, overrides=overrides, n_classes=n_classes)
            n = sum(p.numel() for p in hparams["head"].parameters())
            assert f"{n:,}" == count, (name, overrides)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_builds(backbone, make_backbone):
    overrides = f"backbone: {backbone}"
    if backbone.startswith("opensmile"):
        pytest.importorskip(
            "opensmile", reason="the extra [opensmile] is missing"
        )
    elif not backbone.startswith("fbank"):
        (kind,) = [k for k in KINDS if backbone.startswith(k)]
        overrides += f"\nlayer: weighted\nhub: {make_backbone(KINDS[kind])}"
    hparams = Hyperparams(
        ROOT / "hparams" / "pts_snn.yaml",
        as_keys(overrides),
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

    paper = "layer_norm: True\nsaturation: 0.1"  # fbank has its own
    built = build("pts_snn.yaml", overrides=paper)["head"]
    default = PTSSNN(160)
    assert repr(built) == repr(default)
    assert built.classifier.logit_scale == default.classifier.logit_scale
    plif = built.classifier.hidden
    assert plif.w.shape == default.classifier.hidden.w.shape
    for name in (
        *("v_threshold", "alpha", "detach_reset"),
        *("decay_reset", "reset"),
    ):
        assert getattr(plif, name) == getattr(default.classifier.hidden, name)
