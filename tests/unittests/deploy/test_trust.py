"""Bundles of strangers run nothing, and those of training all load."""

import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from speechbrain_ptssnn.deploy.classify import open_bundle
from speechbrain_ptssnn.deploy.trust import check_trusted
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.utils.own_files import HPARAMS, list_yaml

OLD = Path(__file__).parents[2] / (
    "specimens/run/Cafe/two_folds/tiny_fbank/pts_snn/1/fold_1/model"
)
TWO_FRONT_ENDS = "co_attention"  # needs them to be built


class Attack:
    """A pickle that makes a folder when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def stranger(bundle, tmp_path):
    """A copy of a bundle, whose YAML is changed; gives its folder."""

    def change(old="", new="", append=""):
        folder = tmp_path / "model"
        shutil.copytree(bundle, folder)
        path = folder / "hyperparams.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1) + append)
        return folder

    return change


def refused(folder, words):
    """The bundle is refused, and nothing of it has run."""
    before = set(folder.parent.iterdir())
    with pytest.raises(InputError, match=words) as error:
        open_bundle(folder)
    assert "\n" not in str(error.value)
    assert set(folder.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x: !apply:os.system ['mkdir {}']", "wants '!apply:os.system'"),
        ("x: !new:os._Environ {{}}", "wants '!new:os._Environ'"),
        ("x: !name:subprocess.run {{}}", "wants '!name:subprocess.run'"),
        ("x: !include:/etc/passwd", "wants '!include:/etc/passwd'"),
        ("x: !new:sklearn.svm.SVC {{}}", "wants '!new:sklearn.svm.SVC'"),
        ("x: !ref <sample_rate> ** 9", "computes '<sample_rate> ** 9'"),
        ("x: &a [1, 1]\ny: [*a, *a]", "has the anchor 'a'"),
        ("x: ../../secret", "names the path '../../secret'"),
        ("x: /etc/passwd", "names the path '/etc/passwd'"),
        ("x: 1000000", "sets x to '1000000'"),
        ("n_blocks: 1000", "sets n_blocks to '1000'"),
        ("allow_pickle: true", "sets allow_pickle to 'true'"),
        ("source: results", "names the path 'results'"),
        ("? [1]\n: 2", "a key that is no word"),
        ("!!python/name:os.mkdir x: 2", "a key that is no word"),
        ("x: <label_encoder.save>", "sets x to '<label_encoder.save>'"),
        ("x: !!python/object/apply:os.mkdir ['{}']", "wants 'python/object/"),
        (
            "x: !<tag:yaml.org,2002:python/object/apply:os.mkdir> ['{}']",
            "wants 'python/object/apply:os.mkdir'",
        ),
    ],
)
def test_what_training_does_not_write_is_refused_by_its_line(
    line, words, stranger, tmp_path
):
    folder = stranger(append=f"\n{line.format(tmp_path / 'ran')}\n")
    text = (folder / "hyperparams.yaml").read_text()
    number = text.count("\n", 0, text.rindex(line[:2])) + 1
    refused(folder, f"hyperparams.yaml, line {number}: .*{re.escape(words)}")


@pytest.mark.parametrize(
    "wanted",
    [
        # Attributes of our modules that are not ours, or no layers.
        "speechbrain_ptssnn.nnet.plif.torch.nn.Linear",
        "speechbrain_ptssnn.nnet.fusing.torch",
        "speechbrain_ptssnn.nnet.attention.add_prompts",
        # Ours, in the wrong place.
        "speechbrain_ptssnn.features.store.FeatureStore",
        "speechbrain_ptssnn.backbones.HuggingFace",
        "speechbrain.dataio.encoder.CategoricalEncoder",
    ],
)
def test_a_part_has_layers_of_its_own_kind(wanted, stranger):
    ours = "!name:speechbrain_ptssnn.nnet.plif.PLIF"
    refused(stranger(ours, f"!name:{wanted}"), f"wants '!name:{wanted}'")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "        head: !ref <head>",
            "        head: !ref <modules>",
            "loads something else as 'head'",
        ),
        ("sample_rate: 16000", "sample_rate: 16000\nx: 1", "has or lacks x"),
        (
            "!new:speechbrain_ptssnn.inference.CalibratedLogSoftmax",
            "!new:speechbrain_ptssnn.inference.PassWaveform",
            "classifier is '!new:speechbrain_ptssnn.inference.PassWaveform'",
        ),
    ],
)
def test_other_parts_than_those_that_are_looked_at_are_refused(
    old, new, words, stranger
):
    refused(stranger(old, new), words)


def test_a_bundle_that_would_load_no_weights_is_no_bundle(stranger):
    folder = stranger("        head: !ref <head>\n")
    with pytest.raises(InputError, match="does not load head"):
        open_bundle(folder, trust=True)


# The loader takes brackets for tuples after its first use only, so only a new
# process shows what the first one does.
COLD = """\
import pathlib, sys
from speechbrain_ptssnn.deploy.classify import open_bundle
from speechbrain_ptssnn.errors import InputError

folder = sys.argv[1]
path = pathlib.Path(folder, "hyperparams.yaml")
text = path.read_text()
ran = pathlib.Path(folder).parent / "ran"
for before, after in (
    ("", f"x: (!!python/object/apply:os.mkdir ['{ran}'])"),
    ("%TAG !e! tag:yaml.org,2002:python/object/apply:\\n---\\n",
     f"x: !e!os.mkdir ['{ran}']"),
    ("", "x: !!python/int '9999999'"),
):
    path.write_text(f"{before}{text}\\n{after}\\n")
    try:
        open_bundle(folder)
    except InputError as error:
        assert "no training writes" in str(error), error
    else:
        raise AssertionError(after)
    assert not ran.exists(), after
"""


def test_nothing_runs_in_a_new_process(stranger):
    process = subprocess.run(
        [sys.executable, "-c", COLD, stranger()],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr


def test_no_pickle_is_run(stranger, tmp_path):
    folder = stranger()
    path = folder / "head.ckpt"
    with open(path, "wb") as file:
        pickle.dump(Attack(tmp_path / "ran"), file)
    refused(folder, "head.ckpt: is no file of weights")
    torch.save({"a": Attack(tmp_path / "ran")}, path)
    refused(folder, "head.ckpt: wants 'posix mkdir'")
    torch.save({"a": bytearray(100)}, path)  # of any size, without its bytes
    refused(folder, "head.ckpt: wants '.*bytearray'")


def test_labels_are_words(stranger):
    folder = stranger()
    path = folder / "label_encoder.ckpt"
    path.write_text(path.read_text().replace("calm", "a\\x1b]0;b"))
    refused(folder, "has the label")


def test_a_pipe_is_refused(stranger):
    folder = stranger()
    os.mkfifo(folder / "backbone.safetensors")
    refused(folder, "backbone.safetensors: is no ordinary file")


def test_a_path_outside_the_folder_is_refused(stranger, bundle):
    folder = stranger(
        "pretrainer: !new:speechbrain_ptssnn.inference.BundlePretrainer",
        "pretrainer: !new:speechbrain_ptssnn.inference.BundlePretrainer\n"
        "    collect_in: elsewhere",
    )
    refused(folder, "'collect_in' in the pretrainer")
    shutil.rmtree(folder)
    folder = stranger()
    (folder / "head.ckpt").unlink()
    (folder / "head.ckpt").symlink_to(bundle / "head.ckpt")
    refused(folder, "head.ckpt: is a link out of the folder")


def test_a_huge_tensor_is_refused(stranger):
    folder = stranger("hidden_size: 512", "hidden_size: 99999")
    refused(folder, "head.ckpt: has .* bytes for a head of .* numbers")
    shutil.rmtree(folder)
    folder = stranger()
    path = folder / "head.ckpt"
    weights = torch.load(path)
    torch.save({**weights, "more": torch.zeros(10**7)}, path)
    with zipfile.ZipFile(path) as plain:
        packed = zipfile.ZipFile(
            folder / "packed", "w", compression=zipfile.ZIP_DEFLATED
        )
        with packed:
            for name in plain.namelist():
                packed.writestr(name, plain.read(name))
    (folder / "packed").rename(path)
    refused(folder, "head.ckpt: unpacks to 40 MiB")


def test_trust_loads_whatever_it_is(stranger, tmp_path):
    folder = stranger(append=f"\nx: !apply:os.mkdir ['{tmp_path / 'ran'}']\n")
    refused(folder, "wants '!apply:os.mkdir'")
    open_bundle(folder, trust=True)
    assert (tmp_path / "ran").is_dir()


def test_a_front_end_that_names_code_is_refused(windowed, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(windowed, folder)
    check_trusted(folder)
    path = folder / "backbone.ckpt"
    saved = torch.load(path)
    config = saved["settings"]["config"]
    for changes, words in (
        ({"attn_implementation": "evil/kernel"}, "sets attn_implementation to"),
        ({"auto_map": {"AutoModel": "evil/x--y.Z"}}, "sets auto_map to"),
        ({"hidden_size": 60000}, "bytes for a front-end of"),
    ):
        changed = {**saved["settings"], "config": {**config, **changes}}
        torch.save({**saved, "settings": changed}, path)
        refused(folder, f"backbone.ckpt: .*{words}")
    extractor = {"feature_extractor_type": "GenerationConfig"}
    changed = {**saved["settings"], "extractor": extractor}
    torch.save({**saved, "settings": changed}, path)
    refused(folder, "sets feature_extractor_type to 'GenerationConfig'")


HEADS = [
    f"{folder}/{name}".removeprefix("./")
    for folder in (".", "ablations", "peers")
    for name, _ in list_yaml(HPARAMS / folder)
    if name != TWO_FRONT_ENDS
]


@pytest.mark.parametrize("head", HEADS)
def test_what_training_writes_is_trusted(head, write_bundle):
    check_trusted(write_bundle(head, fires=False))


def test_an_old_bundle_is_trusted():
    check_trusted(OLD)


def test_links_within_the_hubs_cache_are_followed(bundle, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "a1b2"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for path in bundle.iterdir():
        shutil.copy(path, blobs / f"blob_of_{path.name}")
        (snapshot / path.name).symlink_to(
            Path("../../blobs") / f"blob_of_{path.name}"
        )
    check_trusted(snapshot)
